import type { Store } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';

/** A store that forgets all it holds, as a memcached that is restarted. */
export interface LossyStore {
  readonly store: Store;
  lose(): void;
}

export function lossyStore(): LossyStore {
  let held = memory();
  return {
    store: {
      get: (key) => held.get(key),
      set: (key, value, ttlMs) => held.set(key, value, ttlMs),
      add: (key, value, ttlMs) => held.add(key, value, ttlMs),
      swap: (key, expected, next, ttlMs) => held.swap(key, expected, next, ttlMs),
      delete: (key) => held.delete(key),
      increment: (key) => held.increment(key),
    },
    lose() {
      held = memory();
    },
  };
}
