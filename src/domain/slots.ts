/** A number of things that may happen at once; whoever comes later waits in order. */
export interface Slots {
  /** Runs `work` once a slot is free. Rejects, with what {@link slots} was given for it, where the signal ends the wait. */
  use<T>(what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

/**
 * @param count how many at once
 * @param endedBy what is thrown for a wait that its signal ended; its reason unless said
 */
export function slots(count: number, endedBy: (signal: AbortSignal, what: string) => unknown = ({ reason }) => reason): Slots {
  let free = count;
  const waiting = new Set<() => void>();

  const take = (what: string, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const giveUp = () => {
        waiting.delete(proceed);
        reject(endedBy(signal, what));
      };
      const proceed = () => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      if (signal.aborted) return giveUp();
      if (free > 0) {
        free--;
        return resolve();
      }
      waiting.add(proceed);
      signal.addEventListener('abort', giveUp, { once: true });
    });

  const release = () => {
    const [next] = waiting;
    if (!next) {
      free++;
      return;
    }
    waiting.delete(next);
    next();
  };

  return {
    async use(what, signal, work) {
      await take(what, signal);
      try {
        return await work();
      } finally {
        release();
      }
    },
  };
}
