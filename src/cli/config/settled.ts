import { basename, dirname, join, resolve } from 'node:path';
import type { Store } from '../../contracts.ts';
import type { Origin } from './mistake.ts';
import type { ConfiguredCloud } from './schema.ts';
import type { StoreAsked } from './store-fields.ts';

type Named<Driver extends string> = Extract<StoreAsked, { readonly driver: Driver }>;

/** Where what waits is kept, its files found. */
export type ConfiguredStore =
  | Store
  | Named<'memory'>
  | (Omit<Named<'sqlite'>, 'file'> & { readonly file: string })
  | (Omit<Named<'memcached'>, 'journal'> & { readonly journal: string | false });

/** A path of a configuration, which starts at its file. */
export const pathIn = ({ file }: Origin, path: string): string => resolve(dirname(file), path);

/**
 * The store that a configuration means. Whoever uses the same configuration meets in the same store: its file stands beside the
 * configuration's, under the same name.
 */
export function settledStore(asked: StoreAsked | undefined, cloud: ConfiguredCloud, origin: Origin): ConfiguredStore {
  const store = asked ?? byDefault(cloud);
  if (!('driver' in store)) return store;
  switch (store.driver) {
    case 'memory':
      return store;
    case 'sqlite':
      return { ...store, file: fileOf(store.file, origin, '.db') };
    case 'memcached':
      return { ...store, journal: store.journal === false ? false : fileOf(store.journal, origin, '.journal.db') };
    default:
      return store satisfies never;
  }
}

/** A simulated cloud ends with its process, and so does what waits for it. */
const byDefault = ({ driver }: ConfiguredCloud): StoreAsked =>
  driver === 'simulated' ? { driver: 'memory' } : { driver: 'sqlite', busyMs: 5000 };

const fileOf = (asked: string | undefined, origin: Origin, ending: string): string =>
  asked === undefined ? join(dirname(origin.file), `${stemOf(origin.file)}${ending}`) : pathIn(origin, asked);

const stemOf = (file: string): string => basename(file).replace(/(?:\.config)?\.[^.]+$/, '');
