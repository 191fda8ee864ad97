import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { Store } from '../contracts.ts';
import { isFleetError } from '../errors.ts';

/** One rule of the contract. `open` gives a new handle on the same store each time; the check closes what it opened. */
export interface StoreCheck {
  readonly name: string;
  /** Rejects with an AssertionError that says what was violated. */
  run(open: () => Promise<Store>): Promise<void>;
}

interface Scene {
  readonly store: Store;
  /** A second handle on the same store. */
  readonly other: Store;
  /** A key that no other run has used. */
  readonly key: (name: string) => string;
}

const check = (name: string, body: (scene: Scene) => Promise<void>): StoreCheck => ({
  name,
  async run(open) {
    const run = crypto.randomUUID();
    const [store, other] = [await open(), await open()];
    try {
      await body({ store, other, key: (suffix) => `${run}:${suffix}` });
    } finally {
      await store.close?.();
      await other.close?.();
    }
  },
});

const TTL_MS = 1000;
const EXPIRY_SLACK_MS = 10_000;
/** Two clocks of one machine may differ by their rounding. */
const ROUNDING_MS = 2;
const MIB = 1024 * 1024;

async function untilGone(store: Store, key: string): Promise<void> {
  const deadline = performance.now() + TTL_MS + EXPIRY_SLACK_MS;
  while ((await store.get(key)) !== null) {
    assert(performance.now() < deadline, `${key} is still there long after its ttl`);
    await pause(10);
  }
}

const HOSTILE_KEYS: readonly string[] = [
  '',
  ' ',
  'two words',
  'line\r\nflush_all\r\n',
  'nul\u0000byte',
  'k'.repeat(250),
  'k'.repeat(251),
  'k'.repeat(250 * 40),
  'ключ-鍵-🔑',
  '\ud800',
  '\udc00',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  '#',
];

const HOSTILE_VALUES: readonly string[] = [
  '',
  ' ',
  '0',
  '42',
  'null',
  'line\r\nEND\r\n',
  'nul\u0000byte',
  '{"events":[]}',
  'значение-値-💾',
  'lone \ud800 surrogate',
  '\ufeffmark',
];

/**
 * What every {@link Store} must do, as data, for any test runner. It takes some seconds of real time, for what expires, and
 * leaves some keys with random names behind.
 *
 * @example
 * ```ts
 * for (const { name, run } of storeContract) test(name, () => run(async () => myStore()));
 * ```
 */
export const storeContract: readonly StoreCheck[] = [
  check('a key that was never set is null', async ({ store, key }) => {
    assert.equal(await store.get(key('missing')), null);
  }),

  check('a value that is set is read through every handle, and replaced by the next', async ({ store, other, key }) => {
    await store.set(key('k'), 'first');
    assert.equal(await other.get(key('k')), 'first');
    await other.set(key('k'), 'second');
    assert.equal(await store.get(key('k')), 'second');
  }),

  check('add takes a free key once, and leaves a taken one as it is', async ({ store, other, key }) => {
    assert.equal(await store.add(key('k'), 'mine'), true, 'the key was free');
    assert.equal(await other.add(key('k'), 'yours'), false, 'the key was taken');
    assert.equal(await store.get(key('k')), 'mine');
  }),

  check('of many that add one key at once, one succeeds', async ({ store, other, key }) => {
    const owners = Array.from({ length: 40 }, (_, i) => `owner ${i}`);
    const taken = await Promise.all(owners.map((owner, i) => (i % 2 ? store : other).add(key('k'), owner)));
    assert.equal(taken.filter(Boolean).length, 1, 'owners that were told to have the key');
    assert.equal(await store.get(key('k')), owners[taken.indexOf(true)]);
  }),

  check('delete tells whether there was something, and frees the key', async ({ store, key }) => {
    await store.set(key('k'), 'value');
    assert.equal(await store.delete(key('k')), true);
    assert.equal(await store.get(key('k')), null);
    assert.equal(await store.delete(key('k')), false);
    assert.equal(await store.add(key('k'), 'again'), true);
  }),

  check('swap replaces exactly the expected value', async ({ store, key }) => {
    assert.equal(await store.swap(key('k'), '', 'value'), false, 'nothing was stored');
    await store.set(key('k'), 'old');
    assert.equal(await store.swap(key('k'), 'older', 'new'), false, 'another value was stored');
    assert.equal(await store.get(key('k')), 'old');
    assert.equal(await store.swap(key('k'), 'old', 'new'), true);
    assert.equal(await store.get(key('k')), 'new');
  }),

  check('swap to null deletes exactly the expected value', async ({ store, key }) => {
    await store.set(key('k'), 'old');
    assert.equal(await store.swap(key('k'), 'older', null), false);
    assert.equal(await store.get(key('k')), 'old');
    assert.equal(await store.swap(key('k'), 'old', null), true);
    assert.equal(await store.get(key('k')), null);
    assert.equal(await store.swap(key('k'), 'old', null), false);
  }),

  check('additions by swap from two handles at once lose none', async ({ store, other, key }) => {
    const [workers, rounds] = [8, 25];
    await store.set(key('sum'), 'sum 0');
    const addOne = async (handle: Store): Promise<void> => {
      for (;;) {
        const text = await handle.get(key('sum'));
        assert(text !== null, 'the value vanished');
        if (await handle.swap(key('sum'), text, `sum ${Number(text.slice(4)) + 1}`)) return;
      }
    };
    const worker = async (handle: Store): Promise<void> => {
      for (let i = 0; i < rounds; i++) await addOne(handle);
    };
    await Promise.all(Array.from({ length: workers }, (_, i) => worker(i % 2 ? store : other)));
    assert.equal(await store.get(key('sum')), `sum ${workers * rounds}`);
  }),

  check('of many that swap one value at once, one succeeds', async ({ store, other, key }) => {
    await store.set(key('k'), 'free');
    const claims = Array.from({ length: 40 }, (_, i) => (i % 2 ? store : other).swap(key('k'), 'free', `owner ${i}`));
    const taken = await Promise.all(claims);
    assert.equal(taken.filter(Boolean).length, 1, 'owners that were told to have it');
    assert.equal(await store.get(key('k')), `owner ${taken.indexOf(true)}`);
  }),

  check('of a swap to a value and one to null at once, one succeeds', async ({ store, other, key }) => {
    for (let round = 0; round < 50; round++) {
      await store.set(key('k'), 'old');
      const [replaced, deleted] = await Promise.all([store.swap(key('k'), 'old', 'new'), other.swap(key('k'), 'old', null)]);
      assert.notEqual(replaced, deleted, replaced ? 'both were told that they had swapped it' : 'neither swapped it');
      assert.equal(await store.get(key('k')), replaced ? 'new' : null);
    }
  }),

  check('a counter starts at 1 and is read as its decimal text', async ({ store, other, key }) => {
    assert.equal(await store.increment(key('n')), 1);
    assert.equal(await other.increment(key('n')), 2);
    assert.equal(await store.get(key('n')), '2');
    assert.equal(await store.add(key('n'), 'text'), false, 'a counter takes its key');
  }),

  check('increments from two handles at once give each number once', async ({ store, other, key }) => {
    const counts = await Promise.all(Array.from({ length: 200 }, (_, i) => (i % 2 ? store : other).increment(key('n'))));
    assert.deepEqual(
      counts.toSorted((a, b) => a - b),
      Array.from({ length: 200 }, (_, i) => i + 1),
    );
  }),

  check('a counter can be swapped away, and then starts at 1 again', async ({ store, key }) => {
    await store.increment(key('n'));
    assert.equal(await store.swap(key('n'), '2', null), false);
    assert.equal(await store.swap(key('n'), '1', null), true);
    assert.equal(await store.increment(key('n')), 1);
  }),

  check('a text is no counter, even one of digits', async ({ store, key }) => {
    await store.set(key('text'), '41');
    await assert.rejects(store.increment(key('text')), isFleetError, 'increment of a text must be refused');
    assert.equal(await store.get(key('text')), '41');
  }),

  check('a value with a ttl stays that long, then is gone and its key free', async ({ store, key }) => {
    const setAt = performance.now();
    await store.set(key('set'), 'value', TTL_MS);
    await store.add(key('added'), 'value', TTL_MS);
    await store.set(key('swapped'), 'value');
    await store.swap(key('swapped'), 'value', 'next', TTL_MS);
    for (const name of ['set', 'added', 'swapped']) {
      await untilGone(store, key(name));
      const keptMs = performance.now() - setAt;
      assert(keptMs >= TTL_MS - ROUNDING_MS, `${name}: gone after ${keptMs} of ${TTL_MS} ms`);
    }
    assert.equal(await store.swap(key('set'), 'value', 'next'), false, 'swap of what has expired');
    assert.equal(await store.delete(key('added')), false, 'delete of what has expired');
    assert.equal(await store.add(key('set'), 'again'), true, 'add to what has expired');
  }),

  check('a write without a ttl ends the ttl of the one before', async ({ store, key }) => {
    for (const name of ['set', 'swapped', 'last']) await store.set(key(name), 'value', TTL_MS);
    await store.set(key('set'), 'for good');
    await store.swap(key('swapped'), 'value', 'for good');
    await untilGone(store, key('last'));
    assert.equal(await store.get(key('set')), 'for good');
    assert.equal(await store.get(key('swapped')), 'for good');
  }),

  check('a lease that is renewed by swap outlasts its ttl, and one that is not is taken by one other', async (scene) => {
    const { store, other, key } = scene;
    await store.add(key('renewed'), 'term 1', TTL_MS);
    await store.add(key('abandoned'), 'term 1', TTL_MS);
    await pause(TTL_MS / 2);
    assert.equal(await store.swap(key('renewed'), 'term 1', 'term 2', 30 * TTL_MS), true);
    await untilGone(other, key('abandoned'));
    assert.equal(await other.get(key('renewed')), 'term 2');
    assert.equal(await other.add(key('renewed'), 'rival'), false, 'the renewed lease was free');
    const taken = await Promise.all([store, other].map((handle, i) => handle.add(key('abandoned'), `rival ${i}`, TTL_MS)));
    assert.equal(taken.filter(Boolean).length, 1, 'rivals that were told to have the abandoned lease');
  }),

  check('of two that claim 500 keys at once, each is claimed by one', async ({ store, other, key }) => {
    const claim = (handle: Store, owner: string) =>
      Promise.all(Array.from({ length: 500 }, (_, i) => handle.add(key(`claim ${i}`), owner, 60_000)));
    const [first, second] = await Promise.all([claim(store, 'first'), claim(other, 'second')]);
    for (const [i, isFirst] of first.entries()) {
      assert.notEqual(isFirst, second[i], `claim ${i} was given ${isFirst ? 'twice' : 'to nobody'}`);
      assert.equal(await store.get(key(`claim ${i}`)), isFirst ? 'first' : 'second');
    }
  }),

  check('a ttl of a fraction of a second expires, one of a hundred days does not', async ({ store, key }) => {
    await store.set(key('moment'), 'value', 1);
    await store.set(key('season'), 'value', 100 * 24 * 60 * 60 * 1000);
    await untilGone(store, key('moment'));
    assert.equal(await store.get(key('season')), 'value');
  }),

  check('a ttl that is not positive is refused', async ({ store, key }) => {
    for (const ttlMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await assert.rejects(store.set(key('k'), 'value', ttlMs), { code: 'ER0222' }, `ttlMs ${ttlMs}`);
    }
    assert.equal(await store.get(key('k')), null);
  }),

  check('any text is a key, and no two are one', async ({ store, key }) => {
    await Promise.all(HOSTILE_KEYS.map((name, i) => store.set(key(name), `value ${i}`)));
    for (const [i, name] of HOSTILE_KEYS.entries()) {
      const shown = JSON.stringify(name.slice(0, 40));
      assert.equal(await store.get(key(name)), `value ${i}`, `key …${shown}`);
      assert.equal(await store.swap(key(name), `value ${i}`, 'swapped'), true, `swap of key …${shown}`);
      assert.equal(await store.delete(key(name)), true, `delete of key …${shown}`);
      assert.equal(await store.increment(key(name)), 1, `increment of key …${shown}`);
    }
  }),

  check('a key stands for itself, whatever it is', async ({ store }) => {
    for (const name of HOSTILE_KEYS) {
      await store.set(name, 'value');
      assert.equal(await store.get(name), 'value', `key ${JSON.stringify(name.slice(0, 40))}`);
      assert.equal(await store.delete(name), true);
      assert.equal(await store.get(name), null);
    }
  }),

  check('any text is a value', async ({ store, key }) => {
    for (const value of HOSTILE_VALUES) {
      await store.set(key('k'), value);
      assert.equal(await store.get(key('k')), value, `set ${JSON.stringify(value)}`);
      assert.equal(await store.swap(key('k'), value, `${value}!`), true, `swap of ${JSON.stringify(value)}`);
      assert.equal(await store.get(key('k')), `${value}!`);
    }
  }),

  check('a value of 900,000 bytes is kept whole', async ({ store, key }) => {
    const value = 'é'.repeat(450_000);
    await store.set(key('k'), value);
    assert.equal((await store.get(key('k'))) === value, true, 'the value changed');
  }),

  check('a value of 8 MiB is kept whole, or refused with ER0223 and the old one left as it is', async ({ store, key }) => {
    const huge = 'x'.repeat(8 * MIB);
    const writes = {
      set: (name: string) => store.set(name, huge),
      swap: (name: string) => store.swap(name, 'old', huge),
      add: (name: string) => store.add(name, huge),
    };
    for (const [name, write] of Object.entries(writes)) {
      const old = name === 'add' ? null : 'old';
      if (old !== null) await store.set(key(name), old);
      const refusal: unknown = await write(key(name)).then(
        () => null,
        (error) => error,
      );
      if (refusal !== null) assert(isFleetError(refusal) && refusal.code === 'ER0223', `${name}: refused with ${refusal}`);
      const stored = await store.get(key(name));
      assert(stored === (refusal === null ? huge : old), `${name}: ${stored?.length ?? 'no'} characters are stored`);
    }
  }),
];
