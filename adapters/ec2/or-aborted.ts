import { setMaxListeners } from 'node:events';

/** Settles as `running` does, or rejects with the reason of the signal as soon as that is aborted; `running` goes on unheard. */
export function orAborted<T>(running: Promise<T>, signal: AbortSignal): Promise<T> {
  // One signal ends the work on a whole fleet, so that many listeners on it are no leak.
  setMaxListeners(0, signal);
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    running.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
    if (signal.aborted) giveUp();
  });
}
