import type { Instant } from './domain/identity.ts';

/** The fleet's clock: what `received` says, but never earlier than it has said before. */
export function createClock(received: () => number = Date.now): () => Instant {
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    last = Math.max(last, received());
    return last as Instant;
  };
}
