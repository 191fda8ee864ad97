import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { forgetPid, recordPid } from '../support/run-folder.ts';
import type { Ended } from './command-line.ts';

const TSX = import.meta.resolve('tsx');
const BIN = fileURLToPath(new URL('../../src/cli/bin.ts', import.meta.url));

/** A command line as a process of its own. */
export interface CliProcess {
  write(text: string): void;
  kill(signal: NodeJS.Signals): void;
  /** Resolves once stdout has such a text. */
  says(text: RegExp): Promise<void>;
  readonly ended: Promise<Ended>;
}

export interface CliOptions {
  readonly cwd?: string;
  /** All of stdin; without it, stdin stays open. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export function startCli(args: readonly string[], { cwd = tmpdir(), input, env = {} }: CliOptions = {}): CliProcess {
  const child = spawn(process.execPath, ['--import', TSX, BIN, ...args], { cwd, env: { ...process.env, ...env } });
  const { pid } = child;
  if (pid !== undefined) recordPid(pid);
  const heard = new Set<() => void>();
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (bytes: Buffer) => {
    stdout += bytes;
    for (const listen of heard) listen();
  });
  child.stderr.on('data', (bytes: Buffer) => {
    stderr += bytes;
  });
  child.stdin.on('error', () => {});
  if (input !== undefined) child.stdin.end(input);
  const ended = once(child, 'close').then(([exit]): Ended => {
    if (pid !== undefined) forgetPid(pid);
    return { exit, stdout, stderr };
  });
  return {
    write: (text) => child.stdin.write(text),
    kill: (signal) => child.kill(signal),
    says: (text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!text.test(stdout)) return;
          heard.delete(look);
          resolve();
        };
        heard.add(look);
        look();
        void ended.then(() => reject(new Error(`it ended without saying ${text}:\n${stdout}\n${stderr}`)));
      }),
    ended,
  };
}

/** Runs a command line to its end, with nothing on stdin unless given. */
export const cli = (args: readonly string[], options: CliOptions = {}): Promise<Ended> =>
  startCli(args, { input: '', ...options }).ended;
