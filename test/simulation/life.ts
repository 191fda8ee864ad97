import {
  type AnyServiceKind,
  asInstant,
  createFleet,
  type Driver,
  type Fleet,
  type InstanceFacts,
  isFleetError,
  type Permit,
  type PermittedCall,
  type Policy,
  type Problem,
  type Reading,
  type ServiceFacts,
  type ServiceInput,
  type Store,
} from 'fleetbeat';
import type { Effect, SimulatedFleet } from 'fleetbeat/testing';
import type { Tell } from './happenings.ts';
import type { Caller, Network } from './network.ts';

/** What all fleets of a schedule share. */
export interface Surroundings {
  readonly store: Store;
  readonly simulated: SimulatedFleet;
  readonly network: Network;
  readonly tell: Tell;
  readonly kinds: readonly AnyServiceKind[];
  readonly services: readonly ServiceInput[];
  readonly policy: Partial<Policy>;
  /**
   * Whether calls travel to hosts that refuse an older fence than they have seen. Otherwise the driver asks the permit right
   * before each call, and a call that was not made dies with its caller.
   */
  readonly isFenced: boolean;
  readonly isWatched: boolean;
  /** The highest fence that each driver has accepted. */
  readonly fences: Map<string, number>;
  readonly now: () => number;
}

/** A machine that runs one fleet after another; its clock is its own. */
export interface Host {
  readonly name: string;
  clockMs: number;
  lives: number;
}

/** One process with one fleet, from its start to its crash. */
export interface Life extends Caller {
  readonly host: Host;
  readonly fleet: Fleet;
  readonly now: () => number;
  /** Beats that have begun and not ended. */
  beats: number;
  isStopping: boolean;
}

export function begin(host: Host, around: Surroundings): Life {
  const { tell } = around;
  const name = `${host.name}${++host.lives}`;
  const hostTime = () => asInstant(around.now() + host.clockMs);
  let latest = asInstant(Number.NEGATIVE_INFINITY);
  /** The clock of the fleet, as it is promised: the host's, but never going back. */
  const now = () => asInstant(Math.max(latest, hostTime()));
  const caller = { name, isAlive: true };
  const life: Life = Object.assign(caller, {
    host,
    now,
    beats: 0,
    isStopping: false,
    fleet: createFleet({
      drivers: {
        instances: [networked<InstanceFacts>('instances', around.simulated.instances)],
        services: [networked<ServiceFacts>('services', around.simulated.services)],
      },
      kinds: around.kinds,
      services: around.services,
      store: networkedStore(),
      policy: around.policy,
      ...(around.isWatched && { inspect: () => {} }),
      owner: name,
      now() {
        latest = now();
        return hostTime();
      },
      yieldTurn: () =>
        around.network.ask({ by: caller, what: () => 'yields', act: async () => {}, travels: false }).catch(() => {}),
    }),
  });
  life.fleet.on('action', (action) => tell({ is: 'says', by: life, action }));
  life.fleet.on('fault', ({ key, error }) => tell({ is: 'fault', by: life, key, error }));
  return life;

  function networkedStore(): Store {
    const { store } = around;
    /** `after` says what the key holds once the store has answered; undefined where that did not change. */
    function ask<T>(
      verb: string,
      key: string,
      act: () => Promise<T>,
      after: (answer: T) => string | null | undefined,
      write?: { readonly next: string | null; readonly expected?: string },
    ): Promise<T> {
      const askedAt = asInstant(now());
      tell(write ? { is: 'asks', by: life, key, ...write } : { is: 'looks', by: life, key });
      const request = {
        by: caller,
        what: () => `${verb} ${key}`,
        act: async () => {
          const before = await store.get(key);
          const answer = await act();
          const text = after(answer);
          if (text !== undefined) tell({ is: 'stored', by: life, key, before, after: text });
          return answer;
        },
        travels: true,
      };
      return around.network.ask(request).then((answer) => {
        const wrote = after(answer);
        const text = verb === 'get' ? (answer as string | null) : wrote;
        if (text !== undefined) tell({ is: 'learns', by: life, key, text, askedAt, wrote: wrote !== undefined });
        return answer;
      });
    }
    return {
      get: (key) =>
        ask(
          'get',
          key,
          () => store.get(key),
          () => undefined,
        ),
      set: (key, value, ttlMs) =>
        ask(
          'set',
          key,
          () => store.set(key, value, ttlMs),
          () => value,
          { next: value },
        ),
      add: (key, value, ttlMs) =>
        ask(
          'add',
          key,
          () => store.add(key, value, ttlMs),
          (added) => (added ? value : undefined),
          { next: value },
        ),
      swap: (key, expected, next, ttlMs) =>
        ask(
          'swap',
          key,
          () => store.swap(key, expected, next, ttlMs),
          (swapped) => (swapped ? next : undefined),
          { next, expected },
        ),
      delete: (key) =>
        ask(
          'delete',
          key,
          () => store.delete(key),
          (gone) => (gone ? null : undefined),
          { next: null },
        ),
      increment: (key) => ask('increment', key, () => store.increment(key), String),
    };
  }

  function networked<F extends InstanceFacts | ServiceFacts>(level: 'instances' | 'services', driver: Driver<F>): Driver<F> {
    const { network, simulated, isFenced, fences } = around;
    const never = new AbortController().signal;
    return {
      name: driver.name,
      everyMs: driver.everyMs,
      async observe(want) {
        const act = () => driver.observe({ ...want, now: asInstant(around.now()) }, never);
        try {
          const read = await network.ask({ by: caller, what: () => `observe ${level}`, act, travels: true });
          const reading = { ...read, readAt: want.now, items: read.items.map((facts) => ({ ...facts, readAt: want.now })) };
          tell({ is: 'reads', by: life, level, source: driver.name, reading: reading as Reading<unknown> as Reading<never> });
          return reading;
        } catch (error) {
          tell({ is: 'is blind', by: life, source: driver.name });
          throw error;
        }
      },
      perform(calls) {
        for (const { call, permit } of calls) tell({ is: 'calls', by: life, call, permit });
        const what = () =>
          `perform ${calls.map(({ call, permit }) => `${call.do.verb} ${call.step ?? ''} ${permit.token}`).join(', ')}`;
        return network.ask({ by: caller, what, act, travels: isFenced });
        async function act(): Promise<readonly (Problem | null)[]> {
          const answers: (Problem | null)[] = [];
          for (const each of calls) answers.push(...(await accept(each)));
          return answers;
        }
      },
    };

    async function accept({ call, permit }: PermittedCall): Promise<readonly (Problem | null)[]> {
      const fence = fences.get(driver.name) ?? 0;
      if (isFenced && permit.fence < fence)
        return [{ subject: driver.name, code: 'ER0217', message: `fence ${permit.fence} is older than ${fence}` }];
      const carried: Permit = isFenced ? { ...permit, valid: () => true } : permit;
      const seen = simulated.log.length;
      const answers = await driver.perform([{ call, permit: carried }], never);
      for (const effect of simulated.log.slice(seen)) tellEffect(effect);
      return answers;
    }

    function tellEffect(effect: Effect): void {
      tell({ is: 'effect', by: life, driver: driver.name, effect });
      fences.set(driver.name, Math.max(fences.get(driver.name) ?? 0, effect.fence));
    }
  }
}

/** Begins a beat and goes on: the schedule says when, and whether, it ends. */
export function beat(life: Life, tell: Tell): void {
  life.beats++;
  const end = () => {
    life.beats--;
  };
  life.fleet.beat().then(end, (error: unknown) => {
    end();
    complain(life, 'beat', error, tell);
  });
}

/** What a fleet refuses with a code of ours is an answer; anything else is a defect. */
export function complain(life: Life, key: string, error: unknown, tell: Tell): void {
  if (!isFleetError(error)) tell({ is: 'fault', by: life, key, error });
}
