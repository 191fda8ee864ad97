import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Store } from '../../src/contracts.ts';

/** The time of the shared store from one restart or flush of it to the next. */
export interface Epoch {
  readonly id: string;
  /** Whether it is still the same. Asked after something was done, it tells that nothing was lost before. */
  isCurrent(): Promise<boolean>;
  /**
   * Resolves when all who were there before have had `settleMs` to publish what they know: until then a key that is free may be
   * another's.
   */
  settled(): Promise<void>;
}

/** Thrown where what was begun in one epoch would go on in another; caught where it is begun anew. */
export const LOST = new Error('the epoch is over');

/** Written once per epoch and never again, so that nothing outlasts it in a flush that spares what was written just now. */
const KEY = 'journaled:epoch';
/** Holds the last epoch that was settled. */
const SETTLED = 'journaled:settled';
const LOOKS = 10;

/** @returns what tells the present epoch, and begins one where there is none */
export function createEpochs(shared: Store, settleMs: number): () => Promise<Epoch> {
  let next: Promise<string | null> | null = null;

  /** One look serves all who ask for one in the same turn of the event loop. */
  const look = (): Promise<string | null> => {
    next ??= nextTurn().then(() => {
      next = null;
      return shared.get(KEY);
    });
    return next;
  };

  /** Whoever has waited for all of it says so, for the one that began the epoch may be gone. */
  async function settle(id: string): Promise<void> {
    const deadline = performance.now() + settleMs;
    while ((await shared.get(SETTLED)) !== id) {
      if (performance.now() >= deadline) return shared.set(SETTLED, id);
      await pause(settleMs / LOOKS);
    }
  }

  const epochOf = (id: string): Epoch => ({ id, isCurrent: async () => (await look()) === id, settled: () => settle(id) });

  return async () => {
    for (;;) {
      const found = await shared.get(KEY);
      if (found !== null) return epochOf(found);
      const id = randomUUID();
      if (await shared.add(KEY, id)) return epochOf(id);
    }
  };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
