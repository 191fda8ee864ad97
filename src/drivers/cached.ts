import { setTimeout as pause } from 'node:timers/promises';
import type { Driver, Store, Want } from '../contracts.ts';
import { withinDeadline } from '../deadline.ts';
import type { Subject } from '../domain/command.ts';
import type { Reading } from '../domain/heartbeat.ts';
import { type Instant, instanceKey } from '../domain/identity.ts';
import type { InstanceFacts } from '../domain/instance.ts';
import { FleetError } from '../errors.ts';
import { createShelf, type Shelved } from './shelf.ts';

export interface CachedOptions {
  /** How old the provider's word may be while nobody waits for it: one read in so long is what an idle fleet costs. Default 300000. */
  readonly ttlMs?: number;
  /** For so long after that, an answer is still given at once where nobody waits, while the next one is being read. Default 0. */
  readonly staleMs?: number;
  /** How far the clocks of hosts that share the store may be apart. Default 5000. */
  readonly skewMs?: number;
  /** How long one read may take; one of another process is waited for no longer before this one reads too. Default 10000. */
  readonly lockMs?: number;
}

/** What is remembered, and how old it is, in milliseconds. */
export interface Aged<T> {
  readonly value: T;
  readonly ageMs: number;
}

/** A cloud that is read as seldom as whoever asks allows, once for all who ask. */
export interface Cached extends Driver<InstanceFacts> {
  /** The freshness contract: an answer no older than `want.maxAgeMs`, with its age. */
  get(want: Want, signal: AbortSignal): Promise<Aged<Reading<InstanceFacts>>>;
  /** An instance by its ip, its id or its provider's name for it, without any call; null where none is remembered. */
  lookUp(what: Subject | string, now: Instant): Promise<Aged<InstanceFacts> | null>;
}

/**
 * Remembers what a cloud says, in the store, for all processes that share it. Whoever asks says how old the answer may be; only
 * where what is remembered is older is the provider read, once, however many ask, here or in other processes. A read that fails
 * leaves what is remembered as it was, and is not tried again sooner than it would be read anew, or after half a minute.
 *
 * @example
 * ```ts
 * probed(cached(ec2({ region: 'us-east-1' }), store, { ttlMs: 60_000 }), shell)
 * ```
 */
export function cached(driver: Driver<InstanceFacts>, store: Store, options: CachedOptions = {}): Cached {
  const { ttlMs = 300_000, staleMs = 0, skewMs = 5000, lockMs = 10_000 } = options;
  for (const [name, found] of Object.entries({ ttlMs, staleMs, skewMs, lockMs }))
    if (!Number.isFinite(found) || found < 0) throw new FleetError('ER0230', `cached: ${name} is ${found}; 0 or more is allowed`);
  const shelf = createShelf(store, driver.name, { skewMs, ttlMs: Math.max(SHELF_MS, 4 * ttlMs) });
  const owner = crypto.randomUUID();
  let reading: Promise<Shelved> | null = null;
  /** Why the last read failed, and when it was wanted. */
  let failure: { readonly error: unknown; readonly at: Instant } | null = null;
  /** What was handed out last. */
  let given: Shelved | null = null;

  /** Reads the provider, unless another process does so already: then its answer is waited for. */
  async function read(want: Want, signal: AbortSignal): Promise<Shelved> {
    for (const deadline = performance.now() + lockMs; ; ) {
      if (await store.add(lockKey, owner, lockMs)) break;
      await pause(POLL_MS, undefined, { signal });
      const shelved = await shelf.look(want.now);
      if (shelved && isFreshEnough(shelved, want)) return shelved;
      if (performance.now() > deadline) break;
    }
    const from = performance.now();
    try {
      const reading = await withinDeadline(lockMs, `reading ${driver.name}`, signal, (bounded) => driver.observe(want, bounded));
      return await shelf.put(reading, performance.now() - from);
    } finally {
      await store.swap(lockKey, owner, null);
    }
  }

  const lockKey = `read:${driver.name}:lock`;

  /** Whoever stops waiting does not end the read for the others. */
  function shared(want: Want, signal: AbortSignal): Promise<Shelved> {
    if (!reading) {
      failure = null;
      reading = read(want, new AbortController().signal).finally(() => {
        reading = null;
      });
      reading.catch((error: unknown) => {
        failure = { error, at: want.now };
      });
    }
    return orAborted(reading, signal);
  }

  /** An outage costs no more calls than the cloud's word would. A person may try each time. */
  const hasJustFailed = ({ now, maxAgeMs, caller }: Want): boolean =>
    failure !== null && caller !== 'person' && now - failure.at < Math.min(FAILED_MS, maxAgeMs);

  async function answer(want: Want, signal: AbortSignal): Promise<Shelved> {
    signal.throwIfAborted();
    const shelved = await shelf.look(want.now);
    if (shelved && isFreshEnough(shelved, want)) return shelved;
    const isIdle = want.caller === undefined || want.caller === 'beat';
    if (shelved && isIdle && want.now - shelved.reading.readAt <= want.maxAgeMs + staleMs) {
      if (!hasJustFailed(want)) void shared(want, signal).catch(() => {});
      return shelved;
    }
    if (failure && hasJustFailed(want)) throw failure.error;
    const read = await shared(want, signal);
    if (isFreshEnough(read, want)) return read;
    // It had begun before it was asked for.
    return shared(want, signal);
  }

  return {
    name: driver.name,
    everyMs: Math.max(ttlMs, driver.everyMs),
    async observe(want, signal) {
      const shelved = await answer(want, signal);
      const isRemembered = shelved.version === given?.version;
      given = shelved;
      return isRemembered ? { ...shelved.reading, isRemembered } : shelved.reading;
    },
    async get(want, signal) {
      const { reading: value } = await answer(want, signal);
      return { value, ageMs: Math.max(0, want.now - value.readAt) };
    },
    async lookUp(what, now) {
      const shelved = await shelf.look(now);
      const value = shelved?.reading.items.find(isMeantBy(what));
      return value ? { value, ageMs: Math.max(0, now - value.readAt) } : null;
    },
    perform: (calls, signal) => driver.perform(calls, signal),
    ...(driver.onCall && { onCall: driver.onCall.bind(driver) }),
  };
}

const POLL_MS = 200;
/** How long a cloud that could not be read is left alone at most. */
const FAILED_MS = 30_000;
/** How long a reading is remembered at least, however seldom a spent budget lets a new one be made. */
const SHELF_MS = 24 * 3_600_000;

const isFreshEnough = ({ reading }: Shelved, { now, maxAgeMs }: Want): boolean => now - reading.readAt <= maxAgeMs;

const isMeantBy =
  (what: Subject | string) =>
  ({ cloud, id, ip, name }: InstanceFacts): boolean => {
    if (typeof what === 'string') return what === ip || what === id || what === name;
    return 'ip' in what ? what.ip === ip : id !== null && what.key === instanceKey(cloud, id);
  };

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
