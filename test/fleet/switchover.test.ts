import type { Fleet } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ClusterStage, clusterStage, viewOf } from '../support/cluster-stage.ts';
import { lostOf } from '../support/journaling-writer.ts';
import { requires } from '../support/servers.ts';

requires('mariadbd')('a cluster of three databases', () => {
  requires('haproxy')('behind a balancer', () => {
    let stage: ClusterStage;
    let fleet: Fleet;
    const store = memory();

    beforeAll(async () => {
      stage = await clusterStage();
      fleet = await stage.open({ store });
      await stage.start(fleet);
    });
    afterAll(async () => {
      await fleet.stop();
      await stage.close();
    });

    const command = (action: string, group: string) => fleet.dispatch({ level: 'services', action, group });
    const rows = (name: string) => stage.sql(name, 'SELECT id FROM app.journal');

    test('gets another master under load: no write that was acknowledged is lost, and never two take writes', async () => {
      const states = new Set<string>();
      const actor = fleet.actor('clusters', 'shop');
      const { unsubscribe } = actor.subscribe(({ value }) => states.add(Object.values(value.operation).join()));
      const kept = await stage.connect();
      const isLetGo = new Promise((resolve) => void kept.on('error', resolve));
      const writer = stage.writer(200);
      await expect.poll(() => writer.stretch().acknowledged).toBeGreaterThan(100);
      const watched = stage.watchWritable();
      writer.mark();
      expect(await command('switch', 'db2')).toMatchObject({
        code: '000000',
        rejected: [],
        targets: [{ key: 'services/db2', code: '000000' }],
      });
      await stage.until(fleet, () => stage.isWell(fleet) && stage.masters(fleet).includes('db2'));
      await expect.poll(() => writer.stretch().servers.length).toBe(2);
      await writer.stop();
      // Whoever had the old master from before connects anew.
      expect(await isLetGo).toMatchObject({ code: 'PROTOCOL_CONNECTION_LOST' });
      unsubscribe();
      fleet.release(actor);

      expect(new Set((await watched()).map((names) => names.join()))).toEqual(new Set(['db1', '', 'db2']));
      expect(lostOf(writer.journal(), rows('db2'))).toEqual([]);
      expect(stage.masters(fleet)).toEqual(['db2']);
      expect(['db1', 'db3'].map((name) => viewOf(fleet, name)?.role)).toEqual(['slave', 'slave']);
      expect([...states]).toEqual([
        'checking',
        'read-only',
        'catching-up',
        'recording',
        'promoting',
        'routing',
        're-pointing',
        'settling',
        'idle',
      ]);
    });

    test('has its new master also for a fleet that comes later, and for a service that is started', async () => {
      await fleet.stop();
      fleet = await stage.open({ store });
      stage.kill('db1');
      await stage.until(fleet, () => viewOf(fleet, 'db1')?.state === 'stopped');
      await command('start', 'db1');
      await stage.until(fleet, () => stage.isWell(fleet));
      expect(viewOf(fleet, 'db1')?.role).toBe('slave');
      expect(stage.masters(fleet)).toEqual(['db2']);
    });

    test('has nothing to do where that is its master, refuses what could not end well and says why, and takes a cluster for its name', async () => {
      const reasonOf = async (group: string) => {
        const { code, rejected, started } = await command('switch', group);
        return { code, why: rejected[0]?.message, started: started.length };
      };
      expect(await reasonOf('db2')).toEqual({ code: '000000', why: undefined, started: 0 });
      expect(await reasonOf('lb1')).toEqual({
        code: 'ER0206',
        why: 'services switch lb1: a haproxy follows no master',
        started: 0,
      });
      stage.sql('db3', 'STOP SLAVE');
      await stage.until(fleet, () => viewOf(fleet, 'db3')?.state === 'up');
      expect(await reasonOf('db3')).toEqual({
        code: 'ER0206',
        why: 'services switch db3: it has to replicate first, and db3 is up: its replay does not run',
        started: 0,
      });
      expect(await reasonOf('shop')).toMatchObject({ code: '000000', started: 1 });
      await stage.until(fleet, () => stage.masters(fleet).includes('db1') && stage.isWell(fleet));
    });

    test('is restarted one after the other under load, replicas first, with nothing lost', async () => {
      const runs = () => ['db1', 'db2', 'db3'].map((name) => viewOf(fleet, name)?.mark);
      const before = runs();
      const restarted: string[] = [];
      const { unsubscribe } = fleet.on('action', ({ status, do: what }) => {
        if (status === 'done' && what.level === 'services') restarted.push(`${what.verb} ${what.name}`);
      });
      const writer = stage.writer(200);
      await expect.poll(() => writer.stretch().acknowledged).toBeGreaterThan(100);
      expect(await command('rolling_restart', 'shop')).toMatchObject({ code: '000000', rejected: [] });
      await stage.until(fleet, () => stage.isWell(fleet));
      await writer.stop();
      unsubscribe();
      expect(restarted).toEqual([
        'restart db2',
        'start db2',
        'restart db3',
        'start db3',
        'switch db2',
        'restart db1',
        'start db1',
      ]);
      for (const [i, run] of runs().entries()) expect(run).not.toBe(before[i]);
      expect(stage.masters(fleet)).toEqual(['db2']);
      expect(lostOf(writer.journal(), rows('db2'))).toEqual([]);
    });

    test('is not restarted where one of it is not well', async () => {
      stage.sql('db3', 'STOP SLAVE');
      await stage.until(fleet, () => viewOf(fleet, 'db3')?.state === 'up');
      const { rejected, started } = await command('rolling_restart', 'shop');
      expect(started).toEqual([]);
      expect(rejected.map(({ message }) => message)).toEqual(
        Array(3).fill('rolling_restart of shop: db3 is up, its replay does not run; all have to be well before one is restarted'),
      );
      await command('start', 'db3');
      await stage.until(fleet, () => stage.isWell(fleet));
    });
  });
});
