import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Store } from 'fleetbeat';
import { sqlite } from 'fleetbeat/adapters/sqlite';
import { afterEach, describe, expect, test } from 'vitest';
import { connect } from '../../adapters/sqlite/connection.ts';
import { type EngineDatabase, loadEngine } from '../../adapters/sqlite/engine.ts';
import { storeContract } from '../../src/testing/store-contract.ts';
import { serverFolder } from '../support/run-folder.ts';

const WRITER = fileURLToPath(new URL('../support/store-writer.ts', import.meta.url));

const newFile = () => join(serverFolder('sqlite'), 'store.db');

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A store that is closed after the test. */
function storeIn(file: string, options: Parameters<typeof sqlite>[1] = {}): Store {
  const store = sqlite(file, options);
  closers.push(() => store.close?.());
  return store;
}

/** The store's own: locks are a process's, so that two copies of SQLite in one would not see each other's. */
const engine = await loadEngine();

/** The file as another program sees it. */
function opened(file: string) {
  const database = engine(file);
  closers.push(() => database.close());
  return database;
}

async function storeWith(file: string, entries: Readonly<Record<string, string>>): Promise<void> {
  const store = sqlite(file);
  for (const [key, value] of Object.entries(entries)) await store.set(key, value);
  await store.close?.();
}

describe('sqlite keeps the contract of a store', () => {
  for (const { name, run } of storeContract) {
    const file = newFile();
    test.concurrent(name, () => run(async () => sqlite(file)));
  }
});

describe('what was acknowledged', () => {
  test('is there when the file is opened again', async () => {
    const file = newFile();
    await storeWith(file, { 'a:1': 'armed' });
    expect(await storeIn(file).get('a:1')).toBe('armed');
  });

  test('is synced to a write-ahead log before', async () => {
    const used: EngineDatabase[] = [];
    const connection = connect((path) => {
      const database = engine(path);
      used.push(database);
      return database;
    }, newFile());
    closers.push(connection.close);
    const found = ['synchronous', 'journal_mode', 'fullfsync'].map((name) => used[0]?.prepare(`pragma ${name}`).all()[0]);
    expect(found).toMatchObject([{ synchronous: 2 }, { journal_mode: 'wal' }, { fullfsync: 1 }]);
  });

  test('is there after the process that wrote it was killed, at any moment', async () => {
    const file = newFile();
    const acknowledged: string[] = [];
    for (const count of [1, 40, 173]) {
      const writer = spawn(process.execPath, ['--import', 'tsx', WRITER, file], { stdio: ['ignore', 'pipe', 'inherit'] });
      closers.push(() => writer.kill('SIGKILL'));
      const from = acknowledged.length;
      createInterface(writer.stdout).on('line', (key) => {
        acknowledged.push(key);
        if (acknowledged.length === from + count) writer.kill('SIGKILL');
      });
      await once(writer, 'close');
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(1 + 40 + 173);
    const store = storeIn(file);
    const values = await Promise.all(acknowledged.map((key) => store.get(key)));
    expect(values).toEqual(acknowledged.map((key) => `value of ${key}`));
  }, 30_000);
});

describe('the file', () => {
  test('is made for its owner alone', async () => {
    const file = newFile();
    await storeIn(file).set('k', 'value');
    expect([file, `${file}-wal`, `${file}-shm`].map((path) => statSync(path).mode & 0o777)).toEqual([0o600, 0o600, 0o600]);
  });

  test('is one that a person can read', async () => {
    const file = newFile();
    const store = storeIn(file, { now: () => 1_000 });
    await store.set('a:1', '{"version":1}');
    await store.set('c:1', '7 me', 500);
    await store.increment('fence');
    expect(opened(file).prepare('select key, value, expires_at from entries order by key').all()).toEqual([
      { key: 'a:1', value: '{"version":1}', expires_at: null },
      { key: 'c:1', value: '7 me', expires_at: 1_500 },
      { key: 'fence', value: 1, expires_at: null },
    ]);
  });

  test('in a folder that is not there is refused, and the folder not made', async () => {
    const folder = join(serverFolder('sqlite'), 'missing');
    await expect(storeIn(join(folder, 'store.db')).get('k')).rejects.toMatchObject({
      code: 'ER0230',
      detail: expect.stringContaining(`${folder} does not exist`),
    });
    expect(existsSync(folder)).toBe(false);
  });

  test('that is a folder is refused', async () => {
    await expect(storeIn(serverFolder('sqlite')).get('k')).rejects.toMatchObject({ code: 'ER0230' });
  });

  test.each(['', ':memory:', 'nul\0byte'])('called %j is refused at once', (file) => {
    expect(() => sqlite(file)).toThrow(expect.objectContaining({ code: 'ER0230' }));
  });

  test.each([-1, Number.NaN])('a busyMs of %j is refused at once', (busyMs) => {
    expect(() => sqlite(newFile(), { busyMs })).toThrow(expect.objectContaining({ code: 'ER0230' }));
  });

  test('may be an empty one that somebody has made', async () => {
    const file = newFile();
    writeFileSync(file, '');
    await storeIn(file).set('k', 'value');
    expect(await storeIn(file).get('k')).toBe('value');
  });

  test('called like a URL is a file', async () => {
    const folder = serverFolder('sqlite');
    mkdirSync(join(folder, 'file:store'));
    await storeIn(join(folder, 'file:store', 'x?mode=memory')).set('k', 'value');
    expect(existsSync(join(folder, 'file:store', 'x?mode=memory'))).toBe(true);
  });
});

describe('a file that is not ours, or not whole, is refused and left as it is', () => {
  const foreign = (file: string, ...sql: readonly string[]) => {
    const database = engine(file);
    for (const statement of sql) database.exec(statement);
    database.close();
  };
  const filled = (file: string) =>
    storeWith(file, Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`k${i}`, 'v'.repeat(900)])));

  const CASES: readonly (readonly [string, string, RegExp, (file: string) => unknown])[] = [
    ['a text', 'ER0230', /no SQLite file/, (file) => writeFileSync(file, '{"servers":["127.0.0.1:11211"]}'.repeat(10))],
    ['a few bytes', 'ER0230', /no SQLite file/, (file) => writeFileSync(file, 'SQLite format 3\0')],
    [
      'a database of others',
      'ER0230',
      /application_id is 0/,
      (file) => foreign(file, 'create table entries (key, value, expires_at)'),
    ],
    [
      'a database of others with a log',
      'ER0230',
      /application_id is 7/,
      (file) => foreign(file, 'pragma application_id = 7', 'pragma journal_mode = wal', 'create table t (x)'),
    ],
    [
      'a newer version',
      'ER0230',
      /user_version is 2/,
      (file) => filled(file).then(() => foreign(file, 'pragma user_version = 2')),
    ],
    ['a store without its table', 'ER0228', /damaged/, (file) => filled(file).then(() => foreign(file, 'drop table entries'))],
    ['a store that was cut off', 'ER0228', /damaged/, (file) => filled(file).then(() => truncateSync(file, 40_000))],
    [
      'a store with overwritten pages',
      'ER0228',
      /damaged/,
      async (file) => {
        await filled(file);
        const bytes = readFileSync(file);
        writeFileSync(file, bytes.fill(0x5a, 8192, 8192 + 4096 * 8));
      },
    ],
  ];

  test.each(CASES)('%s', async (_, code, detail, make) => {
    const file = newFile();
    await make(file);
    const before = readFileSync(file);
    const store = sqlite(file);
    for (const attempt of [() => store.get('k1'), () => store.set('k1', 'overwritten'), () => store.increment('fence')]) {
      await expect(attempt()).rejects.toMatchObject({ code, retryable: false, detail: expect.stringMatching(detail) });
    }
    await store.close?.();
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test('and is taken once it is whole again', async () => {
    const file = newFile();
    writeFileSync(file, 'not yet');
    const store = storeIn(file);
    await expect(store.get('k')).rejects.toMatchObject({ code: 'ER0230' });
    writeFileSync(file, '');
    await store.set('k', 'value');
    expect(await store.get('k')).toBe('value');
  });
});

describe('several processes on one file', () => {
  test('an operation waits for another that writes, and the event loop goes on meanwhile', async () => {
    const file = newFile();
    const store = storeIn(file);
    await store.set('k', 'value');
    const other = opened(file);
    other.exec('begin immediate');
    let turns = 0;
    const written = store.set('k', 'next');
    for (; turns < 50; turns++) await new Promise((resolve) => setTimeout(resolve, 1));
    other.exec('commit');
    await written;
    expect(await store.get('k')).toBe('next');
  });

  test('what is busy for too long fails, and may be tried again', async () => {
    const file = newFile();
    const store = storeIn(file, { busyMs: 20 });
    await store.set('k', 'value');
    const other = opened(file);
    other.exec('begin immediate');
    await expect(store.set('k', 'next')).rejects.toMatchObject({ code: 'ER0228', retryable: true });
    expect(await store.get('k')).toBe('value');
    other.exec('rollback');
    await store.set('k', 'next');
    expect(await store.get('k')).toBe('next');
  });

  test('that open a new file at once all have it', async () => {
    const file = newFile();
    const stores = Array.from({ length: 8 }, () => storeIn(file));
    const counts = await Promise.all(stores.map((store) => store.increment('n')));
    expect(counts.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test.runIf(existsSync('/proc/locks'))('a second store in one process leaves the locks of the first as they are', async () => {
    const file = newFile();
    const isLocked = () => readFileSync('/proc/locks', 'utf8').includes(`:${statSync(file).ino} `);
    await storeIn(file).set('k', 'value');
    expect(isLocked()).toBe(true);
    await storeIn(file).get('k');
    expect(isLocked()).toBe(true);
  });
});

describe('sqlite', () => {
  test('what has a ttl expires on the given clock, and leaves the file', async () => {
    let now = 0;
    const file = newFile();
    const store = storeIn(file, { now: () => now });
    await store.set('lease', 'mine', 1000);
    now = 999;
    expect(await store.get('lease')).toBe('mine');
    expect(await store.add('lease', 'yours')).toBe(false);
    now = 1000;
    expect(await store.get('lease')).toBeNull();
    expect(await store.swap('lease', 'mine', 'again')).toBe(false);
    now = 100_000;
    await store.set('other', 'value');
    expect(opened(file).prepare('select key from entries').all()).toEqual([{ key: 'other' }]);
  });

  test('what is asked for at once is done in that order', async () => {
    const store = storeIn(newFile());
    const answers = await Promise.all([
      store.get('k'),
      store.add('k', 'first'),
      store.swap('k', 'first', 'second'),
      store.get('k'),
      store.delete('k'),
      store.increment('k'),
      store.get('k'),
    ]);
    expect(answers).toEqual([null, true, true, 'second', true, 1, '1']);
  });

  test('an operation that is refused takes none along that was asked for with it', async () => {
    const store = storeIn(newFile());
    await store.set('text', 'value');
    const [before, refused, after] = await Promise.allSettled([
      store.increment('n'),
      store.increment('text'),
      store.increment('n'),
    ]);
    expect([before, after]).toMatchObject([{ value: 1 }, { value: 2 }]);
    expect(refused).toMatchObject({ reason: { code: 'ER0228', retryable: false } });
  });

  test('close lets what was asked for be done, and what is asked afterwards fails for good', async () => {
    const file = newFile();
    const store = sqlite(file);
    const writes = Array.from({ length: 600 }, (_, i) => store.set(`k${i}`, 'value'));
    await store.close?.();
    await Promise.all(writes);
    await expect(store.get('k1')).rejects.toMatchObject({ code: 'ER0228', retryable: false });
    copyFileSync(file, `${file}.copy`);
    expect(await storeIn(`${file}.copy`).get('k599')).toBe('value');
  });

  test('a store that was never used makes no file', async () => {
    const file = newFile();
    await sqlite(file).close?.();
    expect(existsSync(file)).toBe(false);
  });
});

describe('the engine', () => {
  const database = { exec() {}, prepare: () => ({ run: () => ({ changes: 0 }), all: () => [] }), close() {} };

  test("is Node's own where it has one", async () => {
    class DatabaseSync {
      readonly path: string;
      constructor(path: string) {
        this.path = path;
      }
    }
    const own = await loadEngine({ builtin: () => ({ DatabaseSync }), peer: () => Promise.reject(new Error('not asked')) });
    expect(own('/store.db')).toMatchObject({ path: '/store.db' });
  });

  test('is the peer where Node has none', async () => {
    const peer = await loadEngine({
      builtin: () => undefined,
      peer: async () => ({
        default: class {
          constructor() {
            Object.assign(this, database);
          }
        } as never,
      }),
    });
    expect(peer('/store.db')).toMatchObject(database);
  });

  test('that is missing is told with the line that installs it', async () => {
    const missing = loadEngine({
      builtin: () => undefined,
      peer: () => Promise.reject(new Error("Cannot find package 'libsql'")),
    });
    await expect(missing).rejects.toMatchObject({ code: 'ER0231', detail: expect.stringContaining('npm install libsql') });
  });
});
