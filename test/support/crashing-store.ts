import type { Store } from 'fleetbeat';

/** A store that a process uses until it dies: at operation `at` (from 1), before or after it is done, and for ever from then on. */
export interface CrashingStore extends Store {
  /** How many operations were begun. */
  readonly operations: number;
}

export function crashingStore(store: Store, at = Number.POSITIVE_INFINITY, when: 'before' | 'after' = 'before'): CrashingStore {
  let operations = 0;
  const crashed = () => new Error(`the process died at operation ${at}`);

  async function run<Result>(operation: () => Promise<Result>): Promise<Result> {
    operations++;
    if (operations > at || (operations === at && when === 'before')) throw crashed();
    const result = await operation();
    if (operations >= at) throw crashed();
    return result;
  }

  return {
    get operations() {
      return operations;
    },
    get: (key) => run(() => store.get(key)),
    set: (key, value, ttlMs) => run(() => store.set(key, value, ttlMs)),
    add: (key, value, ttlMs) => run(() => store.add(key, value, ttlMs)),
    swap: (key, expected, next, ttlMs) => run(() => store.swap(key, expected, next, ttlMs)),
    delete: (key) => run(() => store.delete(key)),
    increment: (key) => run(() => store.increment(key)),
  };
}
