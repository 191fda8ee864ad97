import type { Instant } from './domain/identity.ts';

/** The fleet's clock: what `received` says, but never earlier than it has said before. */
export function createClock(received: () => number = Date.now): () => Instant {
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    const at = received();
    if (at > last) last = at;
    return last as Instant;
  };
}
