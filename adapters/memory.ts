import type { Store } from '../src/contracts.ts';
import { FleetError } from '../src/errors.ts';

export interface MemoryOptions {
  /** The clock of every ttl, in milliseconds. Default `Date.now`. */
  readonly now?: () => number;
}

interface Item {
  readonly content: string | number;
  readonly goneAt: number;
}

/** Below this many items nothing is swept: an expired item costs less than looking for it. */
const SWEEP_FROM = 1024;

/**
 * A store in this process, for tests, demonstrations and fleets of one host. It is lost with the process, holds values of any
 * size, and keeps no timer: what has expired goes when it is asked for, or as the store grows.
 *
 * @throws FleetError ER0222 for a ttl that is not a positive number; ER0228, not retryable, for an `increment` of a text.
 * @example
 * ```ts
 * const store = memory();
 * ```
 */
export function memory({ now = Date.now }: MemoryOptions = {}): Store {
  const items = new Map<string, Item>();
  let sweepAt = SWEEP_FROM;

  const find = (key: string): Item | undefined => {
    const item = items.get(key);
    if (item === undefined || item.goneAt > now()) return item;
    items.delete(key);
    return undefined;
  };

  const put = (key: string, content: string | number, ttlMs?: number): void => {
    items.set(key, { content, goneAt: ttlMs === undefined ? Number.POSITIVE_INFINITY : now() + checkedTtl(ttlMs) });
    if (items.size >= sweepAt) sweep();
  };

  const sweep = (): void => {
    const at = now();
    for (const [key, { goneAt }] of items) if (goneAt <= at) items.delete(key);
    sweepAt = Math.max(SWEEP_FROM, items.size * 2);
  };

  return {
    async get(key) {
      const item = find(key);
      return item === undefined ? null : String(item.content);
    },

    async set(key, value, ttlMs) {
      put(key, value, ttlMs);
    },

    async add(key, value, ttlMs) {
      if (find(key) !== undefined) return false;
      put(key, value, ttlMs);
      return true;
    },

    async swap(key, expected, next, ttlMs) {
      const item = find(key);
      if (item === undefined || String(item.content) !== expected) return false;
      if (next === null) items.delete(key);
      else put(key, next, ttlMs);
      return true;
    },

    async delete(key) {
      return find(key) !== undefined && items.delete(key);
    },

    async increment(key) {
      const count = find(key)?.content ?? 0;
      if (typeof count === 'string') throw new FleetError('ER0228', `key ${JSON.stringify(key)} holds a text, not a counter`);
      put(key, count + 1);
      return count + 1;
    },
  };
}

function checkedTtl(ttlMs: number): number {
  if (Number.isFinite(ttlMs) && ttlMs > 0) return ttlMs;
  throw new FleetError('ER0222', `ttlMs is ${ttlMs}, but must be a positive number of milliseconds`);
}
