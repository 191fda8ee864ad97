import type { Store } from '../../contracts.ts';
import { isFleetError } from '../../errors.ts';
import { load } from '../load.ts';
import type { ConfiguredStore } from './settled.ts';

/** A store, and how to hear that it was lost and is whole again. */
export interface OpenedStore {
  readonly store: Store;
  onLost(listener: (reason: string) => void): void;
}

const losesNothing = (store: Store): OpenedStore => ({ store, onLost() {} });

/**
 * Makes the store of a configuration.
 *
 * @throws FleetError ER0230 and ER0228 for a file that cannot be used, ER0231 where a package is not installed
 */
export async function openStore(configured: ConfiguredStore): Promise<OpenedStore> {
  if (!('driver' in configured)) return heard(configured);
  switch (configured.driver) {
    case 'memory':
      return losesNothing((await import('../../../adapters/memory.ts')).memory());
    case 'sqlite':
      return losesNothing(await sqliteAt(configured.file, { busyMs: configured.busyMs }));
    case 'memcached': {
      const { driver: _, journal, ...options } = configured;
      const { memcached } = await load(() => import('../../../adapters/memcached.ts'), 'memcached');
      const shared = memcached(options);
      if (journal === false) return losesNothing(shared);
      const { journaled } = await import('../../../adapters/journaled.ts');
      return heard(journaled(shared, await sqliteAt(journal)));
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

/** A program may have made its own journaled store. */
const heard = (store: Store): OpenedStore => ({
  store,
  onLost(listener) {
    if (hasOnLost(store)) store.onLost(listener);
  },
});

const hasOnLost = (store: Store): store is Store & { onLost(listener: (reason: string) => void): unknown } =>
  'onLost' in store && typeof store.onLost === 'function';
