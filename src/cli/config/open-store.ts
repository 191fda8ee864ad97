import type { Store } from '../../contracts.ts';
import { load } from '../load.ts';
import type { ConfiguredStore } from './settled.ts';

/** A store, and how to hear that it was lost and is whole again. */
export interface OpenedStore {
  readonly store: Store;
  onLost(listener: (reason: string) => void): void;
}

const losesNothing = (store: Store): OpenedStore => ({ store, onLost() {} });

/** Makes the store of a configuration. Nothing of it is opened before it is first used. */
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

async function sqliteAt(file: string, options = {}): Promise<Store> {
  return (await import('../../../adapters/sqlite.ts')).sqlite(file, options);
}

/** A program may have made its own journaled store. */
const heard = (store: Store): OpenedStore => ({
  store,
  onLost(listener) {
    if (hasOnLost(store)) store.onLost(listener);
  },
});

const hasOnLost = (store: Store): store is Store & { onLost(listener: (reason: string) => void): unknown } =>
  'onLost' in store && typeof store.onLost === 'function';
