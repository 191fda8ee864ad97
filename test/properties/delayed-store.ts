import type fc from 'fast-check';
import type { Store } from 'fleetbeat';

/** A store whose every operation takes effect, and answers, only when the scheduler lets it. */
export function delayed(store: Store, scheduler: fc.Scheduler): Store {
  const late = async <T>(name: string, act: () => Promise<T>): Promise<T> => {
    await scheduler.schedule(Promise.resolve(), `${name} is under way`);
    const answer = await act();
    await scheduler.schedule(Promise.resolve(), `${name} is answered`);
    return answer;
  };
  return {
    get: (key) => late(`get ${key}`, () => store.get(key)),
    set: (key, value, ttlMs) => late(`set ${key}`, () => store.set(key, value, ttlMs)),
    add: (key, value, ttlMs) => late(`add ${key}`, () => store.add(key, value, ttlMs)),
    swap: (key, expected, next, ttlMs) => late(`swap ${key}`, () => store.swap(key, expected, next, ttlMs)),
    delete: (key) => late(`delete ${key}`, () => store.delete(key)),
    increment: (key) => late(`increment ${key}`, () => store.increment(key)),
  };
}

/** Lets one thing happen after the other until `work` is done, and looks after each. */
export async function stepByStep(scheduler: fc.Scheduler, work: Promise<unknown>, look: () => void): Promise<void> {
  let isDone = false;
  const end = work.finally(() => {
    isDone = true;
  });
  while (!isDone) {
    await Promise.race([end, scheduler.waitNext(1)]);
    look();
  }
}
