import type { Store } from '../src/contracts.ts';
import { FleetError } from '../src/errors.ts';
import { type Connection, connect } from './sqlite/connection.ts';
import { loadEngine } from './sqlite/engine.ts';
import { checkedPath } from './sqlite/file.ts';
import { columnOf, textOfColumn } from './sqlite/text.ts';
import { createTurns } from './sqlite/turns.ts';

export interface SqliteOptions {
  /** The clock of every ttl, in milliseconds since 1970; one for all processes on the file. Default `Date.now`. */
  readonly now?: () => number;
  /** How long an operation waits while other processes write to the file, in milliseconds. Default 5000. */
  readonly busyMs?: number;
}

/** How often what has expired is looked for, and how much of it goes at once. */
const PURGE_EVERY_MS = 60_000;
const PURGE_SIZE = 1000;

/**
 * A durable store in one SQLite file, over `node:sqlite` (Node 22.13 or newer) or else the optional peer `libsql`. What a
 * promise has acknowledged is on the disk: write-ahead log, synced at each transaction (`synchronous = FULL`). Several processes
 * of one host may share the file; a network file system will not do. The file is made with mode 0600 in a folder that must
 * exist, is opened on first use, and can be read with the `sqlite3` program: `select key, value from entries`.
 *
 * @param file a path
 * @throws FleetError ER0230 for a path or option that cannot be used, a missing folder, a file of something else or of a newer
 * version; ER0231 where there is no SQLite to be found; ER0222 for a ttl that is not a positive number; ER0223 for a value over
 * SQLite's limit; ER0228 where the file is damaged (it is left as it is) or fails, retryable where it was busy, full or gave an
 * I/O error, not where the store is closed or the key holds no counter.
 * @example
 * ```ts
 * const store = sqlite('/var/lib/fleetbeat/store.db');
 * ```
 */
export function sqlite(file: string, { now = Date.now, busyMs = 5000 }: SqliteOptions = {}): Store {
  const path = checkedPath(file);
  if (!(Number.isFinite(busyMs) && busyMs >= 0)) {
    throw new FleetError('ER0230', `the option busyMs of sqlite is ${busyMs}, but must be a number of milliseconds`);
  }
  let purgeAt = Number.NEGATIVE_INFINITY;

  const purge = (connection: Connection): void => {
    const at = now();
    if (at < purgeAt) return;
    const isMore = connection.change('purge', at, PURGE_SIZE) === PURGE_SIZE;
    purgeAt = isMore ? at : at + PURGE_EVERY_MS;
  };

  const { read, write, close } = createTurns({
    path,
    open: async () => connect(await loadEngine(), path),
    busyMs,
    beforeEnd: purge,
  });

  return {
    get: (key) =>
      read((connection) => {
        const value = connection.value('get', columnOf(key), now());
        return value === undefined ? null : textOfColumn(value);
      }),

    async set(key, value, ttlMs) {
      const expiry = expiryOf(ttlMs);
      await write((connection) => connection.change('set', columnOf(key), columnOf(value), expiry(now())));
    },

    async add(key, value, ttlMs) {
      const expiry = expiryOf(ttlMs);
      return write((connection) => {
        const at = now();
        return connection.change('add', columnOf(key), columnOf(value), expiry(at), at) > 0;
      });
    },

    async swap(key, expected, next, ttlMs) {
      const expiry = expiryOf(ttlMs);
      const was = columnOf(expected);
      return write((connection) => {
        const at = now();
        const changed =
          next === null
            ? connection.change('remove', columnOf(key), was, was, at)
            : connection.change('replace', columnOf(next), expiry(at), columnOf(key), was, was, at);
        return changed > 0;
      });
    },

    delete: (key) => write((connection) => connection.change('delete', columnOf(key), now()) > 0),

    increment: (key) =>
      write((connection) => {
        const at = now();
        const count = connection.value('increment', columnOf(key), at, at);
        if (count !== undefined) return Number(count);
        throw new FleetError('ER0228', `key ${JSON.stringify(key)} holds a text, not a counter`);
      }),

    close,
  };
}

/** When what is written at an instant expires. */
function expiryOf(ttlMs: number | undefined): (at: number) => number | null {
  if (ttlMs === undefined) return () => null;
  if (Number.isFinite(ttlMs) && ttlMs > 0) return (at) => Math.min(Math.ceil(at + ttlMs), Number.MAX_SAFE_INTEGER);
  throw new FleetError('ER0222', `ttlMs is ${ttlMs}, but must be a positive number of milliseconds`);
}
