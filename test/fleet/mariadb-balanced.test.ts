import { join } from 'node:path';
import { createFleet, type Fleet, overShell, probed, type View } from 'fleetbeat';
import { local } from 'fleetbeat/adapters/local';
import { memory } from 'fleetbeat/adapters/memory';
import { haproxy } from 'fleetbeat/adapters/services/haproxy';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isThorough } from '../properties/runs.ts';
import { type MariadbStage, MONITOR_PASSWORD, mariadbStage } from '../support/mariadb-stage.ts';
import { freePort, loopback, requires } from '../support/servers.ts';
import { turns } from '../support/turns.ts';

requires('mariadbd')('a replicated mariadb', () => {
  requires('haproxy')('behind a haproxy', () => {
    let stage: MariadbStage;
    let fleet: Fleet;
    let ports: { readonly writes: number; readonly reads: number };

    const viewOf = (name: string): View | undefined => fleet.views().find((view) => view.name === name);
    const beatUntil = async (done: () => boolean, most = 3000): Promise<void> => {
      for (let i = 0; i < most && !done(); i++) {
        await fleet.beat();
        await turns(1);
      }
      expect(done()).toBe(true);
    };
    const start = (group: string) => fleet.dispatch({ level: 'services', action: 'start', group });

    beforeAll(async () => {
      const addresses = [loopback(1), loopback(2), loopback(3)];
      stage = await mariadbStage(addresses);
      const [, , ip = ''] = addresses;
      ports = { writes: await freePort(ip), reads: await freePort(ip) };
      const checkUser = 'fleetbeat_check';
      const databases = [
        await stage.service('db1', 0, 'master', { checkUser }),
        await stage.service('db2', 1, 'slave', { checkUser }),
      ];
      const kinds = [stage.kind, haproxy()];
      fleet = createFleet({
        drivers: {
          instances: [probed(local({ instances: addresses.map((address) => ({ ip: address })) }), stage.shell)],
          services: [overShell(kinds, stage.shell)],
        },
        kinds,
        services: [
          ...databases.map((service) => ({ ...service, settings: stage.raw(service.name) })),
          {
            name: 'lb1',
            ip,
            mode: 'haproxy',
            status: 'standalone',
            cluster: 'shop',
            settings: { ...ports, checkUser, checkMs: 200, dataDir: join(stage.folder, 'lb1') },
          },
        ],
        store: memory(),
        policy: { freshMs: 1000, backoffMs: 50, backoffMaxMs: 200 },
      });
      await beatUntil(() => fleet.role === 'leader');
    });
    afterAll(async () => {
      await fleet.dispatch({ level: 'services', action: 'stop', group: 'lb1' });
      await beatUntil(() => viewOf('lb1')?.state === 'stopped');
      await fleet.stop();
      await stage.close();
    });

    /** Which of the servers answers at a port of the balancer. */
    const answeringAt = async (port: number): Promise<string> => {
      const connection = await createConnection({
        host: loopback(3),
        port,
        user: 'fleetbeat_monitor',
        password: MONITOR_PASSWORD,
      });
      const [[row]] = await connection.query<RowDataPacket[]>('SELECT @@report_host AS host');
      connection.destroy();
      return String(row?.host);
    };

    test.runIf(isThorough)('is routed once that says so, and its reads go to the master while it is away', async () => {
      await Promise.all(['lb1', 'db1', 'db2'].map(start));
      await beatUntil(() => ['lb1', 'db1', 'db2'].every((name) => viewOf(name)?.state === 'routed'));
      await beatUntil(() => fleet.actions().length === 0);
      expect(await answeringAt(ports.writes)).toBe(loopback(1));
      expect(await answeringAt(ports.reads)).toBe(loopback(2));

      stage.kill('db2');
      await beatUntil(() => viewOf('db2')?.state === 'stopped');
      await expect.poll(() => answeringAt(ports.reads).catch(String)).toBe(loopback(1));
      await start('db2');
      await beatUntil(() => viewOf('db2')?.state === 'routed');
      await expect.poll(() => answeringAt(ports.reads)).toBe(loopback(2));
    });
  });
});
