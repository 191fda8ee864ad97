import type { AnyServiceKind, Driver, ServiceDriver, Shell } from '../../contracts.ts';
import { asInstant, type EntityKey, type Ip } from '../../domain/identity.ts';
import type { InstanceFacts } from '../../domain/instance.ts';
import { messageOf } from '../../errors.ts';
import type { FleetOptions } from '../../face.ts';
import { printable } from '../../wire/refusal.ts';
import type { Configuration } from './check.ts';
import { kindsOf } from './kinds.ts';
import { keptDoctors, makeDoctors } from './make-doctors.ts';
import { configurationError } from './mistake.ts';
import { openStore } from './open-store.ts';
import type { ConfiguredCloud } from './schema.ts';
import { shellOf } from './ssh.ts';

/** What a configuration comes to: all that a fleet is made of, and how to let go of it. */
export interface Assembly {
  readonly options: FleetOptions;
  close(): Promise<void>;
}

export interface AssembleOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly everyMs: number;
  /** Whether this process tells the doctors. */
  readonly delivers: boolean;
  /** The lane of the instance at an ip. */
  readonly laneAt: (ip: Ip) => EntityKey;
}

/** Whoever does not deliver never gives up: a timer can be no longer. */
const NEVER_MS = 2 ** 31 - 1;

/**
 * Makes the adapters that a configuration names; only those are loaded.
 *
 * @throws FleetError ER0230 for what only shows now, such as a file that is not there; ER0231 where a package is not installed
 */
export async function assemble(configuration: Configuration, options: AssembleOptions): Promise<Assembly> {
  const { env, everyMs, delivers } = options;
  const { services, ssh, origin, cloud } = configuration;
  const shell = ssh && cloud.is.driver !== 'simulated' ? await shellOf(ssh, origin, env) : undefined;
  const { kinds, ...drivers } = await driversOf(configuration, shell, Math.max(everyMs, SHORTEST_INTERVAL_MS));
  checkSettings(configuration, kinds);
  const doctors = delivers ? await makeDoctors(configuration, options) : keptDoctors(configuration.doctors);
  const policy = delivers ? configuration.policy : { ...configuration.policy, deliverMs: NEVER_MS };
  const store = await openStore(configuration.store);
  return {
    options: { drivers, kinds, services, store, doctors, policy },
    async close() {
      await shell?.close?.();
      await store.close?.();
    },
  };
}

interface Drivers {
  readonly instances: readonly Driver<InstanceFacts>[];
  readonly services: readonly ServiceDriver[];
  readonly kinds: readonly AnyServiceKind[];
}

/** A source is silent after some of its intervals, and one read of a slow host may well take longer than a beat. */
const SHORTEST_INTERVAL_MS = 10_000;

async function driversOf(configuration: Configuration, shell: Shell | undefined, everyMs: number): Promise<Drivers> {
  const { cloud, services, bootstrap } = configuration;
  if (cloud.is.driver === 'simulated') return simulatedDrivers(cloud.name, cloud.is, services, everyMs);
  const kinds = await kindsOf(
    services.map((service) => service.mode),
    configuration.kinds,
  );
  const driver = await cloudDriver(cloud.name, cloud.is, everyMs);
  if (!shell) return { instances: [driver], services: [], kinds };
  const [{ overShell }, { probed }] = await Promise.all([
    import('../../drivers/over-shell.ts'),
    import('../../drivers/probed.ts'),
  ]);
  const fence = configuration.ssh?.fence === true ? {} : (configuration.ssh?.fence ?? {});
  return {
    instances: [probed(driver, shell, { bootstrap, fence })],
    services: [overShell(kinds, shell, { everyMs, fence })],
    kinds,
  };
}

type Simulated = Extract<ConfiguredCloud, { driver: 'simulated' }>;

async function cloudDriver(
  name: string,
  cloud: Exclude<ConfiguredCloud, Simulated>,
  everyMs: number,
): Promise<Driver<InstanceFacts>> {
  if (cloud.driver !== 'local') return cloud.driver;
  const { local } = await import('../../../adapters/local.ts');
  return local({ name, instances: cloud.instances, deadlineMs: cloud.deadlineMs, everyMs });
}

async function simulatedDrivers(
  cloud: string,
  { instances, seed, speed, faults }: Simulated,
  services: Configuration['services'],
  everyMs: number,
): Promise<Drivers> {
  const { FAULTS, simulatedFleet, simulatedKinds } = await import('../../testing/index.ts');
  const simulated = simulatedFleet({
    cloud,
    now: () => asInstant(Date.now()),
    instances,
    services,
    seed,
    latency: { scale: 1 / speed },
    faults: Object.fromEntries(FAULTS.map((fault) => [fault, faults])),
    everyMs,
  });
  return { instances: [simulated.instances], services: [simulated.services], kinds: simulatedKinds() };
}

/** A mistake in a service's settings is told where it stands. */
function checkSettings({ services, origin }: Configuration, kinds: readonly AnyServiceKind[]): void {
  for (const [index, service] of services.entries()) {
    const kind = kinds.find(({ mode }) => mode === service.mode);
    try {
      kind?.settings(service.settings);
    } catch (error) {
      const found = `settings that are refused (${printable(messageOf(error))})`;
      throw configurationError(
        origin,
        { path: ['services', index, 'settings'], found, allowed: `those of ${service.mode}` },
        error,
      );
    }
  }
}
