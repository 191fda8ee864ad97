import fc from 'fast-check';
import { asInstant, type Change, FleetError, type Problem, type Store, serviceKey } from 'fleetbeat';
import { functionDoctor } from 'fleetbeat/adapters/doctors/function';
import { memory } from 'fleetbeat/adapters/memory';
import { describe, expect, test } from 'vitest';
import type { Answer, Batch, Doctor } from '../../src/contracts.ts';
import { createOutbox, type OutboxOptions, type Parked } from '../../src/outbox.ts';
import { serviceChange } from '../support/changes.ts';
import { crashingStore } from '../support/crashing-store.ts';
import { turns } from '../support/turns.ts';

const POLICY = {
  deliverAttempts: 3,
  backoffMs: 1000,
  backoffMaxMs: 60_000,
  graceMs: 5000,
  historyMs: 3_600_000,
  deliverMs: 60_000,
};

/** A doctor that writes down what it takes, unless it minds. */
function hearer(name: string, minds: (batch: Batch) => void | Promise<void> = () => {}) {
  const batches: Batch[] = [];
  let calls = 0;
  const doctor = functionDoctor(name, async (batch) => {
    calls++;
    await minds(batch);
    batches.push(batch);
  });
  return {
    doctor,
    batches,
    calls: () => calls,
    ids: () => batches.flatMap(({ changes }) => changes.map(({ id }) => id)),
  };
}

/** An outbox with the clock in the test's hand. */
function stage(doctors: readonly Doctor[], options: Partial<OutboxOptions> = {}, start = 1_000_000) {
  let now = start;
  const store = options.store ?? memory({ now: () => now });
  const parked: Parked[] = [];
  const problems: Problem[] = [];
  const storeErrors: unknown[] = [];
  const outbox = createOutbox({
    store,
    doctors,
    policy: POLICY,
    now: () => asInstant(now),
    isLeader: () => true,
    onAnswer: async () => {},
    onParked: (one) => parked.push(one),
    onProblem: (problem) => problems.push(problem),
    onStoreError: (error) => storeErrors.push(error),
    yieldTurn: async () => {},
    ...options,
  });
  return {
    ...outbox,
    store,
    told: { parked, problems, storeErrors },
    now: () => now,
    passTime(ms: number) {
      now += ms;
    },
    /** Pumps for so long, beat by beat. */
    async pass(ms: number, everyMs = 1000) {
      for (let left = ms; left > 0; left -= everyMs) {
        now += everyMs;
        outbox.pump();
        await outbox.idle();
      }
    },
  };
}

const one = (name: string, n: number) => serviceChange(name, n);
const idsOf = (changes: readonly Change[]) => changes.map(({ id }) => id);
const refusing = (name: string) => () => {
  throw new Error(`${name} is down`);
};
const isOf = (batch: Batch, name: string) => batch.changes.some(({ key }) => key === serviceKey(name));

describe('what is posted is delivered', () => {
  test('with its views as they were, to every doctor, in order', async () => {
    const [first, second] = [hearer('first'), hearer('second')];
    const { post, idle } = stage([first.doctor, second.doctor]);
    const changes = [one('a', 1), one('b', 2)];
    await post(changes);
    await post([one('a', 3)]);
    await idle();
    expect(first.batches.map((batch) => batch.changes)).toEqual([changes, [one('a', 3)]]);
    expect(second.batches).toEqual(first.batches);
    expect(first.batches[0]?.changes[0]?.to.holds.has('up')).toBe(true);
    expect(first.batches[0]?.changes[0]?.to.heldSince.get('up')).toBe(900);
  });

  test('once, and leaves nothing in the store but where each doctor stands', async () => {
    const { doctor, calls } = hearer('hook');
    const keys = new Set<string>();
    const store = memory();
    const watched: Store = {
      ...store,
      add(key, ...rest) {
        keys.add(key);
        return store.add(key, ...rest);
      },
    };
    const { post, idle, pass } = stage([doctor], { store: watched });
    for (let n = 1; n <= 5; n++) await post([one('a', n)]);
    await idle();
    await pass(10_000);
    expect(calls()).toBe(5);
    const left = await Promise.all([...keys].map(async (key) => [key, await store.get(key)] as const));
    expect(left.filter(([, text]) => text !== null).map(([key]) => key)).toEqual(['d:at:hook']);
  });

  test('after a restart, by whoever leads', async () => {
    const store = memory();
    const standby = stage([hearer('hook').doctor], { store, isLeader: () => false });
    await standby.post([one('a', 1)]);
    const { doctor, ids } = hearer('hook');
    const leader = stage([doctor], { store });
    leader.pump();
    await leader.idle();
    expect(ids()).toEqual(['e:1:services/a:0']);
  });

  test('in texts under 900 KB each, however much was posted at once', async () => {
    const { doctor, ids, batches } = hearer('hook');
    const store = memory();
    let largest = 0;
    const watched: Store = {
      ...store,
      add(key, text, ...rest) {
        largest = Math.max(largest, Buffer.byteLength(text));
        return store.add(key, text, ...rest);
      },
    };
    const { post, idle } = stage([doctor], { store: watched });
    const changes = Array.from({ length: 3000 }, (_, n) => serviceChange(`node${n}`, n, { reason: 'é'.repeat(100) }));
    await post(changes);
    await idle();
    expect(ids()).toEqual(idsOf(changes));
    expect(batches.length).toBeGreaterThan(1);
    expect(largest).toBeLessThanOrEqual(900_000);
  });

  test('also where the prose of a single change is too long for the store', async () => {
    const { doctor, batches } = hearer('hook');
    const { post, idle } = stage([doctor]);
    await post([serviceChange('a', 1, { reason: 'x'.repeat(2_000_000) })]);
    await idle();
    expect(batches[0]?.changes[0]?.to.state).toBe('up');
    expect(batches[0]?.changes[0]?.to.reason?.length).toBeLessThan(1000);
  });

  test('to a doctor that is new, from the oldest that is still there', async () => {
    const store = memory();
    const down = stage([hearer('down', refusing('down')).doctor], { store });
    await down.post([one('a', 1)]);
    await down.idle();
    const { doctor, ids } = hearer('new');
    const both = stage([hearer('down', refusing('down')).doctor, doctor], { store });
    both.pump();
    await both.idle();
    expect(ids()).toEqual(['e:1:services/a:0']);
  });
});

describe('a doctor that fails', () => {
  test('is told again with backoff, of the same batch, before anything else', async () => {
    let failures = 2;
    const { doctor, ids, calls } = hearer('hook', () => {
      if (failures-- > 0) throw new Error('not now');
    });
    const { post, idle, pump, pass } = stage([doctor]);
    await post([one('a', 1)]);
    await post([one('a', 2)]);
    await idle();
    pump();
    await idle();
    expect(calls()).toBe(1);
    await pass(10_000);
    expect(ids()).toEqual(['e:1:services/a:0', 'e:2:services/a:0']);
    expect(calls()).toBe(4);
  });

  test('is not told before the time that it asks for', async () => {
    let asked = false;
    const { doctor, ids } = hearer('hook', () => {
      if (asked) return;
      asked = true;
      throw Object.assign(new FleetError('ER0018', 'busy', { retryable: true }), { retryAfterMs: 30_000 });
    });
    const { post, pass } = stage([doctor]);
    await post([one('a', 1)]);
    await pass(29_000);
    expect(ids()).toEqual([]);
    await pass(3000);
    expect(ids()).toEqual(['e:1:services/a:0']);
  });

  test('past its attempts has its batch parked, which is told and listed', async () => {
    const { doctor, calls } = hearer('hook', refusing('the hook'));
    const { post, pass, parked, told, now } = stage([doctor]);
    await post([one('a', 1), one('b', 2)]);
    await pass(120_000);
    expect(calls()).toBe(3);
    const [listed, ...others] = await parked();
    expect(others).toEqual([]);
    expect(listed).toMatchObject({
      doctor: 'hook',
      keys: ['services/a', 'services/b'],
      attempts: 3,
      changes: 2,
      code: 'ER0018',
      message: 'the hook is down',
    });
    expect(listed?.since).toBeLessThanOrEqual(now());
    expect(told.parked).toEqual([listed]);
  });

  test('for good has its batch parked at once', async () => {
    const { doctor, calls } = hearer('hook', () => {
      throw new FleetError('ER0221', 'answered by 410');
    });
    const { post, idle, parked } = stage([doctor]);
    await post([one('a', 1)]);
    await idle();
    expect(calls()).toBe(1);
    expect(await parked()).toMatchObject([{ code: 'ER0221', message: 'answered by 410', attempts: 1 }]);
  });

  test('holds what comes later of the same entities, in order, and nothing else', async () => {
    let isDown = true;
    const { doctor, ids } = hearer('hook', (batch) => {
      if (isDown && isOf(batch, 'a')) throw new FleetError('ER0221', 'no');
    });
    const { post, idle, parked, redeliver } = stage([doctor]);
    await post([one('a', 1)]);
    await post([one('a', 2), one('b', 3)]);
    await post([one('b', 4)]);
    await post([one('a', 5)]);
    await idle();
    expect(ids()).toEqual(['e:3:services/b:0', 'e:4:services/b:0']);
    isDown = false;
    const [listed] = await parked();
    await redeliver(listed?.id ?? '');
    await post([one('a', 6)]);
    await idle();
    expect(ids().filter((id) => id.includes('/a:'))).toEqual([1, 2, 5, 6].map((n) => `e:${n}:services/a:0`));
    expect(await parked()).toEqual([]);
  });

  test('again, parks the batch again, and what is behind it waits on', async () => {
    const { doctor } = hearer('hook', () => {
      throw new FleetError('ER0221', 'no');
    });
    const { post, idle, parked, redeliver } = stage([doctor]);
    await post([one('a', 1)]);
    await post([one('a', 2)]);
    await idle();
    const before = await parked();
    await redeliver(before[0]?.id ?? '');
    await idle();
    expect(await parked()).toEqual(before);
  });

  test('is told of what comes behind a batch that was dismissed', async () => {
    const { doctor, ids } = hearer('hook', ({ changes }) => {
      if (changes[0]?.id === 'e:1:services/a:0') throw new FleetError('ER0221', 'no');
    });
    const { post, idle, parked, dismiss } = stage([doctor]);
    await post([one('a', 1)]);
    await post([one('a', 2)]);
    await idle();
    await dismiss((await parked())[0]?.id ?? '');
    await idle();
    expect(ids()).toEqual(['e:2:services/a:0']);
    expect(await parked()).toEqual([]);
  });

  test('is redelivered by the leader where another process says so', async () => {
    let isDown = true;
    const { doctor, ids } = hearer('hook', () => {
      if (isDown) throw new FleetError('ER0221', 'no');
    });
    const leader = stage([doctor]);
    await leader.post([one('a', 1)]);
    await leader.idle();
    isDown = false;
    const other = stage([hearer('hook').doctor], { store: leader.store, isLeader: () => false });
    await other.redeliver((await other.parked())[0]?.id ?? '');
    leader.pump();
    await leader.idle();
    expect(ids()).toEqual(['e:1:services/a:0']);
  });

  test('does not keep another one waiting', async () => {
    const { doctor, ids } = hearer('other');
    const { post, pass } = stage([hearer('hook', refusing('the hook')).doctor, doctor]);
    for (let n = 1; n <= 3; n++) await post([one('a', n)]);
    await pass(1000);
    expect(ids()).toHaveLength(3);
  });

  test('only because the fleet is stopped loses no attempt', async () => {
    const store = memory();
    const slow = functionDoctor(
      'hook',
      (_, signal) => new Promise<void>((__, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    );
    const first = stage([slow], { store });
    await first.post([one('a', 1)]);
    await turns();
    await first.stop();
    const { doctor, ids } = hearer('hook');
    const second = stage([doctor], { store });
    second.pump();
    await second.idle();
    expect(ids()).toEqual(['e:1:services/a:0']);
  });

  test('to know which batch is meant refuses the decision', async () => {
    const { redeliver, dismiss } = stage([hearer('hook').doctor]);
    await expect(redeliver('hook:none')).rejects.toMatchObject({ code: 'ER0205' });
    await expect(dismiss('')).rejects.toMatchObject({ code: 'ER0205' });
  });
});

describe('a slow doctor', () => {
  test('delays no post', async () => {
    const { doctor, calls } = hearer('hook', () => new Promise(() => {}));
    const { post } = stage([doctor]);
    for (let n = 1; n <= 20; n++) await post([one('a', n)]);
    expect(calls()).toBe(1);
  });

  test('has failed past its deadline, even where it does not heed its signal', async () => {
    const { doctor } = hearer('hook', () => new Promise(() => {}));
    const { post, idle, parked } = stage([doctor], { policy: { ...POLICY, deliverAttempts: 1, deliverMs: 20 } });
    await post([one('a', 1)]);
    await idle();
    expect(await parked()).toMatchObject([{ code: 'ER0212', attempts: 1 }]);
  });
});

describe('what a doctor answers', () => {
  const START = { level: 'services', action: 'start', group: 'a' } as const;

  test('is done before its batch counts as delivered, with the batch as its key', async () => {
    const answers: { answer: Answer; key: string }[] = [];
    let failures = 1;
    const keys: string[] = [];
    const doctor = functionDoctor('hook', async ({ id }) => {
      keys.push(id);
      return [START];
    });
    const { post, pass } = stage([doctor], {
      async onAnswer(answer, { key }) {
        if (failures-- > 0) throw new FleetError('ER0228', 'the store is away', { retryable: true });
        answers.push({ answer, key });
      },
    });
    await post([one('a', 1)]);
    await pass(20_000);
    expect(keys).toHaveLength(2);
    expect(keys[0]).toBe(keys[1]);
    expect(answers).toEqual([{ answer: [START], key: keys[0] }]);
  });

  test('that cannot be done for good parks its batch', async () => {
    const { post, idle, parked } = stage([functionDoctor('hook', async () => [START])], {
      async onAnswer() {
        throw new FleetError('ER0203', 'no service is called a');
      },
    });
    await post([one('a', 1)]);
    await idle();
    expect(await parked()).toMatchObject([{ code: 'ER0203' }]);
  });
});

describe('the store', () => {
  test('that fails keeps nothing from being posted later, in order', async () => {
    const { doctor, ids } = hearer('hook');
    const store = memory();
    let isDown = true;
    const failing: Store = {
      ...store,
      increment: async (key) => {
        if (isDown) throw new FleetError('ER0228', 'away', { retryable: true });
        return store.increment(key);
      },
    };
    const { post, pass } = stage([doctor], { store: failing });
    await expect(post([one('a', 1)])).rejects.toMatchObject({ code: 'ER0228' });
    await expect(post([one('a', 2)])).rejects.toMatchObject({ code: 'ER0228' });
    isDown = false;
    await pass(1000);
    expect(ids()).toEqual(['e:1:services/a:0', 'e:2:services/a:0']);
  });

  test('with a place that nobody filled is passed over after a while, and whoever was only slow takes another place', async () => {
    const { doctor, ids } = hearer('hook');
    const store = memory();
    let hold: (() => void) | undefined;
    const slow: Store = {
      ...store,
      add: async (key, ...rest) => {
        if (key === 'd:1' && !hold) await new Promise<void>((resolve) => (hold = resolve));
        return store.add(key, ...rest);
      },
    };
    const slowPost = stage([doctor], { store: slow, isLeader: () => false }).post([one('a', 1)]);
    const leader = stage([doctor], { store });
    await leader.post([one('b', 2)]);
    await leader.idle();
    expect(ids()).toEqual([]);
    await leader.pass(6000);
    expect(ids()).toEqual(['e:2:services/b:0']);
    hold?.();
    await slowPost;
    await leader.pass(1000);
    expect(ids()).toEqual(['e:2:services/b:0', 'e:1:services/a:0']);
  });

  test('that has lost everything begins anew', async () => {
    const { doctor, ids } = hearer('hook');
    let now = memory();
    const store: Store = {
      get: (key) => now.get(key),
      set: (...all) => now.set(...all),
      add: (...all) => now.add(...all),
      swap: (...all) => now.swap(...all),
      delete: (key) => now.delete(key),
      increment: (key) => now.increment(key),
    };
    const { post, pass } = stage([doctor], { store });
    for (let n = 1; n <= 3; n++) await post([one('a', n)]);
    await pass(1000);
    now = memory();
    await post([one('a', 4)]);
    await pass(1000);
    expect(ids()).toHaveLength(4);
  });

  test('that has lost its counter alone counts anew, and what is posted then is told', async () => {
    const { doctor, ids } = hearer('hook');
    const { post, pass, store } = stage([doctor]);
    for (let n = 1; n <= 3; n++) await post([one('a', n)]);
    await pass(1000);
    await store.delete('d:last');
    await post([one('a', 4)]);
    await pass(1000);
    expect(ids().at(-1)).toBe('e:4:services/a:0');
  });

  test('that has forgotten a place that was given up loses nothing behind it', async () => {
    let isDown = true;
    const { doctor, ids } = hearer('hook', () => {
      if (isDown) throw new FleetError('ER0221', 'no');
    });
    const { post, pass, passTime, parked, redeliver, store } = stage([doctor]);
    await post([one('a', 1)]);
    await store.increment('d:last');
    await post([one('a', 3)]);
    await pass(10_000);
    isDown = false;
    passTime(2 * POLICY.historyMs);
    await redeliver((await parked())[0]?.id ?? '');
    await pass(10_000);
    expect(ids()).toEqual(['e:1:services/a:0', 'e:3:services/a:0']);
  });

  test('that has lost a hold tells its batch again', async () => {
    let isDown = true;
    const { doctor, ids } = hearer('hook', () => {
      if (isDown) throw new FleetError('ER0221', 'no');
    });
    const { post, idle, pass, parked, store } = stage([doctor]);
    await post([one('a', 1)]);
    await idle();
    const [listed] = await parked();
    await store.delete(`d:hold:hook:${listed?.batch}`);
    isDown = false;
    await pass(1000);
    expect(ids()).toEqual(['e:1:services/a:0']);
  });

  test('with changes of another version keeps them aside and says so', async () => {
    const { doctor, ids } = hearer('hook');
    const { post, idle, store, told } = stage([doctor]);
    await store.increment('d:last');
    await store.set('d:1', '{"version":2}');
    await post([one('a', 1)]);
    await idle();
    expect(ids()).toEqual(['e:1:services/a:0']);
    expect(told.problems).toMatchObject([{ subject: 'doctors/hook', code: 'ER0228' }]);
    expect(await store.get('d:aside:1')).toBe('{"version":2}');
  });

  test('that only a standby reaches is delivered from by nobody', async () => {
    const { doctor, calls } = hearer('hook');
    const { post, pass } = stage([doctor], { isLeader: () => false });
    await post([one('a', 1)]);
    await pass(5000);
    expect(calls()).toBe(0);
  });
});

test('doctors without a usable name, or with the same, are refused', () => {
  const named =
    (...names: string[]) =>
    () =>
      stage(names.map((name) => hearer(name).doctor));
  expect(named('a b')).toThrow('Configuration error');
  expect(named('a', 'a')).toThrow('Configuration error');
});

test('two that both believe to lead lose nothing, and keep the order of each entity', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), async (scheduler) => {
      const store = scheduled(memory(), scheduler);
      const told: string[] = [];
      const isMinded = new Set(['e:1:services/a:0', 'e:4:services/b:0']);
      const doctor = functionDoctor('hook', async ({ changes }) => {
        for (const id of idsOf(changes)) if (isMinded.delete(id)) throw new FleetError('ER0221', 'no');
        told.push(...idsOf(changes));
      });
      const one = stage([doctor], { store });
      const other = stage([doctor], { store });
      const posting = (async () => {
        await one.post([serviceChange('a', 1), serviceChange('b', 2)]);
        await other.post([serviceChange('a', 3), serviceChange('b', 4)]);
        await one.post([serviceChange('a', 5), serviceChange('b', 6)]);
        await Promise.all([one.idle(), other.idle()]);
      })();
      await scheduler.waitFor(posting);
      const recovering = (async () => {
        for (let i = 0; i < 4; i++) {
          for (const { id } of await one.parked()) await one.redeliver(id);
          await one.pass(1000);
        }
      })();
      await scheduler.waitFor(recovering);
      const firsts = [...new Set(told)];
      expect(firsts.filter((id) => id.includes('/a:'))).toEqual([1, 3, 5].map((n) => `e:${n}:services/a:0`));
      expect(firsts.filter((id) => id.includes('/b:'))).toEqual([2, 4, 6].map((n) => `e:${n}:services/b:0`));
    }),
    { numRuns: 60 },
  );
});

/** A store whose operations end in any order. */
const scheduled = (store: Store, scheduler: fc.Scheduler): Store => ({
  get: scheduler.scheduleFunction((key) => store.get(key)),
  set: scheduler.scheduleFunction((...all) => store.set(...all)),
  add: scheduler.scheduleFunction((...all) => store.add(...all)),
  swap: scheduler.scheduleFunction((...all) => store.swap(...all)),
  delete: scheduler.scheduleFunction((key) => store.delete(key)),
  increment: scheduler.scheduleFunction((key) => store.increment(key)),
});

describe('a process that dies at any operation of the store', () => {
  const POSTS: readonly (readonly Change[])[] = [
    [one('bad', 1)],
    [one('bad', 2), one('good', 3)],
    [one('good', 4), one('other', 5)],
    [one('bad', 6), one('other', 7)],
  ];

  /** The doctor minds `bad` until `isWell`; then everything that is parked is redelivered. */
  async function live(store: Store, from: number, told: Change[], isWell: () => boolean): Promise<number> {
    const doctor = functionDoctor('hook', async ({ changes }) => {
      if (!isWell() && changes.some(({ key }) => key === serviceKey('bad'))) throw new FleetError('ER0221', 'no');
      told.push(...changes);
    });
    const { post, pass, parked, redeliver, stop } = stage([doctor], { store });
    let posted = from;
    try {
      for (; posted < POSTS.length; posted++) {
        await post(POSTS[posted] ?? []);
        await pass(1000);
      }
      for (const { id } of isWell() ? await parked() : []) await redeliver(id);
      await pass(10_000);
    } catch {
      // This is the death that the test is about.
    }
    await stop();
    return posted;
  }

  /** The first time that each change was told. */
  const firsts = (told: readonly Change[], name: string) => [
    ...new Set(told.filter(({ key }) => key === serviceKey(name)).map(({ id }) => id)),
  ];

  test.each(['before', 'after'] as const)('loses nothing and keeps the order of each entity (%s it is done)', async (when) => {
    const undisturbed = crashingStore(memory());
    await live(undisturbed, 0, [], () => false);
    expect(undisturbed.operations).toBeGreaterThan(50);
    for (let at = 1; at <= undisturbed.operations; at++) {
      const store = memory();
      const told: Change[] = [];
      const posted = await live(crashingStore(store, at, when), 0, told, () => false);
      await live(store, posted, told, () => true);
      for (const name of ['bad', 'good', 'other']) {
        const expected = idsOf(POSTS.flat().filter(({ key }) => key === serviceKey(name)));
        expect(firsts(told, name), `${name}, dead at operation ${at}`).toEqual(expected);
      }
    }
  });

  test.each(['before', 'after'] as const)('also while what was parked is told again (%s it is done)', async (when) => {
    const prepare = async () => {
      const store = memory();
      const told: Change[] = [];
      await live(store, 0, told, () => false);
      return { store, told };
    };
    const { store } = await prepare();
    const undisturbed = crashingStore(store);
    await live(undisturbed, POSTS.length, [], () => true);
    for (let at = 1; at <= undisturbed.operations; at++) {
      const { store, told } = await prepare();
      await live(crashingStore(store, at, when), POSTS.length, told, () => true);
      await live(store, POSTS.length, told, () => true);
      expect(firsts(told, 'bad'), `dead at operation ${at}`).toEqual([
        'e:1:services/bad:0',
        'e:2:services/bad:0',
        'e:6:services/bad:0',
      ]);
    }
  });
});
