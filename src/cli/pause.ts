import { setTimeout as wait } from 'node:timers/promises';

/** Waits, or until a signal aborts; which of both, the signal tells. */
export async function pause(ms: number, until: AbortSignal): Promise<void> {
  await orAborted(wait(ms, undefined, { signal: until }).catch(rethrowUnless(until)), until);
}

/** Waits for a promise no longer than a signal allows; then undefined. */
export async function orAborted<Value>(promise: Promise<Value>, until: AbortSignal): Promise<Value | undefined> {
  if (until.aborted) {
    promise.catch(() => {});
    return undefined;
  }
  let release = () => {};
  const aborted = new Promise<undefined>((resolve) => {
    const end = () => resolve(undefined);
    until.addEventListener('abort', end, { once: true });
    release = () => until.removeEventListener('abort', end);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    release();
  }
}

const rethrowUnless = (until: AbortSignal) => (error: unknown) => {
  if (!until.aborted) throw error;
};

/** What comes before a signal aborts; nothing that is then still awaited keeps the caller waiting. */
export async function* taken<Item>(items: AsyncIterable<Item>, until: AbortSignal): AsyncGenerator<Item> {
  const iterator = items[Symbol.asyncIterator]();
  for (;;) {
    const next = await orAborted(iterator.next(), until);
    if (next === undefined || next.done) return;
    yield next.value;
  }
}
