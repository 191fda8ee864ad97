import type { Driver, ServiceDriver } from './contracts.ts';
import { clusterKeyOf } from './domain/cluster.ts';
import type { Do } from './domain/command.ts';
import { clusterKey, type EntityKey, type Level, parseIp, serviceKey, wantedKey } from './domain/identity.ts';
import type { InstanceFacts } from './domain/instance.ts';
import type { Inventory } from './domain/inventory.ts';
import { isClusterVerb, type Service, type ServiceFacts } from './domain/service.ts';
import { FleetError } from './errors.ts';

export type AnyDriver = Driver<InstanceFacts> | Driver<ServiceFacts>;

/** Who is meant, and who speaks for it. */
export interface Routing {
  /** The entity that a verb is for: of a change of master, the cluster. A launch has only its ip, and the lane that asked, to go by. */
  keyOf(what: Do): EntityKey;
  /** The entity that a person names: an instance by id or ip, a service or cluster by name. */
  keyNamed(level: Level | 'clusters', nameOrIp: string): EntityKey;
  /** The driver that sees an entity; the active cloud for one that nobody sees yet. */
  driverOf(effect: { readonly key: EntityKey; readonly do: Do }): AnyDriver | undefined;
  /** Whether every source of what a verb touches has been read since the start. */
  isWarm(what: Do): boolean;
  /** Whether every driver has been read since the start. */
  isAllRead(): boolean;
}

export function createRouting(fleet: {
  readonly inventory: Inventory;
  readonly instanceDrivers: readonly Driver<InstanceFacts>[];
  readonly serviceDrivers: readonly ServiceDriver[];
  readonly services: readonly Service[];
  readonly cloud: string | null;
}): Routing {
  const { inventory, instanceDrivers, serviceDrivers, services, cloud } = fleet;

  function keyOf(what: Do): EntityKey {
    if (what.level === 'services') {
      const service = isClusterVerb(what.verb) ? services.find(({ name }) => name === what.name) : undefined;
      return service ? clusterKeyOf(service) : serviceKey(what.name);
    }
    if ('key' in what.subject) return what.subject.key;
    const view = inventory.atIp(what.subject.ip);
    return typeof view === 'object' ? view.key : wantedKey(cloud ?? 'none', what.subject.ip);
  }

  function driverOf({ key, do: what }: { readonly key: EntityKey; readonly do: Do }): AnyDriver | undefined {
    const drivers: readonly AnyDriver[] = what.level === 'services' ? serviceDrivers : instanceDrivers;
    const source = inventory.get(what.level === 'services' ? serviceKey(what.name) : key)?.source;
    return drivers.find((driver) => driver.name === source) ?? drivers[0];
  }

  /** Where no driver of ours reads a level, what hosts push has to do. */
  const areRead = (level: Level, drivers: readonly AnyDriver[]): boolean =>
    drivers.length > 0 ? drivers.every((driver) => inventory.hasRead(level, driver.name)) : inventory.hasRead(level);

  return {
    keyOf,
    driverOf,
    keyNamed(level, nameOrIp) {
      if (level === 'clusters') {
        if (services.some(({ cluster }) => cluster === nameOrIp)) return clusterKey(nameOrIp);
        throw new FleetError('ER0203', `no cluster is called ${JSON.stringify(nameOrIp)}`);
      }
      if (level === 'services') {
        if (inventory.get(serviceKey(nameOrIp))) return serviceKey(nameOrIp);
        throw new FleetError('ER0203', `no service is called ${JSON.stringify(nameOrIp)}`);
      }
      const ip = parseIp(nameOrIp);
      if (ip) return keyOf({ level, subject: { ip }, verb: 'start' });
      for (const view of inventory.views('instances')) if (view.name === nameOrIp) return view.key;
      throw new FleetError('ER0203', `no instance is called ${JSON.stringify(nameOrIp)}`);
    },
    isWarm(what) {
      if (what.level === 'services') return areRead('instances', instanceDrivers) && areRead('services', serviceDrivers);
      if (areRead('instances', instanceDrivers)) return true;
      const driver = driverOf({ key: keyOf(what), do: what });
      return areRead('instances', driver ? [driver] : []);
    },
    isAllRead: () =>
      instanceDrivers.every((driver) => inventory.hasRead('instances', driver.name)) &&
      serviceDrivers.every((driver) => inventory.hasRead('services', driver.name)),
  };
}
