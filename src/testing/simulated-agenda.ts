import { asInstant, type Instant } from '../domain/identity.ts';

/** What will happen in a simulated world, in order of time. Time passes only when it is told to. */
export interface Agenda {
  readonly now: Instant;
  /** Lets time pass up to `to`: whatever is due happens, in order, each at its own instant. Time never goes back. */
  advance(to: number): void;
  /** Arranges `happen` for `delayMs` from now. @returns what calls it off */
  after(delayMs: number, happen: () => void): () => void;
  /** When the next thing happens; null where nothing is pending. */
  nextAt(): Instant | null;
}

interface Entry {
  readonly at: number;
  readonly happen: () => void;
  isOff: boolean;
}

export function createAgenda(start: Instant): Agenda {
  /** Latest first, so that the next one is popped; among equals, the last one arranged comes first here and happens last. */
  const entries: Entry[] = [];
  let now: number = start;

  /** The next entry that still stands; those called off are dropped on the way. */
  function upcoming(): Entry | undefined {
    while (entries.at(-1)?.isOff) entries.pop();
    return entries.at(-1);
  }

  return {
    get now() {
      return asInstant(now);
    },
    advance(to) {
      for (let next = upcoming(); next && next.at <= to; next = upcoming()) {
        entries.pop();
        now = Math.max(now, next.at);
        next.happen();
      }
      now = Math.max(now, to);
    },
    after(delayMs, happen) {
      const entry: Entry = { at: now + delayMs, happen, isOff: false };
      entries.splice(placeOf(entry.at, entries), 0, entry);
      return () => {
        entry.isOff = true;
      };
    },
    nextAt() {
      const next = upcoming();
      return next ? asInstant(next.at) : null;
    },
  };
}

/** The first index whose entry is not later than `at`. */
function placeOf(at: number, entries: readonly Entry[]): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = entries[middle];
    if (entry && entry.at > at) low = middle + 1;
    else high = middle;
  }
  return low;
}
