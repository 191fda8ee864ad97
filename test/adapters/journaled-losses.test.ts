import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { type ActionId, asInstant, isFleetError, type Step, type Store } from 'fleetbeat';
import { journaled } from 'fleetbeat/adapters/journaled';
import { memcached } from 'fleetbeat/adapters/memcached';
import { memory } from 'fleetbeat/adapters/memory';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createLease } from '../../src/lease.ts';
import { type ActionPatch, type ActionQueue, createQueue } from '../../src/queue.ts';
import { delayed, stepByStep } from '../properties/delayed-store.ts';
import { PATIENCE_MS, RUNS } from '../properties/runs.ts';
import { lossyStore } from '../support/lossy-store.ts';
import { type MemcachedServer, requires, startMemcached } from '../support/servers.ts';

/** Longer than a host needs to notice a loss on a busy machine. */
const SETTLE_MS = 200;

const stores: Store[] = [];
const close = async () => {
  for (const store of stores.splice(0)) await store.close?.();
};
afterEach(close);

function opened(shared: Store, journal: Store, settleMs: number): Store {
  const store = journaled(shared, journal, { settleMs });
  stores.push(store);
  return store;
}

interface World {
  readonly one: Store;
  readonly two: Store;
}

const losses = fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 4 });

/** Two hosts on a slow store that is lost at any moment: all that they ask of it takes effect when the scheduler lets it. */
async function amid(
  scheduler: fc.Scheduler,
  pauses: readonly number[],
  work: (world: World) => Promise<unknown>,
): Promise<World> {
  const { store, lose } = lossyStore();
  const slow = delayed(store, scheduler);
  const [one, two] = [opened(slow, memory(), 1), opened(slow, memory(), 1)];
  const losing = async () => {
    for (const pause of pauses) {
      for (let i = 0; i <= pause; i++) await scheduler.schedule(Promise.resolve(), 'time passes');
      await scheduler.schedule(Promise.resolve(), 'the store is lost');
      lose();
    }
  };
  await stepByStep(scheduler, Promise.all([losing(), work({ one, two })]), () => {});
  return { one, two };
}

async function settled<T>(scheduler: fc.Scheduler, work: Promise<T>): Promise<T> {
  await stepByStep(scheduler, work, () => {});
  return work;
}

const moves = fc.array(fc.constantFrom('write', 'write', 'end', 'delete', 'read'), { minLength: 1, maxLength: 6 });

test(
  'what was written, ended or deleted last is what all find, whenever the store is lost',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        losses,
        fc.array(moves, { minLength: 3, maxLength: 3 }),
        async (scheduler, pauses, lists) => {
          const last = new Map<string, string | null>();
          const play = async (store: Store, other: Store, key: string, list: readonly string[]) => {
            for (const [i, move] of list.entries()) {
              const known = last.get(key) ?? null;
              const text = `${move} ${i}`;
              if (move === 'read') {
                await other.get(key);
                expect(await store.get(key)).toBe(known);
              } else if (move === 'write') {
                expect(known === null ? await store.add(key, text) : await store.swap(key, known, text)).toBe(true);
                last.set(key, text);
              } else if (known !== null) {
                const next = move === 'end' ? text : null;
                expect(await store.swap(key, known, next, move === 'end' ? 1e6 : undefined)).toBe(true);
                last.set(key, next);
              }
            }
          };
          const [first = [], second = [], third = []] = lists;
          const { one, two } = await amid(scheduler, pauses, ({ one, two }) =>
            Promise.all([play(one, two, 'a:1', first), play(one, two, 'a:2', second), play(two, one, 'a:3', third)]),
          );
          await settled(scheduler, Promise.all([one.get('anything'), two.get('anything')]));
          for (const [key, text] of last) {
            expect(await settled(scheduler, Promise.all([one.get(key), two.get(key)])), key).toEqual([text, text]);
          }
          await close();
        },
      ),
      RUNS,
    );
  },
  PATIENCE_MS,
);

test(
  'no number of a counter is given twice, nor a lower one after a higher, whenever the store is lost',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), losses, fc.nat(5), fc.nat(5), async (scheduler, pauses, ofOne, ofTwo) => {
        const given: number[] = [];
        const play = async (store: Store, count: number) => {
          for (let i = 0; i < count; i++) {
            const highest = Math.max(0, ...given);
            const number = await store.increment('fence');
            expect(number).toBeGreaterThan(highest);
            expect(given).not.toContain(number);
            given.push(number);
          }
        };
        await amid(scheduler, pauses, async ({ one, two }) => {
          await Promise.all([one.get('anything'), two.get('anything')]);
          await Promise.all([play(one, ofOne), play(two, ofTwo)]);
        });
        await close();
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);

requires('memcached')('a queue of actions over a memcached that is killed, restarted and flushed', () => {
  let server: MemcachedServer;
  beforeAll(async () => {
    server = await startMemcached();
  });
  afterAll(() => server.stop());

  const flush = () =>
    new Promise<void>((resolve, reject) => {
      const socket = connect({ host: server.host, port: server.port }, () => socket.end('flush_all\r\n'));
      socket.on('data', () => {}).on('close', () => resolve());
      socket.on('error', reject);
    });

  const move = fc.record({
    host: fc.nat(1),
    what: fc.constantFrom('arm', 'arm', 'begin', 'end', 'lead', 'crash'),
    loss: fc.option(fc.constantFrom('restart', 'flush'), { freq: 3 }),
  });

  test(
    'no action is lost, none that has ended comes back, and fences grow',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(move, { minLength: 12, maxLength: 20 }), async (history) => {
          await play(history);
          await close();
        }),
        { numRuns: RUNS.numRuns / 50, endOnFailure: true },
      );
    },
    PATIENCE_MS,
  );

  interface Host {
    readonly store: Store;
    readonly queue: ActionQueue;
    readonly lease: ReturnType<typeof createLease>;
  }

  async function play(history: readonly { host: number; what: string; loss: string | null }[]): Promise<void> {
    const prefix = `test${crypto.randomUUID()}:`;
    let now = 0;
    const journals = [memory(), memory()];
    const start = (host: number): Host => {
      const journal = journals[host];
      if (!journal) throw new Error(`no host ${host}`);
      const store = opened(memcached({ servers: server.address, prefix, deadlineMs: 500 }), journal, SETTLE_MS);
      const queue = createQueue(store, { expiresMs: 1e9, historyMs: 1e6, graceMs: 0 }, silent);
      return { store, queue, lease: createLease(store, { owner: `host ${host}`, now: () => asInstant(now) }) };
    };
    const hosts = [start(0), start(1)];
    const live = new Map<ActionId, string>();
    const ended = new Set<ActionId>();
    const fences: number[] = [];

    const act = async ({ host, what }: { readonly host: number; readonly what: string }, i: number): Promise<void> => {
      const { queue, lease } = hosts[host] ?? start(host);
      const [oldest] = live.keys();
      const change = async (patch: ActionPatch) => {
        const action = oldest && (await queue.find(oldest));
        if (action) await queue.update(action, patch);
      };
      if (what === 'arm') {
        const [action] = await again(() => queue.arm([step(i)], () => asInstant(now)));
        if (action) live.set(action.id, 'waiting');
      } else if (what === 'begin' && oldest !== undefined) {
        await again(() => queue.refresh(() => asInstant(now), true));
        await again(() => change({ status: 'dispatching' }));
        live.set(oldest, 'dispatching');
      } else if (what === 'end' && oldest !== undefined) {
        await again(() => queue.refresh(() => asInstant(now), true));
        await again(() => change({ status: 'done' }));
        await again(queue.tidy);
        live.delete(oldest);
        ended.add(oldest);
      } else if (what === 'lead') {
        const before = lease.fence;
        now += 100;
        await again(() => lease.renew(50));
        if (lease.held() && lease.fence !== before) {
          expect(lease.fence).toBeGreaterThan(Math.max(0, ...fences));
          fences.push(lease.fence);
        }
      } else if (what === 'crash') hosts[host] = start(host);
    };

    /** A host that is up beats; one that is silent for longer than a loss takes to settle may be missed. */
    const hear = (host: number) => again(async () => hosts[host]?.store.get('anything'));

    for (const [i, one] of history.entries()) {
      const losing = one.loss === 'restart' ? server.restart() : one.loss === 'flush' ? flush() : undefined;
      await Promise.all([losing, act(one, i).then(() => hear(one.host)), hear(1 - one.host)]);
    }
    for (const host of [0, 1]) {
      const { queue } = start(host);
      await again(() => queue.refresh(() => asInstant(now), true));
      expect(new Map(queue.all().map(({ id, status }) => [id, status]))).toEqual(live);
      for (const id of ended) expect(await queue.find(id)).toMatchObject({ status: 'done' });
    }
  }
});

const silent = { written() {}, found() {}, lost() {}, unfit() {}, isLeader: () => true };

const step = (i: number): Step => ({
  lane: `services/s${i}` as Step['lane'],
  when: { on: 'now' },
  do: { level: 'services', name: `s${i}`, verb: 'start' },
});

/** Until the store is up again. */
async function again<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isFleetError(error) || !error.retryable) throw error;
      await pause(2);
    }
  }
}
