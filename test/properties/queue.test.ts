import fc from 'fast-check';
import { type Action, asInstant, isEnded, isLive, NOW, type ServiceVerb, type Step, type Store, serviceKey } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { expect, test } from 'vitest';
import { nameOf } from '../../src/domain/identity.ts';
import { isFirstInLane } from '../../src/domain/lanes.ts';
import { type ActionQueue, createQueue } from '../../src/queue.ts';
import { delayed, stepByStep } from './delayed-store.ts';
import { PATIENCE_MS, RUNS } from './runs.ts';

type Move =
  | { readonly is: 'arm'; readonly service: string; readonly verbs: readonly ServiceVerb[] }
  | { readonly is: 'put in front'; readonly draw: number; readonly verbs: readonly ServiceVerb[] }
  | { readonly is: 'write'; readonly draw: number; readonly status: 'waiting' | 'failed' | 'done' | 'cancelled' }
  | { readonly is: 'refresh'; readonly full: boolean }
  | { readonly is: 'tidy' };

const verbs = fc.uniqueArray(fc.constantFrom<ServiceVerb>('install', 'start', 'restart', 'sync'), { minLength: 1, maxLength: 3 });
const service = fc.constantFrom('a', 'b');

const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ is: fc.constant('arm'), service, verbs }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant('put in front'), draw: fc.nat(), verbs }) },
  {
    weight: 4,
    arbitrary: fc.record({
      is: fc.constant('write'),
      draw: fc.nat(),
      status: fc.constantFrom('waiting', 'failed', 'done', 'cancelled'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ is: fc.constant('refresh'), full: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant<Move>({ is: 'tidy' }) },
);

const program = fc.array(move, { minLength: 1, maxLength: 12 });

const POLICY = { expiresMs: 60_000, historyMs: 60_000, graceMs: 5_000 };
const now = asInstant(0);

const queueOn = (store: Store, isLeader: boolean): ActionQueue =>
  createQueue(store, POLICY, { written: () => {}, found: () => {}, lost: () => {}, unfit: () => {}, isLeader: () => isLeader });

const stepsOf = (name: string, list: readonly ServiceVerb[]): readonly Step[] =>
  list.map((verb) => ({ lane: serviceKey(name), when: NOW, do: { level: 'services', name, verb } }));

/** What the fleets have been told, so that nothing of it can be lost. */
interface Book {
  readonly armed: Map<string, Action>;
  readonly ended: Set<string>;
}

/** One fleet's part of a history. Only the leader moves the head and puts steps in front. */
async function play(queue: ActionQueue, moves: readonly Move[], book: Book, isLeader: boolean): Promise<void> {
  const choose = (draw: number): Action | undefined => queue.all()[draw % Math.max(queue.all().length, 1)];
  const arm = async (steps: readonly Step[], before?: Action) => {
    const over = new Set(book.ended);
    const armed = await queue.arm(steps, () => now, before ? { before } : {});
    expect(armed.length).toBe(steps.length);
    for (const action of armed) {
      expect(over.has(action.token), `${action.token} had ended before it was armed`).toBe(false);
      book.armed.set(action.token, action);
    }
  };
  for (const step of moves) {
    if (step.is === 'arm') await arm(stepsOf(step.service, step.verbs));
    else if (step.is === 'refresh') await queue.refresh(() => now, step.full);
    else if (step.is === 'tidy') await (isLeader && queue.tidy());
    else {
      const chosen = choose(step.draw);
      if (!chosen) continue;
      if (step.is === 'write') {
        const written = await queue.update(chosen, { status: step.status });
        if (isEnded(written)) book.ended.add(written.token);
      } else if (isLeader) await arm(stepsOf(nameOf(chosen.lane), step.verbs), chosen);
    }
  }
}

const tokensOf = (actions: readonly Action[]) => actions.map(({ token }) => token);

const picture = (queue: ActionQueue): readonly unknown[] =>
  ['a', 'b'].map((name) => queue.lane(serviceKey(name)).map(({ token, status, order }) => ({ token, status, order })));

async function race(scheduler: fc.Scheduler, one: readonly Move[], other: readonly Move[]) {
  const store = memory({ now: () => now });
  const slow = delayed(store, scheduler);
  const queues = [queueOn(slow, true), queueOn(slow, false)] as const;
  const book: Book = { armed: new Map(), ended: new Set() };
  const work = async () => {
    await Promise.all([play(queues[0], one, book, true), play(queues[1], other, book, false)]);
    for (const queue of queues) await queue.refresh(() => now, true);
  };
  await stepByStep(scheduler, work(), () => {});
  const stored = queueOn(store, false);
  await stored.refresh(() => now, true);
  return { queues, stored, book };
}

test(
  'no action that was armed is lost, whoever else arms, writes, refreshes and tidies at the same time',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), program, program, async (scheduler, one, other) => {
        const { stored, book } = await race(scheduler, one, other);
        for (const { id, token } of book.armed.values()) {
          const record = await stored.find(id);
          if (!record) throw new Error(`the record of ${token} is gone`);
          if (!isEnded(record)) expect(stored.get(id)).toEqual(record);
          else if (record.token === token) expect(book.ended.has(token)).toBe(true);
        }
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);

test(
  'two fleets and the store agree on what is armed, and on its order',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), program, program, async (scheduler, one, other) => {
        const { queues, stored } = await race(scheduler, one, other);
        for (const queue of queues) expect(picture(queue)).toEqual(picture(stored));
        for (const name of ['a', 'b']) {
          const lane = stored.lane(serviceKey(name));
          const orders = lane.map(({ order }) => order);
          expect(orders).toEqual([...orders].sort((a, b) => a - b));
          expect(lane.filter((action) => isFirstInLane(action, lane))).toEqual(lane.slice(0, 1));
        }
        for (const action of stored.all()) expect(stored.byToken(action.token)).toBe(action);
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);

test(
  'what is armed twice is armed once while it lives, and anew once it has failed',
  async () => {
    await fc.assert(
      fc.asyncProperty(service, verbs, fc.boolean(), async (name, list, hasFailed) => {
        const store = memory({ now: () => now });
        const [leader, standby] = [queueOn(store, true), queueOn(store, false)];
        const first = await leader.arm(stepsOf(name, list), () => now);
        if (hasFailed) for (const action of first) await leader.update(action, { status: 'failed', attempts: 3 });
        for (const queue of [leader, standby]) {
          const again = await queue.arm(stepsOf(name, list), () => now);
          expect(again.map(({ id }) => id)).toEqual(first.map(({ id }) => id));
          for (const [i, action] of again.entries()) {
            if (hasFailed) expect(action).toMatchObject({ status: 'waiting', attempts: 0, history: [] });
            else expect(action.token).toBe(first[i]?.token);
          }
        }
        expect(leader.all().length).toBe(list.length);
        expect(leader.all().every(isLive)).toBe(true);
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);

test(
  'steps that are put in front of an action stand, in their order, between it and what was before it',
  async () => {
    await fc.assert(
      fc.asyncProperty(verbs, verbs, fc.nat(), async (list, front, draw) => {
        const queue = queueOn(memory({ now: () => now }), true);
        await queue.arm(stepsOf('a', list), () => now);
        const before = tokensOf(queue.lane(serviceKey('a')));
        const at = draw % before.length;
        const action = queue.lane(serviceKey('a'))[at];
        if (!action) throw new Error('a lane has what was armed in it');
        const armed = await queue.arm(stepsOf('a', front), () => now, { before: action });
        expect(tokensOf(queue.lane(serviceKey('a')))).toEqual([...before.slice(0, at), ...tokensOf(armed), ...before.slice(at)]);
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);

test(
  'the steps of a command that is given again stand in its order, whatever of it has failed or ended before',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        verbs,
        fc.array(fc.constantFrom('waiting', 'failed', 'done', 'cancelled'), { minLength: 3, maxLength: 3 }),
        fc.boolean(),
        async (list, statuses, isElsewhere) => {
          const store = memory({ now: () => now });
          const [queue, other] = [queueOn(store, true), queueOn(store, false)];
          for (const [i, action] of (await queue.arm(stepsOf('a', list), () => now)).entries())
            await queue.update(action, { status: statuses[i] ?? 'waiting' });
          const giver = isElsewhere ? other : queue;
          await giver.refresh(() => now, true);
          const armed = await giver.arm(stepsOf('a', list), () => now);
          await queue.refresh(() => now, true);
          expect(tokensOf(queue.lane(serviceKey('a')))).toEqual(tokensOf(armed));
        },
      ),
      RUNS,
    );
  },
  PATIENCE_MS,
);

test.each([
  ['tells how many there are', (key: string, ms: number) => key === 'q:tail' && ms === 0],
  ['has no record yet', (key: string) => key.startsWith('a:')],
])('a record that is being written is looked for as long as that may take, however slowly the store %s', async (_, isSlow) => {
  const store = memory({ now: () => now });
  let ms = 0;
  const clock = () => asInstant(ms);
  /** Its answer takes longer than a writer may. */
  const slow = async (key: string) => {
    const text = await store.get(key);
    if (isSlow(key, ms)) ms += 2 * POLICY.graceMs;
    return text;
  };
  let write = () => {};
  const written = new Promise<void>((resolve) => {
    write = resolve;
  });
  const add: Store['add'] = async (key, value, ttlMs) => {
    await written;
    return store.add(key, value, ttlMs);
  };
  const [leader, writer] = [queueOn({ ...store, get: slow }, true), queueOn({ ...store, add }, false)];
  const arming = writer.arm(stepsOf('a', ['start']), () => now);
  await expect.poll(() => store.get('q:1')).not.toBeNull();
  for (let looks = 0; looks < 2; looks++) {
    await leader.refresh(clock, false);
    await leader.tidy();
  }
  write();
  const armed = await arming;
  await leader.refresh(clock, false);
  expect(leader.all()).toEqual(armed);
});

test('a writer that was frozen before it wrote its record is heard by a leader that has given it up', async () => {
  const store = memory({ now: () => now });
  let ms = 0;
  const clock = () => asInstant(ms);
  let write = () => {};
  const thawed = new Promise<void>((resolve) => {
    write = resolve;
  });
  const add: Store['add'] = async (key, value, ttlMs) => {
    await thawed;
    return store.add(key, value, ttlMs);
  };
  const [leader, writer] = [queueOn(store, true), queueOn({ ...store, add }, false)];
  const arming = writer.arm(stepsOf('a', ['start']), clock);
  await expect.poll(() => store.get('q:1')).not.toBeNull();
  for (let looks = 0; looks < 3; looks++) {
    await leader.refresh(clock, false);
    await leader.tidy();
    ms += POLICY.graceMs;
  }
  expect(await store.get('q:head')).toBe('1');
  write();
  const armed = await arming;
  await leader.refresh(clock, false);
  expect(leader.all()).toEqual(armed);
});

test('a writer that has died before it wrote its record is not waited for', async () => {
  const store = memory({ now: () => now });
  let ms = 0;
  const clock = () => asInstant(ms);
  const leader = queueOn(store, true);
  await store.increment('q:tail');
  await store.set('q:1', 'nobody');
  const look = async () => {
    await leader.refresh(clock, false);
    await leader.tidy();
    return store.get('q:head');
  };
  expect(await look()).toBeNull();
  ms += POLICY.graceMs - 1;
  expect(await look()).toBeNull();
  ms += 1;
  expect(await look()).toBe('1');
});

/** A store that fails now and then, before it has done what it was asked or after. */
function flaky(store: Store, mishaps: readonly ('none' | 'before' | 'after')[]): Store & { mend(): void } {
  let calls = 0;
  let isMended = false;
  const perhaps = async <T>(act: () => Promise<T>): Promise<T> => {
    const mishap = isMended ? 'none' : (mishaps[calls++ % mishaps.length] ?? 'none');
    if (mishap === 'before') throw new Error('the store did not answer');
    const answer = await act();
    if (mishap === 'after') throw new Error('the answer of the store was lost');
    return answer;
  };
  return {
    get: (key) => perhaps(() => store.get(key)),
    set: (key, value, ttlMs) => perhaps(() => store.set(key, value, ttlMs)),
    add: (key, value, ttlMs) => perhaps(() => store.add(key, value, ttlMs)),
    swap: (key, expected, next, ttlMs) => perhaps(() => store.swap(key, expected, next, ttlMs)),
    delete: (key) => perhaps(() => store.delete(key)),
    increment: (key) => perhaps(() => store.increment(key)),
    mend() {
      isMended = true;
    },
  };
}

const mishaps = fc.array(fc.constantFrom('none', 'none', 'none', 'none', 'before', 'after'), { minLength: 5, maxLength: 40 });

test(
  'a store that fails now and then loses no action that it has taken',
  async () => {
    await fc.assert(
      fc.asyncProperty(program, mishaps, async (moves, faults) => {
        const store = flaky(memory({ now: () => now }), faults);
        const [leader, standby] = [queueOn(store, true), queueOn(store, false)];
        const book: Book = { armed: new Map(), ended: new Set() };
        for (const [i, step] of moves.entries())
          await play(i % 2 === 0 ? leader : standby, [step], book, i % 2 === 0).catch((error: unknown) => {
            if (!/the store|the answer/.test(String(error))) throw error;
          });
        store.mend();
        for (const queue of [leader, standby]) await queue.refresh(() => now, true);
        for (const [token, { id }] of book.armed) {
          const record = await leader.find(id);
          if (record?.token !== token || isEnded(record)) continue;
          expect(leader.get(id)?.token).toBe(token);
          expect(standby.get(id)?.token).toBe(token);
        }
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);
