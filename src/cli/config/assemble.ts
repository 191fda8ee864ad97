import type { AnyServiceKind, Driver, Shell, Store } from '../../contracts.ts';
import { asInstant, type EntityKey, type Ip } from '../../domain/identity.ts';
import type { InstanceFacts } from '../../domain/instance.ts';
import { printable } from '../../domain/printable.ts';
import { messageOf } from '../../errors.ts';
import type { FleetOptions } from '../../face.ts';
import { parseDuration } from '../duration.ts';
import { bootstrapOf } from './bootstrap-fields.ts';
import type { Configuration } from './check.ts';
import { type ConfiguredCloud, isRemote } from './cloud-fields.ts';
import { kindsOf } from './kinds.ts';
import { type CloudAround, makeCloud } from './make-cloud.ts';
import { keptDoctors, makeDoctors } from './make-doctors.ts';
import { configurationError } from './mistake.ts';
import { openStore } from './open-store.ts';
import { type Renewable, renewable } from './renewable.ts';
import { pathIn } from './settled.ts';
import { shellOf } from './ssh.ts';

/** What a configuration comes to: all that a fleet is made of, and how to let go of it. */
export interface Assembly {
  readonly options: FleetOptions;
  /** The next read of the cloud is a new one, whatever is remembered of it. */
  readAnew(): void;
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
  const { services, ssh, origin, cloud, bill, recover } = configuration;
  const shell = ssh && cloud.is.driver !== 'simulated' ? await shellOf(ssh, origin, env) : undefined;
  const { kinds, worldOn } = await worldOf(configuration, shell, {
    origin,
    env,
    isDaemon: delivers,
    everyMs: Math.max(everyMs, SHORTEST_INTERVAL_MS),
  });
  checkSettings(configuration, kinds);
  const doctors = delivers ? await makeDoctors(configuration, options) : keptDoctors(configuration.doctors);
  const policy = delivers ? configuration.policy : { ...configuration.policy, deliverMs: NEVER_MS };
  const store = await openStore(configuration.store);
  const { drivers, readAnew } = worldOn(store);
  return {
    // A command that ends with its outcome keeps nothing running; what it says is to run stands in the store.
    options: { drivers, kinds, services, store, doctors, policy, bill, recover: { ...recover, acts: delivers } },
    readAnew,
    async close() {
      await shell?.close?.();
      await store.close?.();
    },
  };
}

/** What there is to be read and acted on. */
interface World {
  readonly kinds: readonly AnyServiceKind[];
  /** What a cloud says is remembered in the store. */
  readonly worldOn: (store: Store) => {
    readonly drivers: NonNullable<FleetOptions['drivers']>;
    readonly readAnew: () => void;
  };
}

interface WorldAround extends CloudAround {
  readonly isDaemon: boolean;
}

/** A source is silent after some of its intervals, and one read of a slow host may well take longer than a beat. */
const SHORTEST_INTERVAL_MS = 10_000;

async function worldOf(configuration: Configuration, shell: Shell | undefined, around: WorldAround): Promise<World> {
  const { cloud, services, bootstrap } = configuration;
  if (cloud.is.driver === 'simulated') return simulatedWorld(cloud.name, cloud.is, services, around.everyMs);
  const kinds = await kindsOf(
    services.map((service) => service.mode),
    configuration.kinds,
  );
  const cloudOn = await cloudDriver(cloud.name, cloud.is, around);
  if (!shell) {
    return {
      kinds,
      worldOn(store) {
        const { driver, readAnew } = cloudOn(store);
        return { drivers: { instances: [driver] }, readAnew };
      },
    };
  }
  const [{ overShell }, { probed }] = await Promise.all([
    import('../../drivers/over-shell.ts'),
    import('../../drivers/probed.ts'),
  ]);
  const options = {
    bootstrap: bootstrapOf(bootstrap, (path) => pathIn(around.origin, path)),
    bootstraps: bootstrap.parallel,
  };
  const fence = configuration.ssh?.fence === true ? {} : (configuration.ssh?.fence ?? {});
  return {
    kinds,
    worldOn(store) {
      const { driver, readAnew } = cloudOn(store);
      const instances = [probed(driver, shell, { ...options, fence })];
      return { drivers: { instances, services: [overShell(kinds, shell, { everyMs: around.everyMs, fence })] }, readAnew };
    },
  };
}

type Simulated = Extract<ConfiguredCloud, { driver: 'simulated' }>;

/** A cloud that may invoice its reads is read through what is remembered of it. */
async function cloudDriver(
  name: string,
  cloud: Exclude<ConfiguredCloud, Simulated>,
  around: WorldAround,
): Promise<(store: Store) => Renewable> {
  if (isRemote(cloud)) {
    const [driver, { cached }] = await Promise.all([makeCloud(name, cloud, around), import('../../drivers/cached.ts')]);
    const { every, stale } = cloud.read;
    const ages = { ttlMs: parseDuration(every) ?? 0, staleMs: stale === undefined ? 0 : (parseDuration(stale) ?? 0) };
    return (store) => renewable(around.isDaemon ? cached(driver, store, ages) : forPerson(cached(driver, store, ages)));
  }
  if (cloud.driver !== 'local') return () => renewable(cloud.driver);
  const { local } = await import('../../../adapters/local.ts');
  const driver = local({ name, instances: cloud.instances, deadlineMs: cloud.deadlineMs, everyMs: around.everyMs });
  return () => ({ driver, readAnew: isReadAnyway });
}

/** What is not remembered is read each time. */
const isReadAnyway = (): void => {};

/** Somebody sits before a single command: its reads are on that behalf, and not answered by what is stale. */
const forPerson = (driver: Driver<InstanceFacts>): Driver<InstanceFacts> => ({
  ...driver,
  observe: ({ caller = 'beat', ...want }, signal) =>
    driver.observe({ ...want, caller: caller === 'beat' ? 'person' : caller }, signal),
});

async function simulatedWorld(
  cloud: string,
  { instances, seed, speed, faults }: Simulated,
  services: Configuration['services'],
  everyMs: number,
): Promise<World> {
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
  return {
    kinds: simulatedKinds(),
    worldOn: () => ({
      drivers: { instances: [simulated.instances], services: [simulated.services] },
      readAnew: isReadAnyway,
    }),
  };
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
