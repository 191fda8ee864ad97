import { join } from 'node:path';
import { haproxyRuntime } from 'fleetbeat/adapters/services/haproxy';
import { askThrough, mysqlProxy, secret } from 'fleetbeat/adapters/services/mysql-proxy';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ServiceDriver } from '../../src/contracts.ts';
import type { Role, Service } from '../../src/domain/service.ts';
import { overShell } from '../../src/drivers/over-shell.ts';
import { isThorough } from '../properties/runs.ts';
import { haproxyStats } from '../support/haproxy-stats.ts';
import { callTo, processesIn, serviceOf } from '../support/host-stage.ts';
import { look, type MariadbStage, MONITOR_PASSWORD, mariadbStage, perform } from '../support/mariadb-stage.ts';
import { type MysqlGreeter, startMysqlGreeter } from '../support/mysql-greeter.ts';
import { sendSignal } from '../support/process-table.ts';
import { freePort, loopback, requires } from '../support/servers.ts';

const never = new AbortController().signal;
const kind = mysqlProxy();
const PASSWORD = 'pass with "quotes"';

/** What takes seconds and seldom breaks. */
const inCi = test.runIf(isThorough);
describe('the settings of a mysql-proxy', () => {
  test('have defaults, but for the password of its monitor', () => {
    const settings = kind.settings({ monitor: { password: secret(PASSWORD) } });
    expect(settings).toMatchObject({ writes: 3306, reads: 3307, monitor: { user: 'fleetbeat_monitor' } });
    expect(JSON.stringify(settings)).not.toContain(PASSWORD);
  });

  test('may name the variable that holds it', () => {
    const named = mysqlProxy({ env: { MONITOR: PASSWORD } });
    expect(named.settings({ monitor: { password: { env: 'MONITOR' } } })).toMatchObject({ writes: 3306 });
    expect(() => mysqlProxy({ env: {} }).settings({ monitor: { password: { env: 'MONITOR' } } })).toThrow(
      'MONITOR, which is not',
    );
  });

  test.each<[string, unknown]>([
    ['monitor.password', {}],
    ['password', { monitor: { password: PASSWORD } }],
    ['password', { monitor: { password: { PASSWORD } } }],
    ['user', { monitor: { user: "it's", password: secret(PASSWORD) } }],
    ['memcache', { memcache: 1, monitor: { password: secret(PASSWORD) } }],
  ])('are refused with what is allowed, and never with a secret: %s', (allowed, raw) => {
    const read = () => kind.settings(raw);
    expect(read).toThrow(expect.objectContaining({ code: 'ER0230', message: expect.not.stringContaining(PASSWORD) }));
    expect(read).toThrow(allowed);
  });
});

requires('mariadbd')('a SQL proxy before real databases', () => {
  requires('haproxy')('that is a haproxy', () => {
    let stage: MariadbStage;
    let driver: ServiceDriver;
    let databases: readonly Service[];
    let ports: { readonly writes: number; readonly reads: number };
    let address: string;

    beforeAll(async () => {
      stage = await mariadbStage([loopback(1), loopback(2), loopback(3)]);
      address = loopback(3);
    });
    afterAll(() => stage.close());

    beforeEach(async () => {
      ports = { writes: await freePort(address), reads: await freePort(address) };
      databases = [await stage.service('db1', 0, 'master'), await stage.service('db2', 1, 'slave')];
      stage.installed(...databases);
      configure();
    });
    afterEach(() => {
      for (const pid of processesIn(join(stage.folder, 'proxy1'))) sendSignal(pid, 'SIGKILL');
      stage.clear();
    });

    const proxyOf = (settings: object = {}) =>
      serviceOf(kind, 'proxy1', address, {
        settings: {
          ...ports,
          dataDir: join(stage.folder, 'proxy1'),
          checkMs: 100,
          monitor: { password: secret(MONITOR_PASSWORD) },
          ...settings,
        },
      });
    const configure = (proxy = proxyOf(), roles: readonly Role[] = ['master', 'slave']) => {
      const services = databases.map((one, i) => ({ ...one, status: roles[i] ?? 'na' }));
      driver = overShell([stage.kind, kind], stage.shell);
      driver.bind?.([...services, proxy]);
    };
    const step = async (name: string, ...steps: readonly ('installed' | 'up' | 'replicating' | 'routed')[]) => {
      const calls = steps.map((one) => callTo(name, { step: one }));
      expect(await driver.perform(calls, never)).toEqual(calls.map(() => null));
    };
    const proxy = () => look(driver, 'proxy1');
    const startAll = async () => {
      for (const name of ['db1', 'db2']) await step(name, 'up', 'replicating');
      await step('proxy1', 'installed', 'up');
      await expect.poll(async () => (await proxy()).routes).toEqual(['db1', 'db2']);
    };

    test('is asked through no port where haproxy has nobody up: a question would only wait there', async () => {
      await step('proxy1', 'installed', 'up');
      expect(await proxy()).toMatchObject({ code: '000000', holds: { up: true }, routes: [] });
      const lines = await haproxyStats(join(stage.folder, 'proxy1', 'haproxy.sock'));
      const taken = lines?.filter(({ svname }) => svname === 'FRONTEND').map(({ pxname, stot }) => [pxname, stot]);
      expect(taken).toEqual([
        ['writes', '0'],
        ['reads', '0'],
      ]);
    });

    test('routes to a master once it answers and takes writes, and to its replica', async () => {
      await step('db1', 'up');
      await step('proxy1', 'installed', 'up');
      await expect.poll(proxy).toMatchObject({
        code: '000000',
        routes: [],
        reason: expect.stringContaining('writes are answered by db1, which is read-only'),
      });
      await step('db1', 'replicating');
      await expect.poll(proxy).toMatchObject({ code: '000000', holds: { up: true, routed: true }, routes: ['db1'] });
      expect((await proxy()).reason).toBeUndefined();

      await step('db2', 'up', 'replicating');
      await expect.poll(async () => (await look(driver, 'db2')).holds).toMatchObject({ replicating: true, routed: true });
      expect((await look(driver, 'db1')).holds).toMatchObject({ replicating: true, routed: true });
    });

    inCi('asks with a user that databases keep for checks', async () => {
      databases = [await stage.service('db1', 0, 'master', { checkUser: 'balancer' })];
      configure(proxyOf({ checkUser: 'balancer' }), ['master']);
      await step('db1', 'up', 'replicating');
      await step('proxy1', 'installed', 'up');
      await expect.poll(async () => (await proxy()).routes).toEqual(['db1']);
      configure(proxyOf({ checkUser: 'nobody_there' }), ['master']);
      await step('proxy1', 'routed');
      await expect.poll(async () => (await proxy()).routes).toEqual([]);
    });

    test('tells a password that is wrong, without it', async () => {
      await startAll();
      configure(proxyOf({ monitor: { password: secret(PASSWORD) } }));
      const facts = await proxy();
      expect(facts).toMatchObject({ code: 'ER0003', holds: { installed: true, up: false }, routes: [] });
      expect(facts.reason).toContain('1045');
      expect(JSON.stringify(facts)).not.toContain(PASSWORD);
    });

    inCi('tells a master that hangs, and one that has died', async () => {
      await startAll();
      stage.freeze('db1');
      expect(await proxy()).toMatchObject({ code: '000000', routes: ['db2'], reason: expect.stringContaining('did not answer') });
      await expect.poll(async () => (await look(driver, 'db1')).holds.routed).not.toBe(true);
      await expect.poll(async () => (await proxy()).routes).toEqual(['db2']);
      expect(await proxy()).toMatchObject({ code: '000000', holds: { up: true } });
      stage.thaw('db1');
      await expect.poll(async () => (await proxy()).routes).toEqual(['db1', 'db2']);
      stage.kill('db1');
      await expect.poll(async () => (await proxy()).routes).toEqual(['db2']);
      expect((await look(driver, 'db2')).holds.routed).toBe(true);
    });

    inCi('believes nobody who answers in the name of another', async () => {
      await startAll();
      databases = [
        await stage.service('db1', 0, 'master', { port: portOf(databases[0]), serverId: 4711 }),
        databases[1] as Service,
      ];
      configure();
      expect(await proxy()).toMatchObject({
        code: '000000',
        routes: ['db2'],
        reason: expect.stringContaining('which is none of db1'),
      });
    });

    test('follows a change of roles, with its databases', async () => {
      await startAll();
      stage.sql('db1', 'SET GLOBAL read_only = 1');
      stage.sql('db2', 'STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0');
      expect(await proxy()).toMatchObject({ routes: expect.not.arrayContaining(['db1']) });
      configure(proxyOf(), ['slave', 'master']);
      expect(await proxy()).toMatchObject({ holds: { routed: false } });
      await step('db2', 'routed');
      await expect.poll(async () => (await proxy()).routes).toEqual(['db1', 'db2']);
      expect(
        await askThrough(address, ports.writes, { user: 'fleetbeat_monitor', password: secret(MONITOR_PASSWORD) }, 2000, never),
      ).toMatchObject({ by: 'server', reportedAs: `${loopback(2)}:${portOf(databases[1])}`, isReadOnly: false });
    });

    inCi('is told to drain a backend as any haproxy is', async () => {
      await startAll();
      await haproxyRuntime(proxyOf(), stage.shell).drain('db2', never);
      expect((await proxy()).routes).toEqual(['db1']);
      expect((await look(driver, 'db2')).reason).toBe('not up for proxy1');
    });

    test('is stopped, and gone', async () => {
      await step('proxy1', 'installed', 'up');
      expect(await perform(driver, ['proxy1', 'stop'])).toEqual([null]);
      expect(await proxy()).toMatchObject({ code: 'ER0023', holds: { installed: true, up: false } });
      expect(await perform(driver, ['proxy1', 'remove'])).toEqual([null]);
      expect(await proxy()).toMatchObject({ code: 'ER0024' });
    });
  });
});

describe('a question through a proxy', () => {
  let greeter: MysqlGreeter;
  beforeAll(async () => {
    greeter = await startMysqlGreeter(loopback(9), 'someone');
  });
  afterAll(() => greeter.stop());

  const monitor = { user: 'm', password: secret(PASSWORD) };

  test('that is never answered ends with its deadline, or with the signal', async () => {
    expect(await askThrough(greeter.host, greeter.port, monitor, 100, never)).toMatchObject({
      by: 'nobody',
      reason: expect.stringContaining('did not answer within 100 ms'),
    });
    const caller = new AbortController();
    const asked = askThrough(greeter.host, greeter.port, monitor, 60_000, caller.signal);
    caller.abort(new Error('enough'));
    await expect(asked).rejects.toThrow('enough');
  });

  test('where nobody listens is answered by nobody', async () => {
    const port = await freePort(loopback(9));
    expect(await askThrough(loopback(9), port, monitor, 1000, never)).toMatchObject({
      by: 'nobody',
      reason: expect.stringContaining('ECONNREFUSED'),
    });
  });
});

const portOf = (service: Service | undefined): number => (service as Service<{ readonly port: number }>).settings.port;
