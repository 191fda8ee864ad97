import type { Action, Fleet, Policy } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isThorough } from '../properties/runs.ts';
import { type ClusterStage, clusterStage, viewOf } from '../support/cluster-stage.ts';
import { lostOf } from '../support/journaling-writer.ts';
import { requires } from '../support/servers.ts';

/** A dead master is missed in a second, and each write is with a replica before it is acknowledged. */
const SETTINGS = {
  answerMs: 500,
  semiSync: true,
  options: {
    performance_schema: false,
    innodb_log_file_size: 4_194_304,
    innodb_buffer_pool_chunk_size: 1_048_576,
    slave_net_timeout: 1,
  },
};
const POLICY: Partial<Policy> = { dwellMs: 0, dwellReadings: 2, holdDownMs: 100, holdDownMaxMs: 200, recoveries: 100 };
const TEST_MS = 60_000;

/** What takes seconds and seldom breaks. */
const inCi = test.runIf(isThorough);

requires('mariadbd')('a cluster whose master is lost', () => {
  requires('haproxy')('behind a balancer', () => {
    let stage: ClusterStage;
    let fleet: Fleet;
    let actions: Map<string, Action>;

    /** @param failover whether the fleet fails over by itself */
    async function open(failover: boolean): Promise<void> {
      fleet = await stage.open({ store: memory(), policy: POLICY, ...(failover && { recover: { failover: ['shop'] } }) });
      fleet.on('action', (action) => actions.set(action.id, action));
      await stage.start(fleet);
    }
    beforeEach(async () => {
      actions = new Map();
      stage = await clusterStage(SETTINGS);
    }, TEST_MS);
    afterEach(async () => {
      await fleet.stop();
      await stage.close();
    });

    const command = (action: string, group: string) => fleet.dispatch({ level: 'services', action, group });
    const refusalOf = async (action: string, group: string) => (await command(action, group)).rejected[0];
    const rows = (name: string) => stage.sql(name, 'SELECT id FROM app.journal ORDER BY id').split('\n');
    const write = (name: string, id: number) => stage.sql(name, `INSERT INTO app.journal VALUES (${id}, @@server_id)`);
    const isRouted = (...names: readonly string[]) => names.every((name) => viewOf(fleet, name)?.state === 'routed');
    const isMaster = (name: string) => isRouted(name) && viewOf(fleet, name)?.role === 'master';
    /** Why tries of a verb have failed. */
    const failures = (verb: string) =>
      [...actions.values()]
        .filter(({ do: what }) => what.verb === verb)
        .flatMap(({ history }) => history.flatMap(({ outcome, message }) => (outcome === 'failed' ? [message] : [])));
    /** Until each of these has found that its master is gone. */
    const miss = (...names: readonly string[]) =>
      stage.until(fleet, () => names.every((name) => viewOf(fleet, name)?.following?.hears === false));
    const boot = async (name: string) => {
      await stage.until(fleet, () => stage.power(name).calls.includes('start'));
      await stage.power(name).finishBoot();
    };

    test('gets another by itself under load: no write that was acknowledged is lost, and never two take writes', {
      timeout: TEST_MS,
    }, async () => {
      await open(true);
      const states = new Set<string>();
      const actor = fleet.actor('clusters', 'shop');
      const { unsubscribe } = actor.subscribe(({ value }) => states.add(Object.values(value.operation).join()));
      const writer = stage.writer(200);
      await expect.poll(() => writer.stretch().acknowledged).toBeGreaterThan(100);
      await stage.power('db1').off();
      writer.mark();
      await stage.until(fleet, () => isMaster('db2') && isRouted('db3', 'lb1'));
      await expect.poll(() => writer.stretch().acknowledged).toBeGreaterThan(20);
      await writer.stop();
      unsubscribe();
      fleet.release(actor);

      expect(lostOf(writer.journal(), rows('db2').join('\n'))).toEqual([]);
      const order = ['confirming', 'fencing', 'gathering', 'recording', 'promoting', 'routing', 're-pointing', 'settling'];
      expect([...states].slice(1)).toEqual(order);
      await boot('db1');
      await stage.until(fleet, () => viewOf(fleet, 'db1')?.holds.has('up') === true);
      expect(await stage.writable()).toEqual(['db2']);
    });

    inCi('has the old one as a replica once that is back', { timeout: TEST_MS }, async () => {
      await open(true);
      write('db1', 1);
      await stage.power('db1').off();
      // It waits for the replica that is left.
      await stage.until(fleet, () => isMaster('db2') && isRouted('db3'));
      write('db2', 2);
      await boot('db1');
      await stage.until(fleet, () => stage.isWell(fleet));
      expect(viewOf(fleet, 'db1')?.role).toBe('slave');
      expect(rows('db1')).toEqual(['1', '2']);
      const waitsForReplicas = ['db1', 'db2', 'db3'].map((name) => stage.sql(name, 'SELECT @@rpl_semi_sync_master_enabled'));
      expect(waitsForReplicas).toEqual(['0', '1', '0']);
    });

    inCi('keeps what the old one alone has, and does not let it follow with that', { timeout: TEST_MS }, async () => {
      await open(true);
      stage.sql('db1', 'SET GLOBAL rpl_semi_sync_master_enabled = 0');
      for (const name of ['db2', 'db3']) stage.sql(name, 'STOP SLAVE IO_THREAD');
      write('db1', 7);
      await stage.power('db1').off();
      for (const name of ['db2', 'db3']) stage.sql(name, 'START SLAVE IO_THREAD');
      await stage.until(fleet, () => isMaster('db2'));
      await boot('db1');
      await stage.until(fleet, () => failures('start').some((why) => why?.includes('which its master db2 does not have')));
      expect(await stage.writable()).toEqual(['db2']);
      expect([rows('db1'), rows('db2')]).toEqual([['7'], ['']]);
    });

    inCi('is not replaced where only its process has died: it is started', { timeout: TEST_MS }, async () => {
      await open(true);
      stage.kill('db1');
      await stage.until(fleet, () => viewOf(fleet, 'db1')?.state === 'stopped');
      await stage.until(fleet, () => stage.isWell(fleet));
      expect(stage.masters(fleet)).toEqual(['db1']);
      expect([...actions.values()].map(({ do: { verb } }) => verb)).not.toContain('failover');
    });

    test('is turned off before another takes its place, and nobody takes it where that cannot be done', {
      timeout: TEST_MS,
    }, async () => {
      await open(false);
      stage.freeze('db1');
      stage.sshd('db1').freeze();
      stage.power('db1').jam(true);
      await miss('db2', 'db3');
      await stage.until(fleet, () => fleet.views().some(({ level, state }) => level === 'instances' && state === 'unreachable'));
      expect(await stage.failOver(fleet, 'shop')).toMatchObject({ code: '000000', targets: [{ key: 'services/db2' }] });
      await stage.until(fleet, () => failures('failover').length > 0);
      expect(failures('failover')[0]).toMatch(/^db1 was not kept from taking writes: local: .* ended with 1/);
      expect(stage.sql('db2', 'SELECT @@read_only') + stage.sql('db3', 'SELECT @@read_only')).toBe('11');

      stage.power('db1').jam(false);
      await stage.until(fleet, () => isMaster('db2'));
      expect(stage.power('db1').calls.at(-1)).toBe('stop');
      expect(fleet.views().find(({ name, level }) => level === 'instances' && name.endsWith('.1'))?.state).toBe('stopped');
    });

    inCi('gets one that has all that any replica has', { timeout: TEST_MS }, async () => {
      await open(false);
      stage.sql('db2', 'STOP SLAVE IO_THREAD');
      write('db1', 5);
      await stage.power('db1').off();
      stage.sql('db2', 'START SLAVE IO_THREAD');
      await miss('db2', 'db3');
      expect([rows('db2'), rows('db3')]).toEqual([[''], ['5']]);
      await stage.failOver(fleet, 'db2');
      await stage.until(fleet, () => isMaster('db2') && isRouted('db3'));
      expect([rows('db2'), rows('db3')]).toEqual([['5'], ['5']]);
    });

    inCi('is not waited for because a replica waits for it, which follows the new one then', { timeout: TEST_MS }, async () => {
      await open(false);
      stage.kill('db3');
      await stage.until(fleet, () => viewOf(fleet, 'db3')?.state === 'stopped');
      await stage.power('db1').off();
      await miss('db2');
      await command('start', 'db3');
      await stage.until(fleet, () => viewOf(fleet, 'db3')?.state === 'up');
      expect(fleet.actions()).toMatchObject([{ lane: 'services/db3', status: 'dispatching' }]);
      await stage.failOver(fleet, 'shop');
      await stage.until(fleet, () => isMaster('db2') && isRouted('db3') && fleet.actions().length === 0);
      expect(viewOf(fleet, 'db3')?.following).toMatchObject({ hears: true });
    });

    inCi('does not get one with transactions of its own', { timeout: TEST_MS }, async () => {
      await open(false);
      write('db2', 9);
      await stage.power('db1').off();
      await miss('db2', 'db3');
      expect(await refusalOf('failover', 'db2')).toMatchObject({
        code: 'ER0206',
        message: expect.stringMatching(
          /^services failover db2: db2 is up: it has transactions of its own: .*cannot take its place$/,
        ),
      });
      await stage.failOver(fleet, 'shop');
      await stage.until(fleet, () => isMaster('db3'));
      expect(rows('db3')).toEqual(['']);
    });

    test('is not thought lost by anybody as long as it is heard, and the refusal says by whom', {
      timeout: TEST_MS,
    }, async () => {
      await open(true);
      expect(await refusalOf('failover', 'shop')).toEqual({
        subject: 'services/db2',
        code: 'ER0257',
        message:
          'services failover db2: whether db1 is lost is not certain: it is there (its provider: running; ssh: its host answers; ' +
          'SQL from here: routed; its replicas: heard by db2, db3)',
      });
      expect(await refusalOf('failover', 'lb1')).toMatchObject({
        code: 'ER0206',
        message: 'services failover lb1: a haproxy follows no master',
      });
      expect(await refusalOf('failover', 'all')).toMatchObject({ code: 'ER0203' });
    });
  });
});
