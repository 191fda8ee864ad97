import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { haproxy, haproxyRuntime } from 'fleetbeat/adapters/services/haproxy';
import { memcache } from 'fleetbeat/adapters/services/memcache';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { defineServiceKind, type Shell } from '../../src/contracts.ts';
import { asInstant, asToken } from '../../src/domain/identity.ts';
import type { Role, Service } from '../../src/domain/service.ts';
import { isThorough } from '../properties/runs.ts';
import { type HostStage, hostStage, processesIn, serviceOf } from '../support/host-stage.ts';
import { type MysqlGreeter, nameIn, startMysqlGreeter } from '../support/mysql-greeter.ts';
import { serverFolder } from '../support/run-folder.ts';
import { freePort, loopback, type MemcachedServer, requires, startMemcached } from '../support/servers.ts';

const never = new AbortController().signal;
const kind = haproxy();

/** A database as far as a balancer is concerned. */
const database = defineServiceKind<{ readonly port: number }>({
  mode: 'mariadb',
  host: 'managed',
  ladder: ['installed', 'up', 'routed'],
  settings: (raw) => raw as { readonly port: number },
  probe: async ({ name }) => ({ name, readAt: asInstant(0), code: '000000', holds: { installed: true, up: true } }),
  steps: {},
});

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
  let stage: HostStage;
  let databases: readonly MysqlGreeter[];
  let lb: Service;
  let writes: number;
  let reads: number;

  beforeAll(async () => {
    databases = await Promise.all(['db1', 'db2', 'db3'].map((name, i) => startMysqlGreeter(loopback(11 + i), name)));
  });
  afterAll(() => Promise.all(databases.map((one) => one.stop())));

  const balancer = (settings: object = {}, name = 'lb1'): Service =>
    serviceOf(kind, name, stage.host.address, {
      settings: { writes, reads, dataDir: join(stage.folder, name), checkMs: 100, ...settings },
    });

  /** The databases with these roles, and a balancer. */
  const configure = (roles: readonly Role[], balancers: readonly Service[] = [lb]) =>
    stage.configure([
      ...balancers,
      ...roles.map((status, i) => {
        const { host = '', port } = databases[i] ?? {};
        return serviceOf(database, `db${i + 1}`, host, { status, settings: { port } });
      }),
    ]);

  beforeEach(async () => {
    stage = await hostStage([kind, database, memcache()], loopback(1));
    [writes, reads] = [await freePort(stage.host.address), await freePort(stage.host.address)];
    lb = balancer();
    configure(['master', 'slave', 'slave']);
  });
  afterEach(() => stage.close());

  const start = async (name = 'lb1') => {
    expect(await stage.perform(name, 'install', 'start')).toEqual([null, null]);
    await expect.poll(async () => (await stage.look(name)).routes?.length).toBeGreaterThan(0);
  };
  const routesOf = async () => [...((await stage.look('lb1')).routes ?? [])].sort();
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
    await start();
    await expect.poll(routesOf).toEqual(['db1', 'db2', 'db3']);
    expect(await greetedBy(writes, 20)).toEqual(['db1']);
    expect(await greetedBy(reads, 20)).toEqual(['db2', 'db3']);

    await Promise.all(databases.slice(1).map((one) => one.stop()));
    await expect.poll(routesOf).toEqual(['db1']);
    expect(await greetedBy(reads, 5)).toEqual(['db1']);
    await Promise.all(databases.slice(1).map((one) => one.start()));
    await expect.poll(routesOf).toEqual(['db1', 'db2', 'db3']);
  });

  test('completes what its reading says of databases: those that it lists are routed', async () => {
    await start();
    await expect.poll(async () => (await stage.look('db2')).holds.routed).toBe(true);
    await databases[1]?.stop();
    await expect.poll(async () => (await stage.look('db2')).holds.routed).toBe(false);
    expect((await stage.look('db2')).reason).toBe('not up for lb1');
    await databases[1]?.start();
  });

  test('follows a change of roles when one of its databases is routed', async () => {
    await start();
    const { runId } = await stage.look('lb1');
    configure(['slave', 'master', 'discard']);
    expect(await stage.look('lb1')).toMatchObject({
      code: '000000',
      holds: { up: true, routed: false },
      reason: expect.stringContaining('not what its cluster wants'),
    });
    expect((await stage.look('db2')).holds.routed).toBe(false);

    expect(await stage.perform('db2', { step: 'routed' })).toEqual([null]);
    await expect.poll(routesOf).toEqual(['db1', 'db2']);
    expect(await greetedBy(writes, 10)).toEqual(['db2']);
    expect(await greetedBy(reads, 10)).toEqual(['db1']);
    expect(await stage.look('lb1')).toMatchObject({ holds: { routed: true }, runId });
    expect(await stage.look('db3')).toMatchObject({ holds: { routed: true } });
  });

  test('goes on as it was when its configuration is made invalid by hand, says so, and mends it when it is started', async () => {
    await start();
    const { runId } = await stage.look('lb1');
    writeFileSync(configPath(), 'global\n    listen nonsense\n');
    expect(await stage.look('lb1')).toMatchObject({
      code: '000000',
      holds: { up: true, routed: false },
      reason: expect.stringContaining('changed by hand'),
    });
    expect(await greetedBy(writes, 5)).toEqual(['db1']);
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
    await start();
    const before = readFileSync(configPath(), 'utf8');
    lb = balancer({ user: 'nobody-of-that-name' });
    configure(['master', 'slave', 'slave']);
    expect(await stage.perform('lb1', { step: 'routed' })).toMatchObject([
      { code: 'ER0018', message: expect.stringContaining('nobody-of-that-name') },
    ]);
    expect(readFileSync(configPath(), 'utf8')).toBe(before);
    expect(await greetedBy(writes, 5)).toEqual(['db1']);
    expect(await stage.look('lb1')).toMatchObject({ code: '000000', holds: { routed: false } });
  });

  test('runs on as it was when it cannot take its new configuration over', async () => {
    await start();
    const taken = databases[0];
    lb = balancer({ addresses: [taken?.host], writes: taken?.port });
    configure(['master', 'slave', 'slave']);
    expect(await stage.perform('lb1', { step: 'routed' })).toMatchObject([
      { code: 'ER0018', message: expect.stringContaining('runs as before') },
    ]);
    expect(await greetedBy(writes, 5)).toEqual(['db1']);
    expect(await stage.look('lb1')).toMatchObject({ reason: expect.stringContaining('runs another configuration') });
  });

  test('loses no connection by being reloaded under load', async () => {
    await start();
    const outcome = { greeted: 0, failed: 0 };
    let isLoaded = true;
    const load = Array.from({ length: 8 }, async () => {
      while (isLoaded)
        await greet(writes).then(
          () => outcome.greeted++,
          () => outcome.failed++,
        );
    });
    const kept = connect(writes, stage.host.address);
    await once(kept, 'data');
    for (let round = 0; round < 5; round++) {
      configure(['master', 'slave', round % 2 ? 'slave' : 'discard']);
      expect(await stage.perform('lb1', { step: 'routed' })).toEqual([null]);
    }
    const soFar = outcome.greeted;
    await expect.poll(() => outcome.greeted).toBeGreaterThan(soFar + 300);
    isLoaded = false;
    await Promise.all(load);
    expect(outcome.failed).toBe(0);
    expect(outcome.greeted).toBeGreaterThan(300);
    expect(kept.closed).toBe(false);
    kept.destroy();
  });

  test('that is drained of a backend stays so over a reload, and takes it again when it is told to', async () => {
    await start();
    const runtime = haproxyRuntime(lb, stage.shell);
    await runtime.drain('db2', never);
    expect(await routesOf()).toEqual(['db1', 'db3']);
    configure(['master', 'slave', 'slave'], [balancer({ stats: await freePort(stage.host.address) })]);
    expect(await stage.perform('lb1', { step: 'routed' })).toEqual([null]);
    await expect.poll(routesOf).toEqual(['db1', 'db3']);
    expect(await greetedBy(reads, 10)).toEqual(['db3']);

    await runtime.maintain('db3', never);
    expect(await routesOf()).toEqual(['db1']);
    await runtime.ready('db2', never);
    await runtime.ready('db3', never);
    await expect.poll(routesOf).toEqual(['db1', 'db2', 'db3']);
    await runtime.weigh('db2', 0, never);
    expect(await routesOf()).toEqual(['db1', 'db3']);
    await runtime.weigh('db2', 100, never);
    expect(await routesOf()).toEqual(['db1', 'db2', 'db3']);
  });

  test('takes a backend at its new address after a reload, whatever it knew of the old one', async () => {
    await start();
    databases = [databases[0], databases[2], databases[1]] as readonly MysqlGreeter[];
    configure(['slave', 'master', 'slave']);
    expect(await stage.perform('lb1', { step: 'routed' })).toEqual([null]);
    await expect.poll(routesOf).toEqual(['db1', 'db2', 'db3']);
    expect(await greetedBy(writes, 5)).toEqual(['db3']);
    databases = [databases[0], databases[2], databases[1]] as readonly MysqlGreeter[];
  });

  test('cuts the connections to a backend, also those from before a reload', async () => {
    await start();
    const old = connect(writes, stage.host.address);
    await once(old, 'data');
    configure(['master', 'slave', 'discard']);
    await stage.perform('lb1', { step: 'routed' });
    const recent = connect(writes, stage.host.address);
    await once(recent, 'data');
    const ended = Promise.all([old, recent].map((socket) => once(socket, 'close')));
    for (const socket of [old, recent]) socket.resume().on('error', () => socket.destroy());
    await haproxyRuntime(lb, stage.shell).cut('db1', never);
    await ended;
    expect(await greetedBy(writes, 3)).toEqual(['db1']);
  });

  test('is told nothing about a backend that it does not have, or that is no name', async () => {
    await start();
    const runtime = haproxyRuntime(lb, stage.shell);
    await expect(runtime.drain('db9', never)).rejects.toMatchObject({ code: 'ER0205' });
    await expect(runtime.drain('db1 state maint; shutdown', never)).rejects.toMatchObject({ code: 'ER0222' });
    await expect(runtime.weigh('db1', 101, never)).rejects.toMatchObject({ code: 'ER0222' });
    expect(await routesOf()).toEqual(['db1', 'db2', 'db3']);
    const other = serviceOf(database, 'db1', stage.host.address, { settings: { port: 1 } });
    expect(() => haproxyRuntime(other, stage.shell)).toThrow(expect.objectContaining({ code: 'ER0204' }));
  });

  test('that hangs fails with the reason, and is ended by stop', async () => {
    await start();
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
    await start();
    for (const pid of processesIn(join(stage.folder, 'lb1'))) process.kill(pid, 'SIGKILL');
    await expect.poll(() => stage.look('lb1')).toMatchObject({ code: 'ER0023' });
    configure(['slave', 'master', 'slave']);
    expect(await stage.perform('lb1', 'start')).toEqual([null]);
    await expect.poll(() => greetedBy(writes, 1).catch(() => [])).toEqual(['db2']);
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
    lb = balancer({ addresses: ['192.0.2.77', stage.host.address], stats });
    configure(['master', 'slave']);
    await start();
    expect(await greetedBy(writes, 3)).toEqual(['db1']);
    const page = await (await fetch(`http://${stage.host.address}:${stats}/;csv`)).text();
    expect(page).toContain('writes,db1,');
  });

  test('has its directory read by no shell and no haproxy', async () => {
    lb = balancer({ dataDir: join(stage.folder, `it's $(touch b) $HOME "x"; touch b`).slice(0, 75) });
    configure(['master', 'slave', 'slave']);
    await start();
    expect(await stage.perform('lb1', 'remove')).toEqual([null]);
    expect(readdirSync(stage.folder)).toEqual([]);
    expect(readdirSync(stage.host.home)).not.toContain('b');
    expect(existsSync(join(stage.folder, 'b'))).toBe(false);
  });

  for (const client of isThorough ? (['socat', 'perl', 'python3'] as const) : (['perl'] as const))
    requires(client)(`on a host that has ${client} to talk to it`, () => {
      test('is looked at, reloaded and told what to do', async () => {
        const path = pathWithout(...['socat', 'perl', 'python3'].filter((one) => one !== client));
        const shell: Shell = {
          ...stage.shell,
          run: (ip, argv, options, signal) => stage.shell.run(ip, ['env', `PATH=${path}`, ...argv], options, signal),
        };
        const permit = { token: asToken('t'), fence: 1, valid: () => true };
        const of = lb as Service<never>;
        await kind.steps.installed?.(of, shell, permit, never, stage.among);
        await kind.steps.up?.(of, shell, permit, never, stage.among);
        const routes = async () => (await kind.probe(of, shell, never, stage.among)).routes;
        await expect.poll(routes).toEqual(['db1', 'db2', 'db3']);
        await haproxyRuntime(lb, shell).drain('db3', never);
        expect(await routes()).toEqual(['db1', 'db2']);
        configure(['master', 'slave', 'discard']);
        await kind.route?.(of, shell, permit, never, stage.among);
        expect(await kind.probe(of, shell, never, stage.among)).toMatchObject({ holds: { up: true, routed: true } });
        await haproxyRuntime(lb, shell).cut('db1', never);
      });
    });

  test('is not installed on a host that has nothing to talk to it', async () => {
    const path = pathWithout('socat', 'perl', 'python3');
    const shell: Shell = {
      ...stage.shell,
      run: (ip, argv, options, signal) => stage.shell.run(ip, ['env', `PATH=${path}`, ...argv], options, signal),
    };
    const permit = { token: asToken('t'), fence: 1, valid: () => true };
    await expect(kind.steps.installed?.(lb as Service<never>, shell, permit, never, stage.among)).rejects.toMatchObject({
      code: 'ER0018',
      message: expect.stringContaining('none of socat, perl and python3'),
    });
    expect(readdirSync(stage.folder)).toEqual([]);
  });

  requires('memcached')('that offers memcached', () => {
    let cache: MemcachedServer;
    beforeEach(async () => {
      cache = await startMemcached();
    });
    afterEach(() => cache.stop());

    test('routes to one that tells its version', async () => {
      const port = await freePort(stage.host.address);
      stage.configure([
        balancer({ memcache: port }),
        serviceOf(memcache(), 'nosql1', cache.host, { status: 'master', settings: { port: cache.port } }),
      ]);
      await start();
      await expect.poll(routesOf).toEqual(['nosql1']);
      const socket = connect(port, stage.host.address).setEncoding('latin1');
      socket.write('version\r\n');
      expect((await once(socket, 'data'))[0]).toMatch(/^VERSION /);
      socket.destroy();
      cache.freeze();
      await expect.poll(routesOf).toEqual([]);
      cache.thaw();
    });
  });

  /** A folder with all programs of this machine but these. */
  function pathWithout(...programs: readonly string[]): string {
    const folder = serverFolder('path');
    for (const bin of ['/usr/bin', '/usr/sbin'])
      for (const name of readdirSync(bin))
        if (!programs.includes(name) && !existsSync(join(folder, name))) symlinkSync(join(bin, name), join(folder, name));
    return folder;
  }

  /** Who answers at a port of the balancer, each once. */
  async function greetedBy(port: number, times: number): Promise<readonly string[]> {
    const names = new Set<string>();
    for (let i = 0; i < times; i++) names.add(await greet(port));
    return [...names].sort();
  }

  function greet(port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, stage.host.address);
      socket.once('data', (bytes) => {
        resolve(nameIn(bytes));
        socket.end();
      });
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('closed without a greeting')));
    });
  }
});
