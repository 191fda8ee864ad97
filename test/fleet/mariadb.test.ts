import { createFleet, type Fleet, overShell, probed, type ServiceInput, type View } from 'fleetbeat';
import { local } from 'fleetbeat/adapters/local';
import { memory } from 'fleetbeat/adapters/memory';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Service } from '../../src/domain/service.ts';
import { type MariadbStage, mariadbStage, perform } from '../support/mariadb-stage.ts';
import { loopback, requires } from '../support/servers.ts';
import { turns } from '../support/turns.ts';

const viewOf = (fleet: Fleet, name: string): View | undefined => fleet.views().find((view) => view.name === name);

/** Beats until `done`, at most so often. */
async function beatUntil(fleet: Fleet, done: () => boolean, most = 3000): Promise<void> {
  for (let i = 0; i < most && !done(); i++) {
    await fleet.beat();
    await turns(1);
  }
  expect(done()).toBe(true);
}

requires('mariadbd')('a fleet with a replicated mariadb', () => {
  let stage: MariadbStage;
  let fleet: Fleet;
  let services: readonly Service[];

  beforeAll(async () => {
    stage = await mariadbStage([loopback(1), loopback(2)]);
    services = [await stage.service('db1', 0, 'master'), await stage.service('db2', 1, 'slave')];
    const kinds = [stage.kind];
    fleet = createFleet({
      drivers: {
        instances: [probed(local({ instances: stage.hosts.map(({ address }) => ({ ip: address })) }), stage.shell)],
        services: [overShell(kinds, stage.shell)],
      },
      kinds,
      services: services.map((service): ServiceInput => ({ ...service, settings: stage.raw(service.name) })),
      store: memory(),
      policy: { freshMs: 1000, backoffMs: 50, backoffMaxMs: 200 },
    });
    await beatUntil(fleet, () => fleet.role === 'leader');
  });
  afterAll(async () => {
    await fleet.stop();
    await stage.close();
  });

  const command = (action: string, group: string) => fleet.dispatch({ level: 'services', action, group });
  const settled = () => beatUntil(fleet, () => fleet.actions().length === 0);

  test('brings a replica and its master from nothing to routed, however they are asked', async () => {
    const rungs: string[] = [];
    fleet.on('changed', (change) => change.to.level === 'services' && rungs.push(`${change.to.name} ${change.to.state}`));
    const replies = [await command('start', 'db2'), await command('start', 'db1')];
    expect(replies.map(({ code, rejected }) => ({ code, rejected }))).toEqual(Array(2).fill({ code: '000000', rejected: [] }));
    await settled();
    expect(viewOf(fleet, 'db1')).toMatchObject({ state: 'routed', role: 'master', code: '000000' });
    expect(viewOf(fleet, 'db2')).toMatchObject({ state: 'routed', role: 'slave', code: '000000' });
    expect(rungs.indexOf('db2 routed')).toBeGreaterThan(rungs.indexOf('db1 up'));
    stage.sql('db1', 'CREATE DATABASE app; CREATE TABLE app.t SELECT 1 AS a');
    await expect.poll(() => stage.sql('db2', 'SHOW DATABASES')).toContain('app');
  });

  test('sees a restart by its run, and a master that comes back on its own as one that may not write until it is started', async () => {
    await beatUntil(fleet, () => viewOf(fleet, 'db1')?.state === 'routed');
    const mark = viewOf(fleet, 'db1')?.mark;
    await command('restart', 'db1');
    await settled();
    await beatUntil(fleet, () => viewOf(fleet, 'db1')?.state === 'routed' && viewOf(fleet, 'db1')?.mark !== mark);

    stage.kill('db1');
    await beatUntil(fleet, () => viewOf(fleet, 'db1')?.state === 'stopped');
    const byHand = overShell([stage.kind], stage.shell, { fence: false });
    byHand.bind?.(services);
    expect(await perform(byHand, ['db1', 'start'])).toEqual([null]);
    await beatUntil(fleet, () => viewOf(fleet, 'db1')?.state === 'up');
    expect(viewOf(fleet, 'db1')).toMatchObject({ role: 'na', reason: 'it is read-only' });
    await command('start', 'db1');
    await settled();
    await beatUntil(fleet, () => ['db1', 'db2'].every((name) => viewOf(fleet, name)?.state === 'routed'));
  });

  test('takes a removal for one only when it comes twice', async () => {
    const failed: string[] = [];
    fleet.on('action', ({ status, history }) => status === 'failed' && failed.push(String(history.at(-1)?.code)));
    await command('remove', 'db2');
    await beatUntil(fleet, () => failed.length > 0);
    expect(failed).toEqual(['ER0251']);
    expect(viewOf(fleet, 'db2')?.state).not.toBe('uninstalled');
    await command('remove', 'db2');
    await beatUntil(fleet, () => viewOf(fleet, 'db2')?.state === 'uninstalled');
  });
});
