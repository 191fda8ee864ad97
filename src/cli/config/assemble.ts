import type { AnyServiceKind, Driver, ServiceDriver, Shell, Store } from '../../contracts.ts';
import { asInstant } from '../../domain/identity.ts';
import type { InstanceFacts } from '../../domain/instance.ts';
import { messageOf } from '../../errors.ts';
import type { FleetOptions } from '../../face.ts';
import { printable } from '../../wire/refusal.ts';
import { load } from '../load.ts';
import type { Configuration } from './check.ts';
import { kindsOf } from './kinds.ts';
import { configurationError } from './mistake.ts';
import type { ConfiguredCloud } from './schema.ts';
import { shellOf } from './ssh.ts';

/** What a configuration comes to: all that a fleet is made of, and how to let go of it. */
export interface Assembly {
  readonly options: FleetOptions;
  close(): Promise<void>;
}

/**
 * Makes the adapters that a configuration names; only those are loaded.
 *
 * @throws FleetError ER0230 for what only shows now, such as a file that is not there; ER0231 where a package is not installed
 */
export async function assemble(
  configuration: Configuration,
  { env, everyMs }: { readonly env: NodeJS.ProcessEnv; readonly everyMs: number },
): Promise<Assembly> {
  const { services, policy, ssh, origin, cloud } = configuration;
  const shell = ssh && cloud.is.driver !== 'simulated' ? await shellOf(ssh, origin, env) : undefined;
  const { kinds, ...drivers } = await driversOf(configuration, shell, Math.max(everyMs, SHORTEST_INTERVAL_MS));
  checkSettings(configuration, kinds);
  const store = await storeOf(configuration);
  return {
    options: { drivers, kinds, services, store, policy },
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
  return { instances: [probed(driver, shell, { bootstrap })], services: [overShell(kinds, shell, { everyMs })], kinds };
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

async function storeOf({ store }: Configuration): Promise<Store> {
  if (!('driver' in store)) return store;
  if (store.driver === 'memory') return (await import('../../../adapters/memory.ts')).memory();
  const { driver: _, ...options } = store;
  const { memcached } = await load(() => import('../../../adapters/memcached.ts'), 'memcached');
  return memcached(options);
}
