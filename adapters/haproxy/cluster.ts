import type { Neighbours } from '../../src/contracts.ts';
import type { Ip } from '../../src/domain/identity.ts';
import type { Role, Service } from '../../src/domain/service.ts';
import { isPort } from '../host/settings.ts';
import type { Backend, Check, Listener } from './configuration.ts';
import type { Haproxy } from './program.ts';
import { dataDirOf, type ProgramSettings } from './settings.ts';

/** Where a balancer takes connections; null for what it does not offer. */
interface Ports {
  readonly writes: number | null;
  readonly reads: number | null;
  readonly memcache: number | null;
}

/**
 * What a balancer listens for, and whom it routes to: writes to the masters of its cluster, reads to the replicas, and to the
 * masters where no replica is up; memcached to the masters, and to the others where none is. A service without a role among them
 * (`discard`, `na`) is nobody's backend.
 */
function listenersOf(
  of: Service,
  ports: Ports,
  addresses: readonly (Ip | '*')[],
  checkUser: string | null,
  among: Neighbours,
): readonly Listener[] {
  const services = of.cluster === undefined ? [] : among.services().filter(({ cluster }) => cluster === of.cluster);
  const mysql: Check = { by: 'mysql', user: checkUser };
  const listener = (name: string, port: number | null, check: Check, backends: readonly Backend[]): readonly Listener[] =>
    port === null ? [] : [{ name, binds: addresses.map((ip) => ({ ip, port })), check, backends }];
  const databases = services.filter(isDatabase);
  const caches = services.filter(({ mode }) => mode === 'memcache');
  return [
    ...listener('writes', ports.writes, mysql, backendsOf(databases, 3306, WRITES)),
    ...listener('reads', ports.reads, mysql, backendsOf(databases, 3306, READS)),
    ...listener('memcache', ports.memcache, { by: 'memcache' }, backendsOf(caches, 11_211, CACHES)),
  ];
}

/** The databases of its cluster that writes do not go to. */
export const notWrittenTo = (of: Service, among: Neighbours): readonly string[] =>
  among
    .services()
    .filter((one) => one.cluster !== undefined && one.cluster === of.cluster && isDatabase(one) && WRITES[one.status] === 'none')
    .map(({ name }) => name);

type Place = 'first' | 'backup' | 'none';

const WRITES = { master: 'first', standalone: 'first', slave: 'none', discard: 'none', na: 'none' } as const;
const READS = { master: 'backup', standalone: 'backup', slave: 'first', discard: 'none', na: 'none' } as const;
const CACHES = { master: 'first', standalone: 'first', slave: 'backup', discard: 'none', na: 'none' } as const;

const isDatabase = ({ mode }: Service): boolean => mode === 'mariadb' || mode === 'mysql';

/** In the order of their names, so that the order of a list changes no configuration. */
const backendsOf = (services: readonly Service[], usualPort: number, places: Readonly<Record<Role, Place>>): readonly Backend[] =>
  services
    .filter(({ status }) => places[status] !== 'none')
    .map(({ name, ip, status, settings }) => ({
      name,
      ip,
      port: portIn(settings) ?? usualPort,
      isBackup: places[status] === 'backup',
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));

/** Kinds of services that listen on a port have it among their settings. */
function portIn(settings: unknown): number | null {
  const port = typeof settings === 'object' && settings !== null && 'port' in settings ? settings.port : null;
  return isPort(port) ? port : null;
}

/** The services that these listeners are to route to, each once. */
export const namesIn = (listeners: readonly Listener[]): readonly string[] => [
  ...new Set(listeners.flatMap(({ backends }) => backends.map(({ name }) => name))),
];

/** A service that is a haproxy, as its settings and its cluster want it. */
export function haproxyOf(of: Service<ProgramSettings>, memcache: number | null, among: Neighbours): Haproxy {
  const { writes, reads, addresses, stats, checkUser, binary, user, group, checkMs, idleMs, lingerMs } = of.settings;
  const listeners = listenersOf(of, { writes, reads, memcache }, addresses ?? [of.ip], checkUser, among);
  return {
    name: of.name,
    ip: of.ip,
    dir: dataDirOf(of),
    binary,
    wanted: {
      user,
      group,
      checkMs,
      idleMs,
      lingerMs,
      listeners,
      own: of.ip,
      stats: stats === null ? null : { ip: of.ip, port: stats },
    },
  };
}
