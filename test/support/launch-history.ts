import {
  asInstant,
  createFleet,
  type Driver,
  type Fleet,
  type InstanceFacts,
  isFleetError,
  type PermittedCall,
  type Policy,
  probed,
  type Store,
} from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { type Random, type SimulatedCloud, seededRandom, simulatedCloud } from 'fleetbeat/testing';
import { turns } from './turns.ts';

/** What came of a history in which instances were asked for, and processes died. */
export interface LaunchOutcome {
  /** What is wrong in the end, as sentences. */
  readonly wrongs: readonly string[];
  /** How many processes died, by what they were about to do. */
  readonly deaths: Readonly<Partial<Record<Death, number>>>;
  readonly cloud: SimulatedCloud;
}

/** Where a process dies: at an operation of its store, or about its call to the cloud. */
export type Death = 'at its store' | 'before the call' | 'during the call' | 'with the call on its way' | 'after the call';
const DEATHS = ['at its store', 'before the call', 'during the call', 'with the call on its way', 'after the call'] as const;

/** How a cloud knows a launch that is repeated. */
export type LaunchedOnceBy = 'clientToken' | 'tag';

/** Whether what goes wrong is tried until it works, or given up soon, for a person to have it tried again. */
export type Trying = 'until it works' | 'until somebody has it retried';

const POLICY: Partial<Policy> = {
  leaseMs: 5000,
  claimMs: 6000,
  backoffMs: 1000,
  backoffMaxMs: 4000,
  settleMs: 60_000,
  graceMs: 3000,
  freshMs: 1000,
};
const BEAT_MS = 2000;
const MOST_BEATS = 400;
/** After so many beats nothing goes wrong any more, so that everything can come to its end. */
const STORMY_BEATS = 40;
const LOOK = { lookMs: 40_000, lookEveryMs: 4000 };

/**
 * Plays a history: the real engine launches instances at up to three ips, each asked for once, on a simulated cloud that loses
 * requests and answers, throttles, is out of capacity and shows late what it has done; while processes die and new ones go on
 * with their store. What is asked for and not acknowledged is asked for again.
 *
 * @param trace told of what happens, for a person
 */
export async function playLaunches(
  seed: number,
  launchedOnceBy: LaunchedOnceBy,
  trying: Trying,
  trace: (line: string) => void = () => {},
): Promise<LaunchOutcome> {
  const random = seededRandom(seed).fork(launchedOnceBy);
  const clock = createWaitingClock();
  const rate = (most: number) => (random.chance(0.5) ? random.next() * most : 0);
  const cloud = simulatedCloud({
    seed,
    now: () => asInstant(clock.now()),
    sleep: clock.sleep,
    latency: { scale: 0.5, ms: { stale: [0, 50_000] } },
    eventualConsistency: rate(1),
    errors: { replyLost: rate(0.4), requestLost: rate(0.3), throttled: rate(0.3), noCapacity: rate(0.3), unavailable: rate(0.2) },
    overlappingIps: true,
  });
  const store = memory({ now: () => asInstant(clock.now()) });
  const ips = Array.from({ length: random.between(1, 3) }, (_, i) => `10.0.0.${i + 1}`);
  const attempts =
    trying === 'until it works'
      ? { attempts: 1000, callAttempts: 3 }
      : { attempts: random.between(1, 3), callAttempts: random.between(1, 3) };
  const deaths: Partial<Record<Death, number>> = {};
  const hung: (() => void)[] = [];
  const acknowledged = new Map<string, readonly string[]>();
  let lives = 0;
  let life = begin();

  function begin(): Life {
    const name = `life ${++lives}`;
    const mayDie = lives <= 4 && random.chance(0.8);
    const death = mayDie ? (DEATHS[random.between(0, DEATHS.length - 1)] ?? null) : null;
    return startLife({
      name,
      death,
      dieAt: death === 'at its store' ? random.between(1, 120) : random.between(1, 3),
      driver: cloud.driver({ launchedOnceBy, ...LOOK }),
      cloud,
      store,
      clock,
      random: random.fork(name),
      policy: attempts,
      hang: (free) => hung.push(free),
      onDeath(how) {
        deaths[how] = (deaths[how] ?? 0) + 1;
        trace(`${clock.now()} ${name} dies ${how}`);
      },
      trace: (line) => trace(`${clock.now()} ${name}: ${line}`),
    });
  }

  async function ask(ip: string, by: Life): Promise<void> {
    try {
      const { started, deferred } = await by.fleet.dispatch({ level: 'instances', action: 'launch', group: ip });
      if (by.isAlive)
        acknowledged.set(
          ip,
          [...started, ...deferred].map(({ id }) => id),
        );
    } catch (error) {
      if (!isFleetError(error)) throw error;
    }
  }

  /** A person looks at what has failed, and has it tried again. */
  async function retryFailed(by: Life): Promise<void> {
    for (const { id, status, token } of by.fleet.actions()) {
      if (status !== 'failed') continue;
      trace(`${clock.now()} a person retries ${token}`);
      await by.fleet.retry(id).catch((error: unknown) => trace(String(error)));
    }
  }

  const isSettled = (): boolean => ips.every((ip) => acknowledged.has(ip)) && life.fleet.actions().length === 0;

  let beats = 0;
  for (; beats < MOST_BEATS && !(beats > STORMY_BEATS && life.isAlive && isSettled()); beats++) {
    if (beats === STORMY_BEATS) cloud.faults.clear();
    clock.pass(BEAT_MS);
    if (!life.isAlive && random.chance(0.3)) life = begin();
    const now = life;
    if (now.isAlive) void now.fleet.beat().catch(() => {});
    await turns();
    const wanted = ips.find((ip) => !acknowledged.has(ip));
    if (now.isAlive && wanted !== undefined && now.fleet.role === 'leader' && random.chance(0.5)) void ask(wanted, now);
    if (now.isAlive && (beats > STORMY_BEATS || random.chance(0.1))) void retryFailed(now);
    await turns();
  }
  const wrongs = ips.flatMap((ip) => {
    const launched = cloud.instances().filter((instance) => instance.ip === ip);
    if (launched.length === 1) return [];
    return [`${launched.length} instances were launched at ${ip}: ${launched.map(({ id }) => id).join(', ')}`];
  });
  if (!isSettled()) wrongs.push(`not at its end after ${beats} beats: ${JSON.stringify(life.fleet.actions())}`);
  // Where it has not come to its end, nor does this.
  void life.fleet.stop();
  for (const free of hung) free();
  await turns();
  clock.close();
  return { wrongs, deaths, cloud };
}

interface Life {
  readonly fleet: Fleet;
  readonly isAlive: boolean;
}

/** One process, until it dies: then nothing that it has asked is answered any more, and it asks nothing. */
function startLife(world: {
  readonly name: string;
  readonly death: Death | null;
  /** At which of its operations, or calls, it dies. */
  readonly dieAt: number;
  readonly driver: ReturnType<SimulatedCloud['driver']>;
  readonly cloud: SimulatedCloud;
  readonly store: Store;
  readonly clock: WaitingClock;
  readonly random: Random;
  readonly hang: (free: () => void) => void;
  readonly policy: Partial<Policy>;
  readonly onDeath: (how: Death) => void;
  readonly trace: (line: string) => void;
}): Life {
  const { death, dieAt, driver, store, clock } = world;
  const dead = new AbortController();
  let isAlive = true;
  let operations = 0;
  let calls = 0;

  const nothing = <T>() => new Promise<T>(() => {});
  /** Until the history is over: then the engine's own deadlines need not be waited for. */
  const noAnswer = <T>() => new Promise<T>((_, reject) => world.hang(() => reject(new Error('the history is over'))));

  function die(how: Death): void {
    if (isAlive) world.onDeath(how);
    isAlive = false;
    dead.abort();
  }

  /** The request that a process had sent when it died: one, and what it would have asked after that it never asks. */
  async function arriveLate<T>(asked: readonly PermittedCall[]): Promise<T> {
    const first = new AbortController();
    const end = driver.onCall(() => first.abort());
    const sent = asked.slice(0, 1).map(({ call, permit }) => ({ call, permit: { ...permit, valid: () => true } }));
    await driver.perform(sent, first.signal).catch(() => {});
    end();
    return noAnswer();
  }

  async function run<T>(operation: () => Promise<T>): Promise<T> {
    if (!isAlive) return nothing();
    const isLast = death === 'at its store' && ++operations === dieAt;
    const isBefore = isLast && world.random.chance(0.5);
    if (isBefore) die('at its store');
    const answer = isBefore ? null : await operation();
    if (isLast) die('at its store');
    return isAlive ? (answer as T) : nothing();
  }

  const mortalStore: Store = {
    get: (key) => run(() => store.get(key)),
    set: (key, value, ttlMs) => run(() => store.set(key, value, ttlMs)),
    add: (key, value, ttlMs) => run(() => store.add(key, value, ttlMs)),
    swap: (key, expected, next, ttlMs) => run(() => store.swap(key, expected, next, ttlMs)),
    delete: (key) => run(() => store.delete(key)),
    increment: (key) => run(() => store.increment(key)),
  };

  const mortalDriver: Driver<InstanceFacts> = {
    ...driver,
    async observe(want, signal) {
      const reading = await driver.observe(want, signal);
      return isAlive ? reading : nothing();
    },
    async perform(asked, signal) {
      if (!isAlive) return noAnswer();
      const isLast = ++calls === dieAt;
      world.trace(`performs ${asked.map(({ permit }) => `${permit.token}${permit.isRepeated ? ' again' : ''}`).join(', ')}`);
      if (isLast && death === 'before the call') {
        die(death);
        return noAnswer();
      }
      if (isLast && death === 'with the call on its way') {
        die(death);
        await clock.sleep(world.random.between(0, 10_000));
        return arriveLate(asked);
      }
      const answers = await driver.perform(asked, AbortSignal.any([signal, dead.signal]));
      world.trace(`is answered ${JSON.stringify(answers)}`);
      if (isLast && death === 'during the call') die(death);
      if (isAlive && isLast && death === 'after the call') {
        // The engine hears of it, but can write nothing down any more.
        die(death);
        return answers;
      }
      return isAlive ? answers : noAnswer();
    },
  };

  const fleet = createFleet({
    drivers: { instances: [probed(mortalDriver, world.cloud.shell(), { fence: false })] },
    store: mortalStore,
    owner: world.name,
    now: () => asInstant(clock.now()),
    policy: { ...POLICY, ...world.policy },
  });
  return {
    fleet,
    get isAlive() {
      return isAlive;
    },
  };
}

interface WaitingClock {
  now(): number;
  /** Lets time pass; whoever has waited long enough goes on. */
  pass(ms: number): void;
  sleep(ms: number): Promise<void>;
  close(): void;
}

function createWaitingClock(): WaitingClock {
  let now = 1_000_000;
  let waiting: { readonly at: number; readonly wake: () => void }[] = [];
  return {
    now: () => now,
    pass(ms) {
      now += ms;
      const due = waiting.filter(({ at }) => at <= now);
      waiting = waiting.filter(({ at }) => at > now);
      for (const { wake } of due) wake();
    },
    sleep: (ms) => new Promise((wake) => waiting.push({ at: now + ms, wake })),
    close() {
      waiting = [];
    },
  };
}
