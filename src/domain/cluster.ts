import { isFenced } from './fence.ts';
import { clusterKey, type EntityKey, type Instant, serviceKey } from './identity.ts';
import type { InstanceRung } from './instance.ts';
import type { Inventory } from './inventory.ts';
import type { Service, ServiceRung } from './service.ts';
import type { View } from './view.ts';

/** What a kind is, as far as plans and clusters go by it. */
export interface KindTraits {
  /** The instance rung that it stands on. */
  readonly host: InstanceRung;
  readonly rungs: readonly ServiceRung[];
  /** Whether the services of a cluster follow one master, which can be changed. */
  readonly isSwitched?: boolean;
  /** Whether one of them can take the place of a master that is lost. */
  readonly canFailOver?: boolean;
  /** Whether it has a configuration on its host that can be brought in line by itself. */
  readonly isConfigured?: boolean;
  /** Whether it routes to others. */
  readonly isBalancer?: boolean;
}

/** What is believed of a cluster whose services follow one master. */
export interface ClusterView {
  readonly name: string;
  /** Who is wanted as its master. */
  readonly master: string | null;
  /** What is not yet as that wants it, for a person; null where all is. */
  readonly lacking: string | null;
  /** Whether it is certain that its wanted master takes no writes until it is started anew. */
  readonly isFenced: boolean;
  /** When the oldest of the reads began that this rests on; null where something has not been read, or is not seen at present. */
  readonly readAt: Instant | null;
}

interface Around {
  readonly inventory: Pick<Inventory, 'get' | 'atIp' | 'isBlind' | 'hasRead'>;
  readonly services: readonly Service[];
  readonly kinds: ReadonlyMap<string, KindTraits>;
}

/** The services of a cluster that follow one master. */
export const membersOf = (cluster: string, { services, kinds }: Pick<Around, 'services' | 'kinds'>): readonly Service[] =>
  services.filter((service) => service.cluster === cluster && kinds.get(service.mode)?.isSwitched === true);

/** Who is wanted as master among them. */
export const masterAmong = (members: readonly Service[]): Service | null =>
  members.find(({ status }) => status === 'master') ?? null;

/** Looks at a cluster: its master has to be one, with all its rungs; replicas that run have to follow it, balancers that run to route. */
export function lookAtCluster(name: string, around: Around): ClusterView {
  const { inventory, services, kinds } = around;
  const members = membersOf(name, around);
  const master = masterAmong(members);
  const balancers = services.filter(({ cluster, mode }) => cluster === name && kinds.get(mode)?.isBalancer === true);
  const seen = [...members, ...balancers].map((service) => ({ service, view: inventory.get(serviceKey(service.name)) }));
  const faults = seen.flatMap(({ service, view }) => faultOf(service, view, kinds.get(service.mode)) ?? []);
  const seenAt = (view: View | undefined) => (view && view.source !== null && !inventory.isBlind(view) ? view.readAt : null);
  // Of what stands on a lost instance nothing is read, and nothing is expected, unless it is the master.
  const awaited = seen.filter(({ service, view }) => service === master || view?.hostLost !== true);
  return {
    name,
    master: master?.name ?? null,
    lacking: master === null ? 'nobody is wanted as its master' : (faults[0] ?? null),
    isFenced: master !== null && isFenced(master, around),
    readAt: oldest(awaited.map(({ view }) => seenAt(view))),
  };
}

/** What a service lacks to take its part in its cluster; one that does not run takes none, unless it is the master. */
function faultOf({ name, status }: Service, view: View | undefined, kind: KindTraits | undefined): string | null {
  const why = view?.reason === undefined ? '' : `: ${view.reason}`;
  if (kind?.isSwitched && status === 'master') {
    const isThere = view?.role === 'master' && kind.rungs.every((rung) => view.holds.has(rung));
    return isThere ? null : `${name} is ${view?.state ?? 'unknown'}, not yet the master${why}`;
  }
  if (!view?.holds.has('running')) return null;
  if (kind?.isSwitched) return status !== 'slave' || view.holds.has('replicating') ? null : `${name} does not replicate${why}`;
  return view.holds.has('routed') ? null : `${name} does not route as its cluster wants it${why}`;
}

function oldest(instants: readonly (Instant | null)[]): Instant | null {
  let least: Instant | null = null;
  for (const at of instants) {
    if (at === null) return null;
    if (least === null || at < least) least = at;
  }
  return least;
}

/** The cluster that a service stands in, as an entity of its own; the service's own key where it is in none. */
export const clusterKeyOf = ({ name, cluster }: Pick<Service, 'name' | 'cluster'>): EntityKey =>
  cluster === undefined ? serviceKey(name) : clusterKey(cluster);
