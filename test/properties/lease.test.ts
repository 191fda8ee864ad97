import fc from 'fast-check';
import { asInstant, type Store } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { expect, test } from 'vitest';
import { createLease } from '../../src/lease.ts';
import { delayed, stepByStep } from './delayed-store.ts';
import { PATIENCE_MS, RUNS } from './runs.ts';

const LEASE_MS = 10;
/** Where the lease stands in the store. */
const LEADER = 'leader';

type Move = 'renew' | 'renew twice at once' | 'release';

/** Mostly renewals, as on each beat; a heartbeat that is pushed may ask for another one meanwhile. */
const move = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Move>('renew') },
  { weight: 1, arbitrary: fc.constantFrom<Move>('renew twice at once', 'release') },
);
const moves = fc.array(move, { minLength: 1, maxLength: 10 });
const ticks = fc.array(fc.integer({ min: 1, max: LEASE_MS }), { maxLength: 30 });
const abandoned = fc.constantFrom(null, 'not ours', JSON.stringify({ owner: 'gone', fence: 0, n: 7, leaseMs: LEASE_MS }));

/** Two rivals on one slow store; `look` sees them after everything that happens. */
async function compete(
  scheduler: fc.Scheduler,
  history: { readonly one: readonly Move[]; readonly other: readonly Move[]; readonly ticks: readonly number[] },
  left: string | null,
  look: (leases: readonly ReturnType<typeof createLease>[]) => void,
): Promise<void> {
  let now = 0;
  const store: Store = memory({ now: () => now });
  if (left !== null) await store.set(LEADER, left);
  const leases = ['one', 'other'].map((owner) => createLease(delayed(store, scheduler), { owner, now: () => asInstant(now) }));
  const play = async (lease: ReturnType<typeof createLease>, list: readonly Move[]) => {
    for (const move of list) {
      await scheduler.schedule(Promise.resolve(), move);
      if (move === 'release') await lease.release();
      else await Promise.all(Array.from({ length: move === 'renew' ? 1 : 2 }, () => lease.renew(LEASE_MS)));
    }
  };
  const pass = async () => {
    for (const ms of history.ticks) {
      await scheduler.schedule(Promise.resolve(), `${ms} ms pass`);
      now += ms;
    }
  };
  const [one, other] = leases;
  if (!one || !other) throw new Error('two rivals were made');
  await stepByStep(scheduler, Promise.all([play(one, history.one), play(other, history.other), pass()]), () => look(leases));
}

test(
  'two fleets never hold the lease at one instant, however slow the store is',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), moves, moves, ticks, abandoned, async (scheduler, one, other, ms, left) => {
        await compete(scheduler, { one, other, ticks: ms }, left, (leases) => {
          expect(leases.filter((lease) => lease.held()).length).toBeLessThan(2);
        });
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);

test(
  'each term of the lease has a higher fence than every term before it',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), moves, moves, ticks, abandoned, async (scheduler, one, other, ms, left) => {
        let holder = -1;
        let fence = 0;
        await compete(scheduler, { one, other, ticks: ms }, left, (leases) => {
          const now = leases.findIndex((lease) => lease.held());
          if (now < 0) return;
          const held = leases[now]?.fence ?? 0;
          if (now === holder) expect(held).toBeGreaterThanOrEqual(fence);
          else expect(held).toBeGreaterThan(fence);
          holder = now;
          fence = held;
        });
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);

test('a lease that was given back is free at once', async () => {
  const store = memory();
  const [one, other] = ['one', 'other'].map((owner) => createLease(store, { owner, now: () => asInstant(0) }));
  expect(await one?.renew(LEASE_MS)).toBe(true);
  expect(await other?.renew(LEASE_MS)).toBe(false);
  await one?.release();
  expect(one?.held()).toBe(false);
  expect(await other?.renew(LEASE_MS)).toBe(true);
});

test('a rival that was slow to take the lease does not take it with an older fence', async () => {
  const store = memory();
  const quick = createLease(store, { owner: 'quick', now: () => asInstant(0) });
  const overtaken: Store = {
    ...store,
    async add(key, value) {
      if (key === LEADER) {
        await quick.renew(LEASE_MS);
        await quick.release();
      }
      return store.add(key, value);
    },
  };
  const late = createLease(overtaken, { owner: 'late', now: () => asInstant(0) });
  await late.renew(LEASE_MS);
  await late.renew(LEASE_MS);
  expect(late.held()).toBe(true);
  expect(late.fence).toBeGreaterThan(quick.fence);
});
