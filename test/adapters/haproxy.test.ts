import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { asInstant, overShell } from 'fleetbeat';
import { haproxy } from 'fleetbeat/adapters/services/haproxy';
import { memcache } from 'fleetbeat/adapters/services/memcache';
import { driverContract } from 'fleetbeat/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isThorough } from '../properties/runs.ts';
import { type BalancerStage, balancerStage } from '../support/balancer-stage.ts';
import { callTo, processesIn, serviceOf } from '../support/host-stage.ts';
import { sendSignal } from '../support/process-table.ts';
import { freePort, type MemcachedServer, requires, startMemcached } from '../support/servers.ts';

const kind = haproxy();

/** What takes seconds and seldom breaks. */
const inCi = test.runIf(isThorough);
describe('the settings of a haproxy', () => {
  test('have defaults', () => {
    expect(kind.settings(undefined)).toMatchObject({
      writes: 3306,
      reads: 3307,
      memcache: null,
      addresses: null,
      user: 'haproxy',
    });
  });

  test.each<[string, string, unknown]>([
    ['writes', '0', { writes: 0 }],
    ['addresses', '[]', { addresses: [] }],
    ['addresses', '10.0.0.1\\n', { addresses: ['10.0.0.1\n    bind :22'] }],
    ['dataDir', '"/srv"', { dataDir: '/srv' }],
    ['dataDir', 'a'.repeat(80), { dataDir: `/srv/${'a'.repeat(80)}` }],
    ['checkUser', 'it', { checkUser: "it's" }],
    ['user', 'root me', { user: 'root me' }],
    ['binary', '-x', { binary: '-x' }],
    ['writes, reads', 'write', { write: 1 }],
  ])('are refused with what was found and what is allowed: %s %s', (allowed, found, raw) => {
    const read = () => kind.settings(raw);
    expect(read).toThrow(expect.objectContaining({ code: 'ER0230' }));
    expect(read).toThrow(allowed);
    expect(read).toThrow(found);
  });
});

requires('haproxy')('a haproxy on a host', () => {
  let stage: BalancerStage;
  beforeEach(async () => {
    stage = await balancerStage();
  });
  afterEach(() => stage.close());

  const configPath = () => join(stage.folder, 'lb1', 'haproxy.cfg');

  test('goes from uninstalled to routed, by a restart to another run, and is gone again', async () => {
    expect(await stage.look('lb1')).toMatchObject({ code: 'ER0024', holds: { installed: false } });
    expect(await stage.perform('lb1', 'install')).toEqual([null]);
    expect(await stage.look('lb1')).toMatchObject({ code: 'ER0023', holds: { installed: true, up: false } });
    expect(statSync(configPath()).mode & 0o777).toBe(0o600);

    expect(await stage.perform('lb1', 'start')).toEqual([null]);
    const first = await stage.look('lb1');
    expect(first).toMatchObject({ code: '000000', holds: { installed: true, up: true, routed: true } });
    expect((await stage.look('lb1')).runId).toBe(first.runId);

    expect(await stage.perform('lb1', 'restart')).toEqual([null]);
    const second = await stage.look('lb1');
    expect(second).toMatchObject({ code: '000000' });
    expect(second.runId).not.toBe(first.runId);

    expect(await stage.perform('lb1', 'stop')).toEqual([null]);
    expect(await stage.look('lb1')).toMatchObject({ code: 'ER0023', holds: { installed: true, up: false } });
    expect(processesIn(join(stage.folder, 'lb1'))).toEqual([]);
    expect(await stage.perform('lb1', 'remove', 'remove')).toEqual([null, null]);
    expect(await stage.look('lb1')).toMatchObject({ code: 'ER0024' });
    expect(readdirSync(stage.folder)).toEqual([]);
  });

  test('sends writes to the master and reads to the replicas, and to the master when no replica is up', async () => {
    await stage.start();
    await expect.poll(stage.routes).toEqual(['db1', 'db2', 'db3']);
    await expect.poll(() => stage.greetedBy(stage.writes, 20)).toEqual(['db1']);
    await expect.poll(() => stage.greetedBy(stage.reads, 20)).toEqual(['db2', 'db3']);

    await Promise.all(stage.databases.slice(1).map((one) => one.stop()));
    await expect.poll(stage.routes).toEqual(['db1']);
    await expect.poll(() => stage.greetedBy(stage.reads, 5)).toEqual(['db1']);
    await Promise.all(stage.databases.slice(1).map((one) => one.start()));
    await expect.poll(stage.routes).toEqual(['db1', 'db2', 'db3']);
  });

  test('completes what its reading says of databases: those that it lists are routed', async () => {
    await stage.start();
    await expect.poll(async () => (await stage.look('db2')).holds.routed).toBe(true);
    await stage.databases[1]?.stop();
    await expect.poll(async () => (await stage.look('db2')).holds.routed).toBe(false);
    expect((await stage.look('db2')).reason).toBe('not up for lb1');
    await stage.databases[1]?.start();
  });

  test('follows a change of roles when one of its databases is routed', async () => {
    await stage.start();
    const { runId } = await stage.look('lb1');
    stage.cluster(['slave', 'master', 'discard']);
    expect(await stage.look('lb1')).toMatchObject({
      code: '000000',
      holds: { up: true, routed: false },
      reason: expect.stringContaining('not what its cluster wants'),
    });
    expect((await stage.look('db2')).holds.routed).toBe(false);

    expect(await stage.perform('db2', { step: 'routed' })).toEqual([null]);
    await expect.poll(stage.routes).toEqual(['db1', 'db2']);
    await expect.poll(() => stage.greetedBy(stage.writes, 10)).toEqual(['db2']);
    await expect.poll(() => stage.greetedBy(stage.reads, 10)).toEqual(['db1']);
    expect(await stage.look('lb1')).toMatchObject({ holds: { routed: true }, runId });
    expect(await stage.look('db3')).toMatchObject({ holds: { routed: true } });
  });

  test('goes on as it was when its configuration is made invalid by hand, says so, and mends it when it is started', async () => {
    await stage.start();
    const { runId } = await stage.look('lb1');
    writeFileSync(configPath(), 'global\n    listen nonsense\n');
    expect(await stage.look('lb1')).toMatchObject({
      code: '000000',
      holds: { up: true, routed: false },
      reason: expect.stringContaining('changed by hand'),
    });
    await expect.poll(() => stage.greetedBy(stage.writes, 5)).toEqual(['db1']);
    expect(await stage.perform('lb1', { step: 'routed' })).toEqual([null]);
    expect(await stage.look('lb1')).toMatchObject({ holds: { routed: true }, runId });
  });

  test('that is stopped is not installed while its configuration is another one', async () => {
    await stage.perform('lb1', 'install');
    writeFileSync(configPath(), '# mine');
    expect(await stage.look('lb1')).toMatchObject({ code: 'ER0023', holds: { installed: false, up: false } });
    expect(await stage.perform('lb1', 'install')).toEqual([null]);
    expect(await stage.look('lb1')).toMatchObject({ code: 'ER0023', holds: { installed: true } });
  });

  test('keeps what it has when haproxy refuses the new configuration', async () => {
    await stage.start();
    const before = readFileSync(configPath(), 'utf8');
    stage.lb = stage.balancer({ user: 'nobody-of-that-name' });
    stage.cluster(['master', 'slave', 'slave']);
    expect(await stage.perform('lb1', { step: 'routed' })).toMatchObject([
      { code: 'ER0018', message: expect.stringContaining('nobody-of-that-name') },
    ]);
    expect(readFileSync(configPath(), 'utf8')).toBe(before);
    await expect.poll(() => stage.greetedBy(stage.writes, 5)).toEqual(['db1']);
    expect(await stage.look('lb1')).toMatchObject({ code: '000000', holds: { routed: false } });
  });

  inCi('runs on as it was when it cannot take its new configuration over', async () => {
    await stage.start();
    const taken = stage.databases[0];
    stage.lb = stage.balancer({ addresses: [taken?.host], writes: taken?.port });
    stage.cluster(['master', 'slave', 'slave']);
    expect(await stage.perform('lb1', { step: 'routed' })).toMatchObject([
      { code: 'ER0018', message: expect.stringContaining('runs as before') },
    ]);
    await expect.poll(() => stage.greetedBy(stage.writes, 5)).toEqual(['db1']);
    expect(await stage.look('lb1')).toMatchObject({ reason: expect.stringContaining('runs another configuration') });
  });

  inCi('that hangs fails with the reason, and is ended by stop', async () => {
    await stage.start();
    for (const pid of processesIn(join(stage.folder, 'lb1'))) process.kill(pid, 'SIGSTOP');
    expect(await stage.look('lb1')).toMatchObject({
      code: 'ER0018',
      holds: { up: false },
      reason: expect.stringContaining('socket'),
    });
    expect(await stage.perform('lb1', 'stop')).toEqual([null]);
    expect(processesIn(join(stage.folder, 'lb1'))).toEqual([]);
  });

  test('that has died is stopped, and starts with the present roles', async () => {
    await stage.start();
    for (const pid of processesIn(join(stage.folder, 'lb1'))) sendSignal(pid, 'SIGKILL');
    await expect.poll(() => stage.look('lb1')).toMatchObject({ code: 'ER0023' });
    stage.cluster(['slave', 'master', 'slave']);
    expect(await stage.perform('lb1', 'start')).toEqual([null]);
    await expect.poll(() => stage.greetedBy(stage.writes, 1)).toEqual(['db2']);
  });

  test('is not configured where it is not installed, nor in a directory of something else', async () => {
    expect(await stage.perform('db1', { step: 'routed' })).toMatchObject([
      { message: expect.stringContaining('is not installed') },
    ]);
    mkdirSync(join(stage.folder, 'lb1'));
    writeFileSync(join(stage.folder, 'lb1', 'accounts'), 'precious');
    expect(await stage.perform('lb1', 'install', 'remove')).toMatchObject([
      { message: expect.stringContaining('not empty') },
      null,
    ]);
    expect(readdirSync(join(stage.folder, 'lb1'))).toEqual(['accounts']);
  });

  test('listens on an address that is not there yet, and shows its statistics where it is told to', async () => {
    const stats = await freePort(stage.host.address);
    stage.lb = stage.balancer({ addresses: ['192.0.2.77', stage.host.address], stats });
    stage.cluster(['master', 'slave']);
    await stage.start();
    await expect.poll(() => stage.greetedBy(stage.writes, 3)).toEqual(['db1']);
    const page = await (await fetch(`http://${stage.host.address}:${stats}/;csv`)).text();
    expect(page).toContain('writes,db1,');
  });

  test('has its directory read by no shell and no haproxy', async () => {
    stage.lb = stage.balancer({ dataDir: join(stage.folder, `it's $(touch b) $HOME "x"; touch b`).slice(0, 75) });
    stage.cluster(['master', 'slave', 'slave']);
    await stage.start();
    expect(await stage.perform('lb1', 'remove')).toEqual([null]);
    expect(readdirSync(stage.folder)).toEqual([]);
    expect(readdirSync(stage.host.home)).not.toContain('b');
    expect(existsSync(join(stage.folder, 'b'))).toBe(false);
  });

  requires('memcached')('that offers memcached', () => {
    let cache: MemcachedServer;
    beforeEach(async () => {
      cache = await startMemcached();
    });
    afterEach(() => cache.stop());

    inCi('routes to one that tells its version', async () => {
      const port = await freePort(stage.host.address);
      stage.configure([
        stage.balancer({ memcache: port }),
        serviceOf(memcache(), 'nosql1', cache.host, { status: 'master', settings: { port: cache.port } }),
      ]);
      await stage.start();
      await expect.poll(stage.routes).toEqual(['nosql1']);
      const socket = connect(port, stage.host.address).setEncoding('latin1');
      socket.write('version\r\n');
      expect((await once(socket, 'data'))[0]).toMatch(/^VERSION /);
      socket.destroy();
      cache.freeze();
      await expect.poll(stage.routes).toEqual([]);
      cache.thaw();
    });
  });

  describe('keeps the contract of a driver', () => {
    for (const { name, run } of driverContract)
      test(name, () =>
        run(async () => {
          let now = 0;
          const driver = overShell([kind], stage.shell);
          const other = serviceOf(kind, 'lb2', stage.host.address, { settings: { dataDir: join(stage.folder, 'lb2') } });
          driver.bind?.([stage.lb, other]);
          await driver.perform([callTo('lb1', 'install')], new AbortController().signal);
          return {
            driver,
            now: () => asInstant(now),
            advance: (ms) => {
              now += ms;
            },
            subjects: {
              legal: [callTo('lb1', 'start').call, callTo('lb2', 'install').call],
              unknown: callTo('nobody', 'stop').call,
            },
          };
        }),
      );
  });
});
