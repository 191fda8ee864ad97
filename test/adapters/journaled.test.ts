import type { Store } from 'fleetbeat';
import { type JournaledOptions, type JournaledStore, journaled } from 'fleetbeat/adapters/journaled';
import { memcached } from 'fleetbeat/adapters/memcached';
import { memory } from 'fleetbeat/adapters/memory';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { storeContract } from '../../src/testing/store-contract.ts';
import { lossyStore } from '../support/lossy-store.ts';
import { type MemcachedServer, requires, startMemcached } from '../support/servers.ts';

requires('memcached')('journaled keeps the contract of a store', () => {
  let server: MemcachedServer;
  beforeAll(async () => {
    server = await startMemcached();
  });
  afterAll(() => server.stop());

  for (const { name, run } of storeContract) {
    test.concurrent(name, () =>
      run(async () => journaled(memcached({ servers: server.address, prefix: 'test:' }), memory(), QUICK)),
    );
  }
});

const QUICK = { settleMs: 5 };
const DAY_MS = 24 * 60 * 60 * 1000;

const stores: JournaledStore[] = [];
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close?.();
});

/** A store that is closed after the test. */
function opened(shared: Store, journal: Store, options: JournaledOptions = QUICK): JournaledStore {
  const store = journaled(shared, journal, options);
  stores.push(store);
  return store;
}

/** Hosts with a journal each, and the shared store that they meet in and that is lost. */
function world(...hosts: readonly string[]) {
  const { store: shared, lose } = lossyStore();
  const journals = new Map(hosts.map((host) => [host, memory()]));
  const process = (host: string, over: Partial<Store> = {}, options: JournaledOptions = QUICK): JournaledStore => {
    const journal = journals.get(host);
    if (!journal) throw new Error(`no host ${host}`);
    return opened({ ...shared, ...over }, journal, options);
  };
  return { shared, lose, process };
}

/** Not heard of again by itself for so long that a test can be sure of it. */
const SLOW = { settleMs: 400 };

/** A process that does one thing and ends. */
async function once(store: JournaledStore, act: (store: Store) => Promise<unknown>): Promise<void> {
  await act(store);
  await store.close?.();
}

describe('what a loss leaves', () => {
  test('is all that has no ttl, as it was last', async () => {
    const { process, lose } = world('one');
    const store = process('one');
    await store.set('armed', 'waiting');
    await store.swap('armed', 'waiting', 'dispatching');
    await store.add('leader', 'one');
    lose();
    expect(await store.get('armed')).toBe('dispatching');
    expect(await store.add('leader', 'two')).toBe(false);
  });

  test('is not what was deleted, nor what had a ttl from the start', async () => {
    const { process, lose } = world('one');
    const store = process('one');
    await store.set('q:1', 'id');
    await store.delete('q:1');
    await store.set('q:2', 'id');
    await store.swap('q:2', 'id', null);
    await store.add('claim', 'one', DAY_MS);
    lose();
    expect(await Promise.all(['q:1', 'q:2', 'claim'].map((key) => store.get(key)))).toEqual([null, null, null]);
  });

  test('is what had ended, as ended, for the rest of its ttl', async () => {
    const { process, lose, shared } = world('one');
    const store = process('one');
    await store.set('armed', 'waiting');
    await store.swap('armed', 'waiting', 'done', DAY_MS);
    lose();
    expect(await store.get('armed')).toBe('done');
    expect(await shared.get('armed')).toMatch(/^~/);
  });

  test('is there again for a process that knew nothing of it', async () => {
    const { process, lose } = world('one', 'two');
    const [one, two] = [process('one'), process('two')];
    await one.set('armed', 'waiting');
    lose();
    await one.get('anything');
    expect(await two.get('armed')).toBe('waiting');
  });

  test('outlives the process that wrote it, by the journal that it shared', async () => {
    const { process, lose } = world('one');
    await once(process('one'), (store) => store.set('armed', 'waiting'));
    lose();
    expect(await process('one').get('armed')).toBe('waiting');
  });

  test('outlives the host that wrote it, where another has seen it', async () => {
    const { process, lose } = world('one', 'two');
    const one = process('one');
    const two = process('two');
    await one.set('armed', 'waiting');
    await two.get('armed');
    await one.close?.();
    lose();
    expect(await two.get('armed')).toBe('waiting');
  });

  test.each([
    ['the one that armed it', ['armer', 'leader']],
    ['the one that ended it', ['leader', 'armer']],
  ] as const)('is an ended action as ended, whoever comes first: %s', async (_, order) => {
    const { process, lose } = world('armer', 'leader');
    const stores = { armer: process('armer'), leader: process('leader') };
    await stores.armer.set('a:1', 'waiting');
    await stores.leader.swap('a:1', 'waiting', 'done', DAY_MS);
    lose();
    for (const name of order) await stores[name].get('anything');
    for (const name of order) expect(await stores[name].get('a:1')).toBe('done');
  });

  test.each([
    ['the one that had armed it', ['armer', 'leader']],
    ['the one that had deleted it', ['leader', 'armer']],
  ] as const)('is not what another has deleted, whoever comes first: %s', async (_, order) => {
    const { process, lose } = world('armer', 'leader');
    const stores = { armer: process('armer'), leader: process('leader') };
    await stores.armer.set('q:1', 'a:1');
    await stores.leader.delete('q:1');
    lose();
    for (const name of order) await stores[name].get('anything');
    for (const name of order) expect(await stores[name].get('q:1')).toBeNull();
  });

  test('is not what has ended while the one that armed it was away, even where all others are gone', async () => {
    const { process, lose } = world('armer', 'leader');
    await once(process('armer'), (store) => store.set('a:1', 'waiting'));
    await once(process('leader'), (store) => store.swap('a:1', 'waiting', 'done', DAY_MS));
    await once(process('armer'), (store) => store.get('anything'));
    lose();
    expect(await process('armer').get('a:1')).not.toBe('waiting');
  });

  test('can be added again where it was deleted', async () => {
    const { process, lose } = world('one', 'two');
    const [one, two] = [process('one'), process('two')];
    await one.set('k', 'first');
    await two.delete('k');
    lose();
    await two.get('anything');
    expect(await two.add('k', 'second')).toBe(true);
    expect(await one.get('k')).toBe('second');
    lose();
    expect(await one.get('k')).toBe('second');
  });
});

describe('a counter', () => {
  test('goes on above all it had given', async () => {
    const { process, lose } = world('one', 'two');
    const [one, two] = [process('one'), process('two')];
    await two.get('anything');
    const given: number[] = [];
    for (let i = 0; i < 5; i++) {
      given.push(await one.increment('fence'), await two.increment('fence'));
      lose();
    }
    expect(given).toEqual(given.toSorted((a, b) => a - b));
    expect(new Set(given).size).toBe(given.length);
  });

  test('goes on above them also for a process that had never asked for it', async () => {
    const { process, lose } = world('one', 'two');
    const [one, two] = [process('one'), process('two')];
    for (let i = 1; i <= 7; i++) expect(await one.increment('fence')).toBe(i);
    await two.get('anything');
    lose();
    expect(await two.increment('fence')).toBeGreaterThan(7);
  });

  test('goes on above them after all processes were down, and the shared store too', async () => {
    const { process, lose } = world('one');
    await once(process('one'), async (store) => {
      for (let i = 0; i < 250; i++) await store.increment('q:tail');
    });
    lose();
    const count = await process('one').increment('q:tail');
    expect(count).toBeGreaterThan(250);
    expect(count).toBeLessThanOrEqual(250 + 101);
  });

  test('goes on above them though one who knows less comes late', async () => {
    const { process, lose } = world('one', 'two');
    const one = process('one');
    await one.increment('fence');
    const late = process('two', {}, SLOW);
    await late.get('anything');
    for (let i = 0; i < 300; i++) await one.increment('fence');
    lose();
    const number = await one.increment('fence');
    expect(number).toBeGreaterThan(301);
    expect(await late.increment('fence')).toBeGreaterThan(number);
    expect(await one.increment('fence')).toBeGreaterThan(number);
  });

  test('reads after a loss as no less than before', async () => {
    const { process, lose } = world('one');
    const one = process('one');
    for (let i = 0; i < 3; i++) await one.increment('q:tail');
    lose();
    expect(Number(await one.get('q:tail'))).toBeGreaterThanOrEqual(3);
  });
});

describe('an operation that meets a loss', () => {
  test('waits until all others have published what they hold, though nobody asks them for anything', async () => {
    const { process, lose } = world('one', 'two');
    const [one, two] = [process('one', {}, { settleMs: 40 }), process('two', {}, { settleMs: 40 })];
    await Promise.all([one.get('anything'), two.get('anything')]);
    expect(await one.add('leader', 'one')).toBe(true);
    lose();
    expect(await two.add('leader', 'two')).toBe(false);
    expect(await two.get('leader')).toBe('one');
  });

  test('answers as if there had been none', async () => {
    const { process, lose } = world('one');
    const store = process('one');
    await store.set('k', 'old');
    await store.set('gone', 'old');
    for (const [act, answer] of [
      [() => store.swap('k', 'old', 'new'), true],
      [() => store.add('k', 'taken'), false],
      [() => store.get('k'), 'new'],
      [() => store.delete('gone'), true],
      [() => store.delete('gone'), false],
    ] as const) {
      lose();
      expect(await act()).toBe(answer);
    }
  });

  test('does not take a key that another holds, though it is free in the store for a moment', async () => {
    const { process, lose, shared } = world('one', 'two');
    const one = process('one');
    await one.get('anything');
    const late = process('two', {
      async add(key, value, ttlMs) {
        if (key === 'leader') {
          // The loss comes when it was found free already, and the holder is quicker to come back than the store.
          lose();
          const taken = await shared.add(key, value, ttlMs);
          await one.get('anything');
          return taken;
        }
        return shared.add(key, value, ttlMs);
      },
    });
    await late.get('anything');
    await one.add('leader', 'one');
    await shared.delete('leader');
    expect(await late.add('leader', 'two')).toBe(false);
    expect(await one.get('leader')).toBe('one');
    expect(await late.get('leader')).toBe('one');
  });

  test('is told once what it wrote is in the journal, and in the store that came after', async () => {
    const { process, lose, shared } = world('two');
    await process('two').get('anything');
    const journal = memory();
    const losing: Store = {
      ...journal,
      async add(key, value, ttlMs) {
        if (key.endsWith('armed')) lose();
        return journal.add(key, value, ttlMs);
      },
    };
    await opened(shared, losing, SLOW).set('armed', 'waiting');
    expect(await shared.get('armed')).toContain('waiting');
  });

  test('takes nothing from those who noticed the loss before it', async () => {
    const { process, lose } = world('one', 'two');
    const one = process('one');
    await one.add('leader', 'one');
    const late = process('two', {}, SLOW);
    await late.get('anything');
    lose();
    await one.get('anything');
    expect(await late.add('leader', 'two')).toBe(false);
    expect(await one.get('leader')).toBe('one');
  });

  test('fails where the shared store fails, and all is there once that is up again', async () => {
    const { lose, shared } = world();
    let isDown = false;
    const down = new Error('refused');
    const store = opened({ ...shared, get: (key) => (isDown ? Promise.reject(down) : shared.get(key)) }, memory());
    await store.set('armed', 'waiting');
    isDown = true;
    lose();
    await expect(store.get('armed')).rejects.toBe(down);
    isDown = false;
    expect(await store.get('armed')).toBe('waiting');
  });
});

describe('a loss', () => {
  test('is told once, when what was owed is there again', async () => {
    const { process, lose, shared } = world('one', 'two');
    const [one, two] = [process('one'), process('two')];
    const told: (readonly [string, string])[] = [];
    one.onLost((reason) => told.push(['one', reason]));
    const end = two.onLost((reason) => told.push(['two', reason]));
    await one.set('k', 'value');
    await two.get('k');
    expect(told).toEqual([]);
    lose();
    end();
    await Promise.all([one.get('k'), one.get('k'), two.get('k'), two.get('k')]);
    await one.get('k');
    expect(told).toEqual([['one', expect.stringContaining('1 keys')]]);
    expect(await shared.get('k')).toContain('value');
  });

  test('while all were down is told by the first that comes back', async () => {
    const { process, lose } = world('one');
    await process('one').set('k', 'value');
    lose();
    const back = process('one');
    const told: string[] = [];
    back.onLost((reason) => told.push(reason));
    await back.get('k');
    expect(told).toHaveLength(1);
  });
});

describe('the journal', () => {
  const keysOf = async (journal: Store): Promise<readonly string[]> => {
    const parts = await Promise.all(Array.from({ length: 64 }, (_, part) => journal.get(`journal:keys:${part}`)));
    return parts.flatMap((part) => (part === null ? [] : JSON.parse(part).keys));
  };

  test('lets go of what has ended, here or elsewhere', async () => {
    let now = Date.now();
    const clock = () => now;
    const { store: shared } = lossyStore();
    const journal = memory({ now: clock });
    const open = (held: Store) => opened(shared, held, { ...QUICK, now: clock, keepMs: DAY_MS });
    const [one, other] = [open(journal), open(memory({ now: clock }))];
    for (let i = 0; i < 30; i++) await one.set(`q:${i}`, `a:${i}`);
    for (let i = 0; i < 10; i++) await one.delete(`q:${i}`);
    for (let i = 10; i < 20; i++) await other.swap(`q:${i}`, `a:${i}`, 'done', DAY_MS);
    for (let i = 20; i < 29; i++) await other.delete(`q:${i}`);
    now += DAY_MS / 2;
    await one.get('anything');
    now += DAY_MS * 2;
    await one.get('anything');
    expect(await keysOf(journal)).toEqual(['q:29']);
  });

  test('that processes share has what was written last, though it was not written down last', async () => {
    const { lose, shared } = world();
    const journal = memory();
    const leader = opened(shared, journal);
    let isEnded = false;
    const slow: Store = {
      ...journal,
      async swap(key, expected, next, ttlMs) {
        if (key.endsWith('a:1') && !isEnded) {
          isEnded = true;
          await leader.swap('a:1', 'cancelling', 'cancelled', DAY_MS);
        }
        return journal.swap(key, expected, next, ttlMs);
      },
    };
    const other = opened(shared, slow);
    await other.set('a:1', 'waiting');
    await other.swap('a:1', 'waiting', 'cancelling');
    await Promise.all([leader.close?.(), other.close?.()]);
    lose();
    expect(await opened(shared, journal).get('a:1')).toBe('cancelled');
  });

  test('of a failed write has nothing', async () => {
    const { shared } = world();
    const journal = memory();
    const store = opened(
      { ...shared, add: async (key, ...rest) => (key === 'k' ? Promise.reject(new Error('late')) : shared.add(key, ...rest)) },
      journal,
    );
    await expect(store.set('k', 'value')).rejects.toThrow('late');
    expect(await keysOf(journal)).toEqual([]);
  });
});

describe('journaled', () => {
  test('a key like one of its own is a key', async () => {
    const { process } = world('one');
    const store = process('one');
    await store.set('journaled:epoch', 'value');
    expect(await store.increment('journaled:counters')).toBe(1);
    expect(await store.get('journaled:epoch')).toBe('value');
  });

  test('what no journaled store has written is an error', async () => {
    const { process, shared } = world('one');
    await shared.set('k', 'value');
    await expect(process('one').get('k')).rejects.toMatchObject({ code: 'ER0228', retryable: false });
  });

  test('a shared store that is lost again and again is an error that may pass', async () => {
    const { lose, shared } = world();
    const losing: Store = {
      ...shared,
      async get(key) {
        if (key === 'k') lose();
        return shared.get(key);
      },
    };
    const store = opened(losing, memory());
    await expect(store.get('k')).rejects.toMatchObject({ code: 'ER0228', retryable: true });
  });

  test.each([{ keepMs: 0 }, { keepMs: Number.NaN }, { settleMs: -1 }])('the options %j are refused', (options) => {
    expect(() => journaled(memory(), memory(), options)).toThrow(expect.objectContaining({ code: 'ER0230' }));
  });

  test('close closes both stores', async () => {
    const closed: string[] = [];
    const closing = (name: string): Store => ({ ...memory(), close: async () => void closed.push(name) });
    await journaled(closing('shared'), closing('journal')).close?.();
    expect(closed.toSorted()).toEqual(['journal', 'shared']);
  });
});
