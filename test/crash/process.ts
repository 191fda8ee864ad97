import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { asActionId, asInstant, createFleet, type Doctor, type Fleet, isFleetError, type Store, type View } from 'fleetbeat';
import { functionDoctor } from 'fleetbeat/adapters/doctors/function';
import { journaled } from 'fleetbeat/adapters/journaled';
import { memcached } from 'fleetbeat/adapters/memcached';
import { sqlite } from 'fleetbeat/adapters/sqlite';
import { simulatedKinds } from 'fleetbeat/testing';
import { type Asking, asking } from './asking.ts';
import { dyingStores } from './dying-store.ts';
import { HEALED, REQUESTS, SERVICES } from './history.ts';
import type { Report } from './world.ts';

/** Which store, and at whose operations the process dies: at those of the whole, or at those of the stores that it is made of. */
export type CrashStore =
  | { readonly kind: 'sqlite'; readonly file: string }
  | {
      readonly kind: 'journaled';
      readonly file: string;
      readonly servers: string;
      readonly prefix: string;
      readonly dies: 'whole' | 'in parts';
    };

/** What a process is to do. */
export interface Orders {
  readonly store: CrashStore;
  /** The moment at which it dies; null for never. */
  readonly death: number | null;
  readonly owner: string;
  readonly now: number;
  /** Where it writes down what it asks for, and what was acknowledged. */
  readonly log: string;
  /** The requests that are not its to make. */
  readonly settled: readonly string[];
  /** The actions that earlier processes were told of. */
  readonly acknowledged: readonly string[];
}

/** How long others are waited for after the shared store was lost, in real time: there is nobody else. */
const SETTLE_MS = 20;
/** Beats after which a history that has not come to its end never will. */
const MOST_BEATS = 150;
/** For the doctor to be told the rest: after each loss of a shared store, there is a gap in what he is told from, for a grace. */
const REST_BEATS = { sqlite: 3, journaled: 6 };
const FOUND_MS = 2000;
const RETRY_MS = 5;

process.once('message', (orders: Orders) => void live(orders));

async function live(orders: Orders): Promise<void> {
  let now = orders.now;
  const dying = dyingStores(orders.death);
  const world = asking(dying.touch);
  const store = openStore(orders.store, dying.through, () => now);
  const fleet = createFleet({
    drivers: { instances: [world.driver('instances')], services: [world.driver('services')] },
    kinds: simulatedKinds(),
    services: SERVICES,
    store,
    doctors: [doctor(world)],
    owner: orders.owner,
    now: () => asInstant(now),
    policy: { leaseMs: 5000, freshMs: 1000, backoffMs: 500, backoffMaxMs: 2000, settleMs: 30_000, graceMs: 1000 },
  });
  const settled = new Set(orders.settled);
  const acknowledged = [...orders.acknowledged];
  const descriptor = openSync(orders.log, 'a');

  /** On the disk before it returns. */
  function write(line: unknown): void {
    writeSync(descriptor, `${JSON.stringify(line)}\n`);
    fsyncSync(descriptor);
    dying.touch();
  }

  /** Until all that follows from a beat has happened, so that the same history asks the same of its store. */
  async function quiet(): Promise<void> {
    for (let calm = 0; calm < 4; calm++) {
      const isBusy = dying.underWay > 0 || world.open > 0;
      await (isBusy ? pause(1) : nextTurn());
      if (isBusy) calm = 0;
    }
  }

  async function makeNextRequest(): Promise<void> {
    const next = REQUESTS.find(({ name }) => !settled.has(name));
    if (!next || fleet.role !== 'leader') return;
    write({ asks: next.name });
    const ids = await next.ask(fleet).catch(nothingYet);
    if (!ids) return;
    write({ acknowledged: next.name, ids });
    acknowledged.push(...ids);
    settled.add(next.name);
  }

  const isOver = () =>
    fleet.role === 'leader' && settled.size === REQUESTS.length && fleet.actions().every(({ status }) => status === 'failed');
  let beats = 0;
  for (let rest = 0; rest < REST_BEATS[orders.store.kind] && beats < MOST_BEATS; rest = isOver() ? rest + 1 : 0) {
    now = await world.beat();
    await fleet.beat();
    await quiet();
    await makeNextRequest();
    await quiet();
    beats++;
  }
  let found = await reportOf(fleet, acknowledged).catch(nothingYet);
  while (!found) {
    await pause(RETRY_MS);
    found = await reportOf(fleet, acknowledged).catch(nothingYet);
  }
  await fleet.stop();
  await world.tell({ is: 'report', report: { ...found, moments: dying.moments, beats } });
  await store.close?.();
  closeSync(descriptor);
  process.disconnect();
}

async function reportOf(fleet: Fleet, ids: readonly string[]): Promise<Omit<Report, 'moments' | 'beats'>> {
  const ends = await Promise.all(
    ids.map(async (id) => {
      const action = await fleet.settled(asActionId(id), AbortSignal.timeout(FOUND_MS)).catch(unlessTimeout);
      if (!action) return { id, verb: '', status: 'not ended', code: null };
      return { id, verb: action.do.verb, status: action.status, code: action.history.at(-1)?.code ?? null };
    }),
  );
  return {
    ends,
    left: fleet.actions().map(({ id, status, do: what }) => ({ id, status, verb: what.verb })),
    parked: (await fleet.parked()).map(({ id }) => id),
    views: fleet.views().map((view) => [view.key, shown(view)]),
  };
}

function openStore(named: CrashStore, through: (store: Store) => Store, now: () => number): Store {
  if (named.kind === 'sqlite') return through(sqlite(named.file, { now }));
  const { servers, prefix, file, dies } = named;
  const shared = memcached({ servers, prefix, deadlineMs: 500 });
  const journal = sqlite(file);
  if (dies === 'whole') return through(journaled(shared, journal, { settleMs: SETTLE_MS }));
  return journaled(through(shared), through(journal), { settleMs: SETTLE_MS });
}

/** Remembers what it is told, and has what is ill started. */
const doctor = (world: Asking): Doctor =>
  functionDoctor('doctor', async ({ changes }) => {
    const told = changes.map(({ id, key, from, to }) => ({ id, key, from: from && shown(from), to: shown(to) }));
    await world.tell({ is: 'told', changes: told });
    const isIll = changes.some(({ to }) => to.name === HEALED && to.state === 'stopped');
    return isIll ? [{ level: 'services', action: 'start', group: HEALED }] : undefined;
  });

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What a person sees of a view. */
const shown = ({ state, code, ip }: View): string => `${state} ${code} ${ip}`;

function unlessTimeout(error: unknown): null {
  if (error instanceof DOMException && error.name === 'TimeoutError') return null;
  throw error;
}

/** While the store is away. */
function nothingYet(error: unknown): null {
  if (isFleetError(error) && error.retryable) return null;
  throw error;
}
