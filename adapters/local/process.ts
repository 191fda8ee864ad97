import { type ChildProcess, spawn } from 'node:child_process';
import { setMaxListeners } from 'node:events';
import { constants } from 'node:os';
import { excerpt } from '../../src/domain/excerpt.ts';
import { FleetError } from '../../src/errors.ts';

export interface ProcessResult {
  readonly exit: number;
  /** The first of what it wrote. */
  readonly stdout: string;
  /** The last of what it wrote. */
  readonly stderr: string;
}

const OUTPUT_CHARACTERS = 16_384;
/** How long what a process has written may take to arrive once it has ended; a daemon it left behind may hold its pipes for ever. */
const LAST_OUTPUT_MS = 100;

/**
 * Runs an argv on this machine, without a shell. At the deadline, or when its caller gives up, it is killed with all that it
 * has started.
 *
 * @throws FleetError ER0018 where it cannot be started, ER0212 past its deadline, ER0217 where the signal was aborted
 */
export function runProcess(argv: readonly string[], deadlineMs: number, signal: AbortSignal): Promise<ProcessResult> {
  return new Promise((resolve, reject) => {
    const [program = '', ...words] = argv;
    const what = excerpt(program);
    // A group of its own, so that it can be killed with its children.
    const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let stdout = '';
    let stderr = '';
    let exit: number | undefined;

    const settle = (outcome: () => void) => {
      clearTimeout(deadline);
      signal.removeEventListener('abort', giveUp);
      child.stdout.destroy();
      child.stderr.destroy();
      outcome();
    };
    const kill = (error: FleetError) => {
      killGroup(child);
      settle(() => reject(error));
    };
    const giveUp = () =>
      kill(new FleetError('ER0217', `${what} was ended by its caller`, { retryable: true, cause: signal.reason }));
    const finish = () => settle(() => resolve({ exit: exit ?? 1, stdout, stderr }));
    const deadline = setTimeout(
      () => kill(new FleetError('ER0212', `${what} was not done within ${deadlineMs} ms`, { retryable: true })),
      deadlineMs,
    );

    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout = (stdout + text).slice(0, OUTPUT_CHARACTERS);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-OUTPUT_CHARACTERS);
    });
    child.once('error', (cause) => settle(() => reject(new FleetError('ER0018', `${what} cannot be started`, { cause }))));
    child.once('exit', (code, name) => {
      exit = code ?? 128 + (name ? constants.signals[name] : 0);
      setTimeout(finish, LAST_OUTPUT_MS);
    });
    child.once('close', finish);
    // One signal ends the work on a whole fleet, so that many listeners on it are no leak.
    setMaxListeners(0, signal);
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
  });
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // It has ended by itself meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
