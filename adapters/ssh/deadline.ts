import { setMaxListeners } from 'node:events';
import { FleetError } from '../../src/errors.ts';

/**
 * Runs `work` with a signal that also aborts after `deadlineMs`, its reason then being an ER0212.
 * The timer is held by hand: a signal of `AbortSignal.timeout` that only `AbortSignal.any` knows may be collected before it fires.
 */
export async function withinDeadline<T>(
  deadlineMs: number,
  what: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  // One signal ends the work on a whole fleet, so that many listeners on it are no leak.
  setMaxListeners(0, signal);
  const controller = new AbortController();
  const end = () => controller.abort(signal.reason);
  const timer = setTimeout(
    () => controller.abort(new FleetError('ER0212', `${what} was not done within ${deadlineMs} ms`, { retryable: true })),
    deadlineMs,
  );
  if (signal.aborted) end();
  else signal.addEventListener('abort', end, { once: true });
  try {
    return await work(controller.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  }
}
