import { asInstant, createFleet, type Fleet, type FleetOptions, type Heartbeat, type Policy, type Store } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { SEED_FLEET, type SimulatedFleet, type SimulatedFleetOptions, simulatedFleet, simulatedKinds } from 'fleetbeat/testing';
import { turns } from './turns.ts';

/** A fleet on the simulated world, with the clock in the test's hand. */
export interface FleetStage {
  readonly fleet: Fleet;
  readonly simulated: SimulatedFleet;
  readonly store: Store;
  now(): number;
  /** Lets time pass without a beat. */
  passTime(ms: number): void;
  /** Lets time pass, beat by beat. */
  pass(ms: number, everyMs?: number): Promise<void>;
  /** Beats until no action is live, at most so many times. @returns how many beats it took */
  beatUntilIdle(most?: number): Promise<number>;
  /** A second fleet on the same store, world and clock. */
  rival(options?: Partial<FleetOptions>): Fleet;
}

export function fleetStage(
  options: {
    readonly world?: Partial<SimulatedFleetOptions>;
    readonly policy?: Partial<Policy>;
    readonly fleet?: Partial<FleetOptions>;
  } = {},
): FleetStage {
  let now = 1_000_000;
  const clock = () => asInstant(now);
  const world = { ...SEED_FLEET, ...options.world };
  const simulated = simulatedFleet({ now: clock, ...world });
  const store = memory({ now: clock });
  const shared: FleetOptions = {
    drivers: { instances: [simulated.instances], services: [simulated.services] },
    kinds: simulatedKinds(),
    services: world.services,
    store,
    now: clock,
    policy: { ...options.policy },
    ...options.fleet,
  };
  const fleet = createFleet(shared);
  return {
    fleet,
    simulated,
    store,
    now: () => now,
    passTime(ms) {
      now += ms;
    },
    async pass(ms, everyMs = 2000) {
      for (let left = ms; left > 0; left -= everyMs) {
        now += Math.min(everyMs, left);
        await fleet.beat();
        await turns();
      }
    },
    async beatUntilIdle(most = 300) {
      for (let beats = 0; beats < most; beats++) {
        if (fleet.actions().every((action) => action.status === 'failed')) return beats;
        now += 2000;
        await fleet.beat();
        await turns();
      }
      return most;
    },
    rival: (other) => createFleet({ ...shared, ...other }),
  };
}

/** A heartbeat that a host or an orchestrator pushes. */
export const pushed = (beat: Partial<Heartbeat> & { readonly seq: number }): Heartbeat => ({
  source: 'host',
  epoch: 'e',
  ...beat,
});
