import { FleetError, isFleetError, messageOf } from '../../src/errors.ts';
import { type Column, type Engine, type EngineDatabase, isBusy, RESULT, resultOf } from './engine.ts';
import { claimFile, refuseOthers } from './file.ts';
import { APPLICATION_ID, SCHEMA, SQL } from './schema.ts';

/** An open file: one call per statement, each synchronous. */
export interface Connection {
  /** @returns how many rows were changed */
  change(statement: keyof typeof SQL, ...values: Column[]): number;
  /** @returns the column `value` of the first row, undefined where there is none */
  value(statement: keyof typeof SQL, ...values: Column[]): unknown;
  /** Runs `work` in one transaction that has the write lock from its start: it is on the disk when this returns. */
  transaction<T>(work: () => T): T;
  close(): void;
}

/** Busy is awaited by whoever calls, without blocking the event loop. */
const SETTINGS = `
pragma busy_timeout = 0;
pragma synchronous = full;
pragma fullfsync = on;
pragma checkpoint_fullfsync = on;
`;

/**
 * @throws FleetError ER0230 for a file that is not ours, ER0228 for one that is damaged; as it is where the file is busy
 */
export function connect(engine: Engine, path: string): Connection {
  claimFile(path);
  const database = engine(path);
  try {
    database.exec(SETTINGS);
    establish(database, path);
    return connectionOf(database);
  } catch (error) {
    database.close();
    if (isBusy(error)) throw error;
    throw failureOf(error, path);
  }
}

function establish(database: EngineDatabase, path: string): void {
  if (lookUp(database, 'pragma application_id') !== APPLICATION_ID) {
    inTransaction(database, () => {
      // Another process may have been first.
      if (lookUp(database, 'pragma application_id') !== APPLICATION_ID) database.exec(SCHEMA);
    });
  }
  // The header of the file may be older than its log.
  refuseOthers(path, Number(lookUp(database, 'pragma application_id')), Number(lookUp(database, 'pragma user_version')));
  // After the schema, so that the header of the file itself tells whose it is. Writes nothing where it is so already.
  database.exec('pragma journal_mode = wal');
  const mode = lookUp(database, 'pragma journal_mode');
  if (mode !== 'wal') {
    throw new FleetError('ER0230', `the store ${path} cannot have a write-ahead log (${mode}); is it on a network file system?`);
  }
  const verdict = lookUp(database, 'pragma quick_check(1)');
  if (verdict !== 'ok') throw damaged(path, String(verdict));
  if (lookUp(database, "select count(*) from pragma_table_info('entries')") !== 3)
    throw damaged(path, 'it has no table of entries');
}

function connectionOf(database: EngineDatabase): Connection {
  const statements = new Map(Object.entries(SQL).map(([name, sql]) => [name, database.prepare(sql)]));
  const statement = (name: keyof typeof SQL) => {
    const found = statements.get(name);
    if (!found) throw new TypeError(`no statement ${name}`);
    return found;
  };
  return {
    change: (name, ...values) => Number(statement(name).run(...values).changes),
    // Never `get`: after an `all` that found nothing, libsql's returns what an earlier statement had left.
    value: (name, ...values) => firstOf(statement(name).all(...values)),
    transaction: (work) => inTransaction(database, work),
    close() {
      // libsql keeps the file open until its statements are collected, so what the log holds is brought home here.
      try {
        database.exec('pragma wal_checkpoint(truncate)');
      } finally {
        database.close();
      }
    },
  };
}

function inTransaction<T>(database: EngineDatabase, work: () => T): T {
  database.exec('begin immediate');
  try {
    const result = work();
    database.exec('commit');
    return result;
  } catch (error) {
    rollBack(database);
    throw error;
  }
}

/** SQLite has rolled back by itself where the disk failed; then there is nothing left to be rolled back. */
function rollBack(database: EngineDatabase): void {
  try {
    database.exec('rollback');
  } catch (error) {
    if (!messageOf(error).includes('no transaction')) throw error;
  }
}

const lookUp = (database: EngineDatabase, sql: string): unknown => firstOf(database.prepare(sql).all());

const firstOf = ([row]: readonly unknown[]): unknown => (row === undefined ? undefined : Object.values(row as object)[0]);

/** Whatever an engine throws, as the one error of the library. */
export function failureOf(error: unknown, path: string): FleetError {
  if (isFleetError(error)) return error;
  const result = resultOf(error);
  if (result === RESULT.tooBig) return new FleetError('ER0223', `the value is over the limit of ${path}`, { cause: error });
  if (result === RESULT.corrupt || result === RESULT.notADatabase) return damaged(path, messageOf(error), error);
  return new FleetError('ER0228', `the store ${path}: ${messageOf(error)}`, {
    retryable: result !== null && TRANSIENT.has(result),
    cause: error,
  });
}

const TRANSIENT: ReadonlySet<number> = new Set([RESULT.busy, RESULT.locked, RESULT.noMemory, RESULT.ioError, RESULT.full]);

const damaged = (path: string, found: string, cause?: unknown): FleetError =>
  new FleetError(
    'ER0228',
    `the store ${path} is damaged (${found}); it was left as it is: move it away, or try what sqlite3's .recover saves of it`,
    cause === undefined ? {} : { cause },
  );
