import type { Do } from './command.ts';
import {
  asEntityKey,
  type EntityKey,
  type Instant,
  type Ip,
  instanceKey,
  isName,
  isProviderId,
  parseIp,
  serviceKey,
  wantedOf,
} from './identity.ts';
import type { Inventory } from './inventory.ts';
import { ipOf } from './lanes.ts';
import { isClusterVerb, type Service } from './service.ts';
import type { View } from './view.ts';

/** What is in maintenance: `all`, an address, `clusters/<name>`, `services/<name>` or `instances/<cloud>/<id>`. */
export type MaintenanceSubject = 'all' | Ip | `clusters/${string}` | EntityKey;

/** Something that nobody but its owner is to touch for a while: it is observed, and nothing is done about it. */
export interface Maintenance {
  readonly subject: MaintenanceSubject;
  readonly owner: string;
  readonly reason: string;
  readonly since: Instant;
  /** It ends by itself, whoever has forgotten it. */
  readonly expiresAt: Instant;
}

/** What a person asks for. */
export interface MaintenanceRequest {
  /** `all`, an ip, the name of a service or cluster, the id of an instance; or what {@link MaintenanceSubject} says. */
  readonly subject: string;
  readonly owner: string;
  /** Why, for whoever asks why nothing happens. */
  readonly reason: string;
  /** For how long, in milliseconds. Default `policy.maintenanceMs`, at most `policy.maintenanceMaxMs`. */
  readonly forMs?: number;
}

/** Something that became of a maintenance: `changed` is what its owner said anew. */
export interface MaintenanceNews {
  readonly kind: 'begun' | 'changed' | 'ended' | 'expired';
  /** As it stands, or stood last. */
  readonly maintenance: Maintenance;
}

export const isInForce = ({ expiresAt }: Maintenance, now: Instant): boolean => now < expiresAt;

const clusterOf = (name: string): MaintenanceSubject => `clusters/${name}`;

/** What a word may mean. */
interface Among {
  readonly services: readonly Pick<Service, 'name' | 'ip' | 'cluster'>[];
  readonly instances: readonly Pick<View, 'key' | 'name' | 'ip'>[];
}

/** Every subject that a person's word means: none where nobody knows it, several where it is the name of several. */
export function subjectsMeant(word: string, { services, instances }: Among): readonly MaintenanceSubject[] {
  if (word === 'all') return ['all'];
  const ip = parseIp(word);
  if (ip) return [...services, ...instances].some((one) => one.ip === ip) ? [ip] : [];
  const isCluster = (name: string) => services.some(({ cluster }) => cluster === name);
  const isService = (one: string) => services.some(({ name }) => name === one);
  const [level, ...rest] = word.split('/');
  const name = rest.join('/');
  if (rest.length > 0) {
    if (level === 'clusters') return isCluster(name) ? [clusterOf(name)] : [];
    if (level === 'services') return isService(name) ? [serviceKey(name)] : [];
    if (level === 'instances') return instanceNamed(word);
  }
  return [
    ...(isService(word) ? [serviceKey(word)] : []),
    ...(isCluster(word) ? [clusterOf(word)] : []),
    ...instances.filter((view) => view.name === word).map(({ key }) => key),
  ];
}

/** An instance by its key need not be known yet. One that is only wanted is meant by its address. */
function instanceNamed(word: string): readonly MaintenanceSubject[] {
  const wanted = wantedOf(asEntityKey(word));
  const ip = wanted && parseIp(wanted.ip);
  if (ip) return [ip];
  const [, cloud = '', ...id] = word.split('/');
  return isName(cloud) && isProviderId(id.join('/')) ? [instanceKey(cloud, id.join('/'))] : [];
}

/** What ends the services on an instance along with it. */
export const ENDS_SERVICES: ReadonlySet<string> = new Set(['stop', 'reboot', 'terminate']);

/**
 * Everything whose maintenance holds a verb back. A service waits for that of its cluster, its address and its instance; an
 * instance for that of its address and of every cluster with a service on it, and `stop`, `reboot` and `terminate` also for that
 * of each service on it.
 */
export function subjectsTouched(
  what: Do,
  known: { readonly inventory: Pick<Inventory, 'get' | 'atIp'>; readonly services: readonly Service[] },
): ReadonlySet<MaintenanceSubject> {
  const touched = new Set<MaintenanceSubject>(['all']);
  const service = what.level === 'services' ? known.services.find(({ name }) => name === what.name) : undefined;
  const ip = what.level === 'services' ? (service?.ip ?? null) : ipOf(what, known.inventory);
  if (what.level === 'services') {
    touched.add(serviceKey(what.name));
    if (service?.cluster !== undefined) touched.add(clusterOf(service.cluster));
    // A change of master touches every service of the cluster.
    if (isClusterVerb(what.verb))
      for (const { name, ip: at, cluster } of known.services)
        if (cluster === service?.cluster) touched.add(serviceKey(name)).add(at);
  } else if ('key' in what.subject) touched.add(what.subject.key);
  if (ip === null) return touched;
  touched.add(ip);
  const host = known.inventory.atIp(ip);
  if (typeof host === 'object') touched.add(host.key);
  if (what.level === 'services') return touched;
  for (const { name, cluster, ip: at } of known.services) {
    if (at !== ip) continue;
    if (cluster !== undefined) touched.add(clusterOf(cluster));
    if (ENDS_SERVICES.has(what.verb)) touched.add(serviceKey(name));
  }
  return touched;
}

/** Who has it in maintenance, why and until when: the answer to "why not?". */
export const maintenanceText = ({ subject, owner, reason, expiresAt }: Maintenance): string =>
  `maintenance of ${subject} by ${owner} until ${new Date(expiresAt).toISOString()}: ${reason}`;
