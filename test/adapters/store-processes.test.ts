import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { asInstant } from 'fleetbeat';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createQueue } from '../../src/queue.ts';
import { RUNS } from '../properties/runs.ts';
import { type NamedStore, openStore } from '../support/named-store.ts';
import { serverFolder } from '../support/run-folder.ts';
import { type MemcachedServer, requires, startMemcached } from '../support/servers.ts';

const CLAIMING_PROCESS = fileURLToPath(new URL('../support/claiming-process.ts', import.meta.url));
const EACH = RUNS.numRuns;

interface Claim {
  readonly owner: string;
  readonly id: string;
  readonly fence: number;
}

const running: ChildProcessByStdio<Writable, Readable, null>[] = [];
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
});

/** Lets a process for each store claim what all have armed, until `total` were claimed. */
async function claimsOf(stores: readonly NamedStore[], total: number): Promise<readonly Claim[]> {
  const claims: Claim[] = [];
  let armed = 0;
  const children = stores.map((store, i) => {
    const owner = `process${i}`;
    const args = ['--import', 'tsx', CLAIMING_PROCESS, JSON.stringify(store), owner, String(EACH)];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    running.push(child);
    createInterface(child.stdout).on('line', (line) => {
      if (line === 'armed') {
        if (++armed === stores.length) for (const each of children) each.stdin.write('go\n');
        return;
      }
      const [id = '', fence = ''] = line.split(' ');
      claims.push({ owner, id, fence: Number(fence) });
      if (claims.length === total) for (const each of children) each.stdin.end();
    });
    return child;
  });
  await Promise.all(children.map((child) => once(child, 'close')));
  return claims;
}

async function expectEachOnce(stores: readonly NamedStore[]): Promise<void> {
  const total = EACH * stores.length;
  const claims = await claimsOf(stores, total);
  expect(claims).toHaveLength(total);
  expect(new Set(claims.map(({ id }) => id)).size).toBe(total);
  expect(new Set(claims.map(({ owner }) => owner)).size).toBe(stores.length);
  for (const fence of new Set(claims.map((claim) => claim.fence))) {
    const owners = claims.filter((claim) => claim.fence === fence).map(({ owner }) => owner);
    expect(new Set(owners).size, `owners of fence ${fence}`).toBe(1);
  }
  const [first] = stores;
  if (!first) return;
  const store = openStore(first);
  const silent = { written() {}, found() {}, lost() {}, unfit() {}, isLeader: () => false };
  const queue = createQueue(store, { expiresMs: 1, historyMs: 1, graceMs: 1 }, silent);
  await queue.refresh(() => asInstant(0), true);
  expect(queue.all()).toEqual([]);
  await store.close?.();
}

const newFile = () => join(serverFolder('sqlite'), 'store.db');

test(`of two processes on one sqlite file, with ${EACH} actions each, every one is claimed exactly once`, async () => {
  const store: NamedStore = { kind: 'sqlite', file: newFile() };
  await expectEachOnce([store, store]);
}, 60_000);

requires('memcached')(`of two processes with ${EACH} actions each, every one is claimed exactly once`, () => {
  let server: MemcachedServer;
  beforeAll(async () => {
    server = await startMemcached();
  });
  afterAll(() => server.stop());

  test('on memcached', async () => {
    const store: NamedStore = { kind: 'memcached', servers: server.address, prefix: 'plain:' };
    await expectEachOnce([store, store]);
  }, 60_000);

  test('on memcached with a journal each', async () => {
    const store = (): NamedStore => ({ kind: 'journaled', servers: server.address, prefix: 'journaled:', file: newFile() });
    await expectEachOnce([store(), store()]);
  }, 120_000);
});
