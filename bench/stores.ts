import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Store } from 'fleetbeat';
import type { Library } from './library.ts';
import { startMemcached } from './memcached.ts';

export const STORES = ['memory', 'sqlite', 'memcached', 'journaled'] as const;
export type StoreName = (typeof STORES)[number];

/** Where new, empty stores of one sort come from. */
export interface StoreSource {
  open(): Promise<Store>;
  close(): Promise<void>;
}

/** How long a journaled store waits for others before its first answer: here there are none. */
const SETTLE_MS = 10;

/** @returns null where what it needs is not installed */
export async function sourceOf(name: StoreName, library: Library): Promise<StoreSource | null> {
  const { memory, sqlite, memcached, journaled } = library;
  if (name === 'memory') return { open: async () => memory(), close: async () => {} };
  const folder = mkdtempSync(join(tmpdir(), 'fleetbeat-bench-'));
  const server = name === 'sqlite' ? null : await startMemcached();
  let count = 0;
  const file = () => join(folder, `${++count}.db`);
  const shared = () => memcached({ servers: server?.address ?? '', prefix: `bench${++count}:`, deadlineMs: 10_000 });
  const close = async () => {
    await server?.stop();
    rmSync(folder, { recursive: true });
  };
  if (name !== 'sqlite' && server === null) {
    await close();
    return null;
  }
  const make = {
    sqlite: () => sqlite(file()),
    memcached: shared,
    journaled: () => journaled(shared(), sqlite(file()), { settleMs: SETTLE_MS }),
  }[name];
  return {
    async open() {
      const store = make();
      await store.get('opened');
      return store;
    },
    close,
  };
}

/** What this process has written to files and sockets so far; null where the system does not count it. */
export function writtenBytes(): number | null {
  try {
    return Number(/^wchar: (\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
  } catch {
    return null;
  }
}

type Exec = (this: unknown, sql: string) => unknown;

/** Counts the transactions that SQLite commits in this process: with `synchronous = FULL`, each syncs the log once. */
export async function countCommits(): Promise<{ readonly commits: number; stop(): void }> {
  const engine = await engineClass();
  const { exec } = engine.prototype;
  let commits = 0;
  engine.prototype.exec = function (sql) {
    if (sql === 'commit') commits++;
    return exec.call(this, sql);
  };
  return {
    get commits() {
      return commits;
    },
    stop() {
      engine.prototype.exec = exec;
    },
  };
}

async function engineClass(): Promise<{ readonly prototype: { exec: Exec } }> {
  const own = process.getBuiltinModule?.('node:sqlite') as
    | { readonly DatabaseSync?: { readonly prototype: { exec: Exec } } }
    | undefined;
  if (own?.DatabaseSync) return own.DatabaseSync;
  return (await import('libsql')).default as unknown as { readonly prototype: { exec: Exec } };
}
