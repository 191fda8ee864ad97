import type { Store } from '../../contracts.ts';
import { isFleetError } from '../../errors.ts';
import { load } from '../load.ts';
import type { ConfiguredStore } from './settled.ts';

/**
 * Makes the store of a configuration.
 *
 * @throws FleetError ER0230 and ER0228 for a file that cannot be used, ER0231 where a package is not installed
 */
export async function openStore(configured: ConfiguredStore): Promise<Store> {
  if (!('driver' in configured)) return configured;
  switch (configured.driver) {
    case 'memory':
      return (await import('../../../adapters/memory.ts')).memory();
    case 'sqlite':
      return sqliteAt(configured.file, { busyMs: configured.busyMs });
    case 'memcached': {
      const { driver: _, journal, ...options } = configured;
      const { memcached } = await load(() => import('../../../adapters/memcached.ts'), 'memcached');
      const shared = memcached(options);
      if (journal === false) return shared;
      const { journaled } = await import('../../../adapters/journaled.ts');
      return journaled(shared, await sqliteAt(journal));
    }
    default:
      return configured satisfies never;
  }
}

/** A file that cannot be used is told at once, also to those who only ask; one that is busy may not be so for long. */
async function sqliteAt(file: string, options = {}): Promise<Store> {
  const store = (await import('../../../adapters/sqlite.ts')).sqlite(file, options);
  await store.get(ANY_KEY).catch((error: unknown) => {
    if (!isFleetError(error) || !error.retryable) throw error;
  });
  return store;
}

const ANY_KEY = 'leader';
