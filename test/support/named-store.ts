import type { Store } from 'fleetbeat';
import { journaled } from 'fleetbeat/adapters/journaled';
import { memcached } from 'fleetbeat/adapters/memcached';
import { sqlite } from 'fleetbeat/adapters/sqlite';

/** A store as it can be told to another process. */
export type NamedStore =
  | { readonly kind: 'sqlite'; readonly file: string }
  | { readonly kind: 'memcached'; readonly servers: string; readonly prefix: string }
  | { readonly kind: 'journaled'; readonly servers: string; readonly prefix: string; readonly file: string };

const SETTLE_MS = 50;

export function openStore(named: NamedStore): Store {
  switch (named.kind) {
    case 'sqlite':
      return sqlite(named.file);
    case 'memcached':
      return memcached(named);
    case 'journaled':
      return journaled(memcached(named), sqlite(named.file), { settleMs: SETTLE_MS });
  }
}
