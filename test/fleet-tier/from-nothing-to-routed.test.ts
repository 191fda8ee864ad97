import Table from 'cli-table3';
import { memcached } from 'fleetbeat/adapters/memcached';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Rung } from '../support/climb.ts';
import { requiresMachines } from '../support/servers.ts';
import { APP_USER, openShop, PORTS, type Shop, VIP } from '../support/shop.ts';

/** Only a failure takes this long. */
const PATIENT = { timeout: 150_000, interval: 200 };
const TEST_MS = 400_000;

/** What has to be seen last of that on which a call stands, before it is made. */
const BELOW: Readonly<Record<string, readonly string[]>> = {
  start: ['stopped'],
  bootstrap: ['ssh-up', 'bootstrapped'],
  installed: ['managed'],
  up: ['stopped'],
  replicating: ['up'],
  routed: ['up', 'replicating'],
};

requiresMachines('a cluster on six machines that are off', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await openShop({ everyMs: 500 });
  }, TEST_MS);
  afterAll(() => shop?.close());

  const viewOf = (name: string) => shop.fleet.views().find((view) => view.name === name);
  const start = (group: string) => shop.fleet.dispatch({ level: 'services', action: 'start', group });
  /** All are on the top of their ladders, and nothing is left to do. */
  const allOnTop = () =>
    expect.poll(() => [...shop.belowTop(), ...shop.failures(), ...shop.fleet.actions().map(({ id }) => id)], PATIENT).toEqual([]);
  const idOf = async (database: string) => Number(await shop.sql(database, 'SELECT @@server_id'));
  /** Writes through the shared address. @returns the id of the server on which that landed */
  const write = async () => {
    const [row] = await shop.ask(PORTS.writes, 'INSERT INTO app.orders (server) VALUES (@@server_id) RETURNING server');
    return row?.server;
  };

  test('comes from nothing to routed by one command, each rung seen before the next is tried', { timeout: TEST_MS }, async () => {
    await expect.poll(() => shop.fleet.role, PATIENT).toBe('leader');
    const instances = new Set(shop.services.map(({ name }) => shop.machineOf(name).name));
    expect([...instances].map((name) => viewOf(name)?.state)).toEqual(Array(6).fill('stopped'));
    const startedAt = performance.now();
    expect(await start('shop')).toMatchObject({ code: 'ER0016', rejected: [] });
    await allOnTop();

    const happenings = shop.climb.happenings();
    for (const service of shop.services) {
      const instance = shop.machineOf(service.name).name;
      const calls = happenings.filter(({ kind, name }) => kind === 'call' && (name === instance || name === service.name));
      const replicates = service.mode === 'mariadb' ? ['replicating'] : [];
      const made = new Set(calls.map(({ what }) => what));
      made.delete('routed');
      expect([...made], service.name).toEqual(['start', 'bootstrap', 'installed', 'up', ...replicates]);
      for (const { name, what, at } of calls) {
        const standsOn = what === 'installed' ? instance : name;
        const seen = happenings.findLast((one) => one.kind === 'seen' && one.name === standsOn && one.at < at);
        expect(BELOW[what], `${what} of ${name}`).toContain(seen?.what);
      }
    }
    const routedAt = (name: string) => happenings.findIndex((one) => one.name === name && one.what === 'routed');
    for (const database of ['db1', 'db2', 'db3'])
      expect(routedAt(database)).toBeGreaterThan(Math.min(...['lb1', 'lb2', 'proxy1'].map(routedAt)));
    print(shop.rungs(startedAt), shop.climb.beatMs(startedAt));
  });

  test('has the shared address on one machine, and the roles that its configuration wants', async () => {
    await expect.poll(() => shop.holders(), PATIENT).toEqual([shop.machineOf('lb1').name]);
    await expect.poll(() => ['vip1', 'vip2'].map((name) => viewOf(name)?.role), PATIENT).toEqual(['master', 'slave']);
    expect(['db1', 'db2', 'db3'].map((name) => viewOf(name)?.role)).toEqual(['master', 'slave', 'slave']);
  });

  test('takes writes to the master and reads to the replicas, through the shared address', { timeout: TEST_MS }, async () => {
    const [master, ...replicas] = await Promise.all(['db1', 'db2', 'db3'].map(idOf));
    await shop.sql(
      'db1',
      `CREATE DATABASE app; CREATE TABLE app.orders (id INT AUTO_INCREMENT PRIMARY KEY, server BIGINT); ${APP_USER}`,
    );
    for (let i = 0; i < 10; i++) expect(await write()).toBe(master);

    const readers = new Set<number>();
    const read = async () => {
      const [row] = await shop.ask(PORTS.reads, 'SELECT @@server_id AS reader, COUNT(*) AS orders FROM app.orders');
      if (row?.orders === 10) readers.add(row.reader);
      return [...readers].sort();
    };
    await expect.poll(read, PATIENT).toEqual([...replicas].sort());

    const [proxied] = await shop.ask(3306, 'SELECT @@server_id AS server', shop.machineOf('proxy1').ip);
    expect(proxied?.server).toBe(master);
    const cache = memcached({ servers: `${VIP}:${PORTS.memcache}` });
    await cache.set('order', '1');
    expect(await cache.get('order')).toBe('1');
    await cache.close?.();
  });

  test('moves the address when the active balancer loses its power, sees that, and is whole again once it is started', {
    timeout: TEST_MS,
  }, async () => {
    const [first, second] = [shop.machineOf('lb1'), shop.machineOf('lb2')];
    const master = await idOf('db1');
    await first.off();
    await expect.poll(() => shop.holders(), PATIENT).toEqual([second.name]);
    await expect.poll(write, PATIENT).toBe(master);
    await expect.poll(() => viewOf('vip2')?.role, PATIENT).toBe('master');
    await expect.poll(() => viewOf(first.name)?.state, PATIENT).toBe('stopped');
    await expect.poll(() => viewOf('lb1')?.hostLost, PATIENT).toBe(true);
    // Who lies with its power counts no more: the others route.
    const below = () => shop.belowTop().map((line) => line.split(' ')[0]);
    await expect.poll(below, PATIENT).toEqual(['lb1', 'vip1']);
    // Nobody asked for it.
    expect(first.isOn).toBe(false);

    expect(await start(first.ip)).toMatchObject({ rejected: [] });
    await allOnTop();
    await expect.poll(() => shop.holders(), PATIENT).toEqual([first.name]);
    await expect.poll(() => ['vip1', 'vip2'].map((name) => viewOf(name)?.role), PATIENT).toEqual(['master', 'slave']);
    await expect.poll(write, PATIENT).toBe(master);
  });
});

/** The time of each rung, beside what the server itself needed. */
function print(rungs: readonly Rung[], beatMs: number): void {
  const table = new Table({
    head: ['service', 'rung', 'ms', 'of that the server', 'beats beside it'],
    style: { head: [], border: [] },
  });
  for (const { service, call, tookMs, ownMs } of rungs)
    table.push([service, call, Math.round(tookMs), Math.round(ownMs), ((tookMs - ownMs) / beatMs).toFixed(1)]);
  process.stdout.write(`a beat every ${Math.round(beatMs)} ms\n${table}\n`);
}
