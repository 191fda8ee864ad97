import { setMaxListeners } from 'node:events';
import { FleetError } from './errors.ts';

/** A signal that aborts with another one, or past a deadline with an ER0212. `release` ends the wait for either. */
export interface Deadline {
  readonly signal: AbortSignal;
  readonly release: () => void;
}

export function deadline(ms: number, what: string, signal: AbortSignal): Deadline {
  const controller = new AbortController();
  // One signal may end the work on a whole fleet, so that many listeners are no leak.
  setMaxListeners(0, controller.signal, signal);
  const end = () => controller.abort(signal.reason);
  const timer = setTimeout(
    () => controller.abort(new FleetError('ER0212', `${what} was not done within ${ms} ms`, { retryable: true })),
    ms,
  );
  const release = () => {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
  };
  if (signal.aborted) end();
  else signal.addEventListener('abort', end, { once: true });
  return { signal: controller.signal, release };
}

/**
 * Waits for work no longer than its deadline and the caller's signal allow, even where the work does not heed the signal that it
 * is given.
 */
export async function withinDeadline<T>(
  ms: number,
  what: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = deadline(ms, what, signal);
  try {
    limit.signal.throwIfAborted();
    return await new Promise<T>((resolve, reject) => {
      limit.signal.addEventListener('abort', () => reject(limit.signal.reason), { once: true });
      work(limit.signal).then(resolve, reject);
    });
  } finally {
    limit.release();
  }
}
