import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFleet, type Fleet, overShell, probed, type ServiceInput, type View } from 'fleetbeat';
import { local } from 'fleetbeat/adapters/local';
import { memory } from 'fleetbeat/adapters/memory';
import { haproxy } from 'fleetbeat/adapters/services/haproxy';
import { askThrough, mysqlProxy, secret } from 'fleetbeat/adapters/services/mysql-proxy';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { processesIn } from '../support/host-stage.ts';
import { type MariadbStage, MONITOR_PASSWORD, mariadbStage } from '../support/mariadb-stage.ts';
import { sendSignal } from '../support/process-table.ts';
import { freePort, loopback, requires } from '../support/servers.ts';
import { turns } from '../support/turns.ts';

const never = new AbortController().signal;

requires('mariadbd')('a fleet with a replicated mariadb', () => {
  requires('haproxy')('behind a balancer and a proxy', () => {
    let stage: MariadbStage;
    let fleet: Fleet;
    let writes: number;
    const changes: string[] = [];

    beforeAll(async () => {
      stage = await mariadbStage([loopback(1), loopback(2), loopback(3), loopback(4)]);
      writes = await freePort(loopback(3));
      const monitor = { password: secret(MONITOR_PASSWORD) };
      const databases = [await stage.service('db1', 0, 'master'), await stage.service('db2', 1, 'slave')];
      const balancerOf = async (name: string, mode: string, ip: string, more: object): Promise<ServiceInput> => ({
        name,
        ip,
        mode,
        status: 'standalone',
        cluster: 'shop',
        settings: {
          writes: await freePort(ip),
          reads: await freePort(ip),
          dataDir: join(stage.folder, name),
          checkMs: 100,
          ...more,
        },
      });
      const kinds = [stage.kind, haproxy(), mysqlProxy()];
      fleet = createFleet({
        drivers: {
          instances: [probed(local({ instances: stage.hosts.map(({ address }) => ({ ip: address })) }), stage.shell)],
          services: [overShell(kinds, stage.shell)],
        },
        kinds,
        services: [
          ...databases.map((service): ServiceInput => ({ ...service, settings: stage.raw(service.name) })),
          await balancerOf('lb1', 'haproxy', loopback(3), { writes }),
          await balancerOf('proxy1', 'mysql-proxy', loopback(4), { monitor }),
        ],
        store: memory(),
        policy: { freshMs: 1000, backoffMs: 50, backoffMaxMs: 200 },
      });
      fleet.on('changed', ({ to }) => to.level === 'services' && changes.push(`${to.name} ${to.state}`));
      await beatUntil(() => fleet.role === 'leader');
    });
    afterAll(async () => {
      await fleet.stop();
      for (const name of ['lb1', 'proxy1']) for (const pid of processesIn(join(stage.folder, name))) sendSignal(pid, 'SIGKILL');
      await stage.close();
    });

    const viewOf = (name: string): View | undefined => fleet.views().find((view) => view.name === name);
    const isAt = (state: string, ...names: readonly string[]) => names.every((name) => viewOf(name)?.state === state);
    const command = (action: string, group: string) => fleet.dispatch({ level: 'services', action, group });

    async function beatUntil(done: () => boolean, most = 3000): Promise<void> {
      for (let i = 0; i < most && !done(); i++) {
        await fleet.beat();
        await turns(1);
      }
      expect(done()).toBe(true);
    }

    test('brings the cluster from nothing to routed by one command, its databases after their balancers', async () => {
      expect(await command('start', 'shop')).toMatchObject({ code: '000000', rejected: [] });
      await beatUntil(() => fleet.actions().length === 0 && isAt('routed', 'db1', 'db2', 'lb1', 'proxy1'));
      expect(changes.indexOf('db1 routed')).toBeGreaterThan(changes.indexOf('lb1 routed'));
      expect(changes.indexOf('db1 routed')).toBeGreaterThan(changes.indexOf('proxy1 routed'));

      const monitor = { user: 'fleetbeat_monitor', password: secret(MONITOR_PASSWORD) };
      const answered = await askThrough(loopback(3), writes, monitor, 2000, never);
      expect(answered).toMatchObject({ by: 'server', isReadOnly: false });
      stage.sql('db1', 'CREATE DATABASE app');
      await expect.poll(() => stage.sql('db2', 'SHOW DATABASES')).toContain('app');
    });

    test('loses the rung of a database that has died, and of no other, and has it again once it is started', async () => {
      stage.kill('db2');
      await beatUntil(() => isAt('stopped', 'db2'));
      await fleet.beat();
      expect(isAt('routed', 'db1', 'lb1', 'proxy1')).toBe(true);
      await command('start', 'db2');
      await beatUntil(() => fleet.actions().length === 0 && isAt('routed', 'db1', 'db2', 'lb1', 'proxy1'));
    });

    test('sees a configuration that was made invalid by hand in the next beat, acts on it only when asked, and mends it then', async () => {
      const path = join(stage.folder, 'lb1', 'haproxy.cfg');
      const { mark } = viewOf('lb1') ?? {};
      writeFileSync(path, 'listen here and there');
      await fleet.beat();
      expect(viewOf('lb1')).toMatchObject({ state: 'up', reason: expect.stringContaining('changed by hand') });
      await fleet.beat();
      expect(readFileSync(path, 'utf8')).toBe('listen here and there');
      expect(isAt('routed', 'db1', 'db2')).toBe(true);

      await command('start', 'lb1');
      await beatUntil(() => fleet.actions().length === 0 && isAt('routed', 'lb1'));
      expect(viewOf('lb1')?.mark).toBe(mark);
    });

    test('has every configuration of the cluster brought in line by one command, whatever runs going on, and none the next time', async () => {
      const marks = () => ['db1', 'db2', 'lb1', 'proxy1'].map((name) => viewOf(name)?.mark);
      const path = (name: string, file: string) => join(stage.folder, name, file);
      const files = [path('db1', 'my.cnf'), path('db2', 'my.cnf'), path('lb1', 'haproxy.cfg'), path('proxy1', 'haproxy.cfg')];
      const texts = () => files.map((file) => readFileSync(file, 'utf8'));
      const [wanted, before] = [texts(), marks()];
      for (const file of files.slice(1)) writeFileSync(file, 'nonsense');

      const { code, started, rejected } = await command('bootstrap_config', 'shop');
      expect({ code, rejected, started: started.length }).toEqual({ code: '000000', rejected: [], started: 4 });
      await beatUntil(() => fleet.actions().length === 0 && isAt('routed', 'db1', 'db2', 'lb1', 'proxy1'));
      expect(texts()).toEqual(wanted);

      const written = () => files.map((file) => [statSync(file).ino, statSync(file).mtimeMs]);
      const left = written();
      await command('bootstrap_config', 'shop');
      await beatUntil(() => fleet.actions().length === 0);
      expect([written(), marks()]).toEqual([left, before]);
    });

    test('has the configuration of one that is not installed refused, and of the others of its group brought in line', async () => {
      const path = join(stage.folder, 'lb1', 'haproxy.cfg');
      await command('stop', 'proxy1');
      await beatUntil(() => fleet.actions().length === 0 && isAt('stopped', 'proxy1'));
      await command('remove', 'proxy1');
      await beatUntil(() => fleet.actions().length === 0 && isAt('uninstalled', 'proxy1'));
      writeFileSync(path, 'nonsense');
      const { code, rejected } = await command('bootstrap_config', 'shop');
      expect({ code, rejected }).toEqual({
        code: 'ER0206',
        rejected: [
          {
            subject: 'services/proxy1',
            code: 'ER0206',
            message: 'services bootstrap_config proxy1: it is not installed; install it',
          },
        ],
      });
      await beatUntil(() => fleet.actions().length === 0);
      expect(readFileSync(path, 'utf8')).toContain('server db1');
      await command('start', 'proxy1');
      await beatUntil(() => fleet.actions().length === 0 && isAt('routed', 'db1', 'db2', 'lb1', 'proxy1'));
    });

    test('has databases routed by whoever runs while a balancer is stopped, and by both when it is back', async () => {
      await command('stop', 'lb1');
      await beatUntil(() => fleet.actions().length === 0 && isAt('stopped', 'lb1'));
      await fleet.beat();
      expect(isAt('routed', 'db1', 'db2', 'proxy1')).toBe(true);
      await command('start', 'lb1');
      await beatUntil(() => fleet.actions().length === 0 && isAt('routed', 'db1', 'db2', 'lb1', 'proxy1'));
    });
  });
});
