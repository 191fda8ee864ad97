import type { AnyServiceKind } from '../../contracts.ts';
import { load } from '../load.ts';

type KindLoader = () => Promise<AnyServiceKind>;

const mariadbOf = (mode: 'mariadb' | 'mysql') => async () =>
  (await load(() => import('../../../adapters/services/mariadb.ts'), 'services/mariadb', ['mysql2'])).mariadb({ mode });

/** The kinds of services that come with fleetbeat, by mode; each is loaded where a service is of it. */
const BUILT_IN: ReadonlyMap<string, KindLoader> = new Map([
  ['haproxy', async () => (await load(() => import('../../../adapters/services/haproxy.ts'), 'services/haproxy')).haproxy()],
  [
    'keepalived',
    async () => (await load(() => import('../../../adapters/services/keepalived.ts'), 'services/keepalived')).keepalived(),
  ],
  ['mariadb', mariadbOf('mariadb')],
  ['mysql', mariadbOf('mysql')],
  [
    'mysql-proxy',
    async () =>
      (await load(() => import('../../../adapters/services/mysql-proxy.ts'), 'services/mysql-proxy', ['mysql2'])).mysqlProxy(),
  ],
  ['memcache', async () => (await load(() => import('../../../adapters/services/memcache.ts'), 'services/memcache')).memcache()],
]);

export const BUILT_IN_MODES: readonly string[] = [...BUILT_IN.keys()];

/** The modes of the simulated kinds; those of `fleetbeat/testing`, told here so that checking a configuration loads none of it. */
export const SIMULATED_MODES: readonly string[] = ['mariadb', 'mysql', 'memcache', 'mysql-proxy', 'haproxy', 'keepalived'];

/** The kinds of these modes: the given ones first, then those that come with fleetbeat. */
export async function kindsOf(modes: Iterable<string>, given: readonly AnyServiceKind[]): Promise<readonly AnyServiceKind[]> {
  const own = new Set(given.map((kind) => kind.mode));
  const loaders = [...new Set(modes)].filter((mode) => !own.has(mode)).flatMap((mode) => BUILT_IN.get(mode) ?? []);
  return [...given, ...(await Promise.all(loaders.map((loadKind) => loadKind())))];
}
