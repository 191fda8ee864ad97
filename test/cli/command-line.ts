import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../src/cli/run.ts';
import { serverFolder } from '../support/run-folder.ts';

/** A folder with a configuration in it. */
export function folderWith(configuration: unknown): string {
  const folder = serverFolder('cli');
  writeFileSync(join(folder, 'fleetbeat.config.json'), JSON.stringify(configuration));
  return folder;
}

/** The documents of an output, one a line. */
export const documentsIn = (stdout: string): readonly unknown[] =>
  stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

export interface Ended {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandLineOptions {
  readonly cwd?: string;
  /** All that comes on stdin; nothing unless said. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The columns of the terminal that it runs on; no terminal unless said. */
  readonly columns?: number;
  readonly interrupted?: AbortSignal;
  /** Told of everything on stdout as it comes. */
  readonly onOutput?: (soFar: string) => void;
}

/** Runs a command line to its end, in this process. */
export async function commandLine(args: readonly string[], options: CommandLineOptions = {}): Promise<Ended> {
  const { cwd = tmpdir(), input = '', env = {}, columns, interrupted = new AbortController().signal, onOutput } = options;
  const terminal = columns === undefined ? {} : { isTTY: true, columns, rows: 50 };
  let stdout = '';
  let stderr = '';
  const exit = await run(args, {
    stdin: (async function* () {
      yield input;
    })(),
    stdout: {
      ...terminal,
      write(text) {
        stdout += text;
        onOutput?.(stdout);
      },
    },
    stderr: {
      ...terminal,
      write(text) {
        stderr += text;
      },
    },
    env,
    cwd,
    interrupted,
  });
  return { exit, stdout, stderr };
}
