import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { excerpt } from '../../src/domain/excerpt.ts';
import { FleetError } from '../../src/errors.ts';

export interface Program {
  readonly argv: readonly string[];
  readonly stdin: string;
  readonly deadlineMs: number;
  /** From SIGTERM to SIGKILL. */
  readonly graceMs: number;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
}

export interface ProgramResult {
  /** 128 and the signal's number where a signal has ended it. */
  readonly exit: number;
  readonly stdout: string;
  /** The last of what it wrote. */
  readonly stderr: string;
}

const MOST_STDOUT = 1024 * 1024;
const MOST_STDERR = 16 * 1024;
/** How long what it has written may take to arrive once it has ended; a child that it left behind may hold its pipes for ever. */
const LAST_OUTPUT_MS = 100;

/**
 * Runs a program to its end, with a text on its stdin. Where it may not go on, it is ended with all that it has started, and the
 * promise settles only once it is gone: two runs never overlap.
 *
 * @throws FleetError ER0018 where it cannot be started, ER0212 past its deadline, ER0217 where the signal was aborted, ER0223
 * where it writes more than 1 MiB to stdout; all but the last retryable
 */
export function runProgram(program: Program, signal: AbortSignal): Promise<ProgramResult> {
  const { argv, stdin, deadlineMs, graceMs, env, cwd } = program;
  const [file = '', ...words] = argv;
  const what = excerpt(file);
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(endedByCaller(what, signal));
      return;
    }
    // A group of its own, so that it can be ended with its children.
    const child = spawn(file, words, { stdio: 'pipe', detached: true, env, ...(cwd !== undefined && { cwd }) });
    let stdout = '';
    let stderr = '';
    let reason: FleetError | null = null;
    let killing: NodeJS.Timeout | undefined;

    const settle = (outcome: () => void) => {
      clearTimeout(deadline);
      clearTimeout(killing);
      signal.removeEventListener('abort', giveUp);
      child.stdout.destroy();
      child.stderr.destroy();
      outcome();
    };
    const end = (why: FleetError) => {
      if (reason) return;
      reason = why;
      signalGroup(child, 'SIGTERM');
      killing = setTimeout(() => signalGroup(child, 'SIGKILL'), graceMs);
    };
    const giveUp = () => end(endedByCaller(what, signal));
    const deadline = setTimeout(
      () => end(new FleetError('ER0212', `${what} was not done within ${deadlineMs} ms`, { retryable: true })),
      deadlineMs,
    );

    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (stdout.length > MOST_STDOUT)
        end(new FleetError('ER0223', `${what} writes more than ${MOST_STDOUT} characters to stdout`));
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-MOST_STDERR);
    });
    // Who does not read its stdin has no use for it; its exit code says whether that is well.
    child.stdin.on('error', () => {});
    child.stdin.end(stdin);
    child.once('error', (cause) =>
      settle(() => reject(new FleetError('ER0018', `${what} cannot be started`, { retryable: true, cause }))),
    );
    child.once('exit', (code, name) => {
      const exit = code ?? 128 + (name ? constants.signals[name] : 0);
      const finish = () => settle(() => (reason ? reject(reason) : resolve({ exit, stdout, stderr })));
      if (reason) signalGroup(child, 'SIGKILL');
      child.once('close', finish);
      setTimeout(finish, LAST_OUTPUT_MS);
    });
    signal.addEventListener('abort', giveUp, { once: true });
  });
}

const endedByCaller = (what: string, signal: AbortSignal): FleetError =>
  new FleetError('ER0217', `${what} was ended by its caller`, { retryable: true, cause: signal.reason });

function signalGroup({ pid }: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // All of it has ended by itself meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
