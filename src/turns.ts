/** Runs one piece of work after another, in the order in which they came. */
export function createTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work, work);
    last = mine.catch(() => {});
    return mine;
  };
}

/** Runs `work`; asked for again while it runs, it runs once more afterwards, for everybody who asked meanwhile. */
export function createCoalesced<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null;
  let owed: Promise<T> | null = null;
  const run = (): Promise<T> => {
    owed = null;
    const mine = work().finally(() => {
      if (running === mine) running = null;
    });
    running = mine;
    return mine;
  };
  return () => {
    if (!running) return run();
    owed ??= running.then(run, run);
    return owed;
  };
}
