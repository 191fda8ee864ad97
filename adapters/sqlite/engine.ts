import { FleetError, messageOf } from '../../src/errors.ts';

/** What a column can hold here. */
export type Column = string | number | Uint8Array | null;

/** The part of a prepared statement that both engines have. */
interface EngineStatement {
  run(...values: Column[]): { readonly changes: number | bigint };
  all(...values: Column[]): unknown[];
}

/** The part of `DatabaseSync` of `node:sqlite` and of `Database` of libsql that is used. */
export interface EngineDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): EngineStatement;
  close(): unknown;
}

/** Opens a file, and makes it where it is missing. */
export type Engine = (path: string) => EngineDatabase;

interface Sources {
  readonly builtin: (name: string) => unknown;
  readonly peer: () => Promise<{ readonly default: new (path: string) => EngineDatabase }>;
}

const SOURCES: Sources = {
  builtin: (name) => process.getBuiltinModule?.(name),
  peer: () => import('libsql'),
};

/**
 * SQLite as Node has it, or else as the optional peer `libsql` has it.
 *
 * @throws FleetError ER0231 where neither is there
 */
export async function loadEngine({ builtin, peer }: Sources = SOURCES): Promise<Engine> {
  const own = builtin('node:sqlite');
  if (hasDatabase(own)) return (path) => new own.DatabaseSync(path);
  try {
    const { default: Database } = await peer();
    return (path) => new Database(path);
  } catch (cause) {
    throw new FleetError(
      'ER0231',
      `the store sqlite needs Node 22.13 or newer, or else the package libsql (npm install libsql): ${messageOf(cause)}`,
      { cause },
    );
  }
}

const hasDatabase = (module: unknown): module is { readonly DatabaseSync: new (path: string) => EngineDatabase } =>
  typeof module === 'object' && module !== null && 'DatabaseSync' in module && typeof module.DatabaseSync === 'function';

/** SQLite's primary result codes that are told apart. */
export const RESULT = {
  busy: 5,
  locked: 6,
  noMemory: 7,
  ioError: 10,
  corrupt: 11,
  full: 13,
  tooBig: 18,
  notADatabase: 26,
} as const;

/** The primary result code of an error: `errcode` of `node:sqlite`, `rawCode` of libsql. Null where SQLite did not throw it. */
export function resultOf(error: unknown): number | null {
  if (typeof error !== 'object' || error === null) return null;
  const { errcode, rawCode } = error as { readonly errcode?: unknown; readonly rawCode?: unknown };
  const code = errcode ?? rawCode;
  return typeof code === 'number' ? code & 0xff : null;
}

export const isBusy = (error: unknown): boolean => {
  const result = resultOf(error);
  return result === RESULT.busy || result === RESULT.locked;
};
