import type { Store } from 'fleetbeat';

/** Counts what a process asks of its stores, and kills it in the middle. */
export interface DyingStores {
  /** Every operation of what this returns counts. */
  through(store: Store): Store;
  /** Something has happened outside of the process and its stores. */
  touch(): void;
  /**
   * The moments that have passed: right before and right after each operation, as far as something outside of the process may
   * have changed since the moment before. Dying at any other is dying at the one before it.
   */
  readonly moments: number;
  /** How many operations have not ended. */
  readonly underWay: number;
}

/** @param death the moment, from 1, at which the process dies; null for never */
export function dyingStores(death: number | null): DyingStores {
  let moments = 0;
  let hasChanged = true;
  let underWay = 0;

  function pass(): void {
    if (!hasChanged) return;
    hasChanged = false;
    moments++;
    if (moments === death) die();
  }

  async function read<T>(operation: () => Promise<T>): Promise<T> {
    pass();
    underWay++;
    try {
      return await operation();
    } finally {
      underWay--;
    }
  }

  async function write<T>(operation: () => Promise<T>): Promise<T> {
    try {
      return await read(() => {
        hasChanged = true;
        return operation();
      });
    } finally {
      hasChanged = true;
      pass();
    }
  }

  return {
    through: (store) => ({
      get: (key) => read(() => store.get(key)),
      set: (key, value, ttlMs) => write(() => store.set(key, value, ttlMs)),
      add: (key, value, ttlMs) => write(() => store.add(key, value, ttlMs)),
      swap: (key, expected, next, ttlMs) => write(() => store.swap(key, expected, next, ttlMs)),
      delete: (key) => write(() => store.delete(key)),
      increment: (key) => write(() => store.increment(key)),
      close: async () => store.close?.(),
    }),
    touch() {
      hasChanged = true;
    },
    get moments() {
      return moments;
    },
    get underWay() {
      return underWay;
    },
  };
}

/** Nothing after this happens: not even what is due in this turn of the event loop. */
function die(): void {
  process.kill(process.pid, 'SIGKILL');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
