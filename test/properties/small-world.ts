import fc from 'fast-check';
import {
  asInstant,
  type Command,
  createFleet,
  type Fleet,
  type FleetOptions,
  type Instant,
  isLive,
  type Policy,
  type SERVICE_RUNGS,
  type Store,
} from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import {
  type SimulatedFleet,
  type SimulatedFleetOptions,
  type SimulatedInstance,
  type SimulatedService,
  simulatedFleet,
  simulatedKinds,
} from 'fleetbeat/testing';
import { turns } from '../support/turns.ts';

export const IPS = ['10.0.0.1', '10.0.0.2', '10.0.0.3'] as const;

/** A beat comes so often. */
export const BEAT_MS = 2000;

const SERVICES = [
  { name: 'node1', ip: '10.0.0.1', mode: 'mariadb', status: 'master', cluster: 'shop' },
  { name: 'node2', ip: '10.0.0.2', mode: 'mariadb', status: 'standalone' },
  { name: 'nosql1', ip: '10.0.0.3', mode: 'memcache', status: 'na' },
  { name: 'lb1', ip: '10.0.0.1', mode: 'haproxy', status: 'na' },
] as const satisfies readonly SimulatedService[];

export const NAMES = SERVICES.map(({ name }) => name);

/** Shorter waits than a real fleet has, and nothing that a short history would not reach. */
export const POLICY: Partial<Policy> = {
  settleMs: 60_000,
  needsMs: 60_000,
  backoffMs: 1000,
  backoffMaxMs: 4000,
  leaseMs: 6000,
  claimMs: 6000,
};

export type World = Pick<SimulatedFleetOptions, 'seed' | 'instances' | 'services' | 'stoppedKeepsIp' | 'agentSurvives'>;

const machine = (ip: string, i: number): fc.Arbitrary<SimulatedInstance | null> =>
  fc.option(
    fc.record({
      id: fc.constant(`i-${i + 1}`),
      ip: fc.constant(ip),
      state: fc.constantFrom('running', 'running', 'stopped', 'stopped', 'pending', 'stopping', 'shutting-down', 'terminated'),
      rung: fc.constantFrom('ssh-up', 'bootstrapped', 'managed'),
    }),
    { freq: 5 },
  );

const service = (base: (typeof SERVICES)[number]): fc.Arbitrary<SimulatedService> =>
  fc
    .constantFrom(
      'uninstalled',
      'stopped',
      'stopping',
      'starting',
      'failing',
      'up',
      ...(base.mode === 'mariadb' ? (['routed'] as const) : []),
    )
    .map((state) => ({ ...base, state }));

/**
 * Three addresses, each with a machine in any state or with none, and four services in any state. Where the cloud hides the
 * address of a stopped machine, it has been seen running before.
 */
export const worlds: fc.Arbitrary<World> = fc
  .record({
    seed: fc.nat(),
    machines: fc.tuple(...IPS.map(machine)),
    services: fc.tuple(...SERVICES.map(service)),
    stoppedKeepsIp: fc.boolean(),
    agentSurvives: fc.boolean(),
  })
  .map(({ machines, services, stoppedKeepsIp, ...world }) => ({
    ...world,
    stoppedKeepsIp: stoppedKeepsIp || machines.some((one) => one?.state === 'stopped'),
    instances: machines.filter((one) => one !== null),
    services: services.map((one) => (isManaged(machines, one.ip) ? one : { ...one, state: dormant(one.state) })),
  }));

const isManaged = (machines: readonly (SimulatedInstance | null)[], ip: string): boolean =>
  machines.some((one) => one?.ip === ip && one.rung === 'managed');

/** Nothing runs on a machine whose agent does not. */
const dormant = (state: SimulatedService['state']) => (state === 'uninstalled' ? 'uninstalled' : 'stopped');

/** What may be commanded in this world, to one target each. */
export const commands: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    level: fc.constant('instances'),
    action: fc.constantFrom('launch', 'start', 'stop', 'reboot', 'reboot', 'terminate', 'bootstrap_binaries', 'bootstrap_ncc'),
    group: fc.constantFrom(...IPS, 'i-1', 'i-2', 'i-3'),
  }),
  fc.record({
    level: fc.constant('services'),
    action: fc.constantFrom(
      'install',
      'start',
      'start',
      'stop',
      'restart',
      'restart',
      'remove',
      'sync',
      'bootstrap_config',
      'bootstrap_ncc',
    ),
    group: fc.constantFrom(...NAMES),
  }),
);

/** A fleet in a small world, its clock in the history's hand. */
export interface Play {
  readonly fleet: Fleet;
  readonly simulated: SimulatedFleet;
  readonly store: Store;
  now(): Instant;
  /** Time passes, a beat comes, and everything that it leads to happens. */
  beat(): Promise<void>;
  /** Beats until no action is live, or so many times. @returns whether none is */
  finish(most: number): Promise<boolean>;
  /** Another fleet takes the place of this one, on the same store, world and clock. */
  replace(options?: Partial<FleetOptions>): Fleet;
}

export function play(
  world: World,
  options: { readonly simulated?: Partial<SimulatedFleetOptions>; readonly fleet?: Partial<FleetOptions> } = {},
): Play {
  let ms = 1_000_000;
  const now = () => asInstant(ms);
  const simulated = simulatedFleet({ now, latency: { scale: 0.3 }, ...world, ...options.simulated });
  const store = options.fleet?.store ?? memory({ now });
  const make = (more: Partial<FleetOptions> = {}) =>
    createFleet({
      drivers: { instances: [simulated.instances], services: [simulated.services] },
      kinds: simulatedKinds(),
      services: world.services,
      now,
      policy: POLICY,
      ...options.fleet,
      store,
      ...more,
    });
  let fleet = make();
  return {
    get fleet() {
      return fleet;
    },
    simulated,
    store,
    now,
    async beat() {
      ms += BEAT_MS;
      await fleet.beat();
      await turns();
    },
    async finish(most) {
      for (let beats = 0; beats < most; beats++) {
        if (!fleet.actions().some(isLive)) return true;
        await this.beat();
      }
      return !fleet.actions().some(isLive);
    },
    replace(more) {
      fleet = make(more);
      return fleet;
    },
  };
}

/** The highest rung of a service's kind. */
export const topRungOf = (name: string): (typeof SERVICE_RUNGS)[number] =>
  SERVICES.find((one) => one.name === name)?.mode === 'mariadb' ? 'routed' : 'up';
