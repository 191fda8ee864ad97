import type { Fleet, Store } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isThorough } from '../properties/runs.ts';
import { type ClusterStage, clusterStage, viewOf } from '../support/cluster-stage.ts';
import { type JournalingWriter, lostOf } from '../support/journaling-writer.ts';
import { type Death, mortalShell, waitingShell } from '../support/mortal-shell.ts';
import { requires } from '../support/servers.ts';

const DEATHS: readonly Death[] = Array.from({ length: 7 }, (_, i) => i + 1)
  .flatMap((at): readonly Death[] => [
    { at, is: 'before' },
    { at, is: 'after' },
  ])
  .filter((_, i) => isThorough || i % 5 === 1);

requires('mariadbd')('a change of master', () => {
  requires('haproxy')('of a cluster behind a balancer', () => {
    let stage: ClusterStage;
    let fleet: Fleet;
    let writer: JournalingWriter;
    const store = memory();

    beforeAll(async () => {
      // Servers tell in whole seconds how far they are behind: a busy machine is one behind at times.
      stage = await clusterStage({ catchUpMs: 1500 });
      fleet = await stage.open({ store });
      await stage.start(fleet);
      writer = stage.writer(100);
    });
    afterAll(async () => {
      await writer.stop();
      await fleet.stop();
      await stage.close();
    });

    const command = (action: string, group: string) => fleet.dispatch({ level: 'services', action, group });
    const rowsOf = (name: string) => stage.sql(name, 'SELECT id FROM app.journal');
    const writesGoOn = async () => {
      const { acknowledged } = writer.stretch();
      await expect.poll(() => writer.stretch().acknowledged).toBeGreaterThan(acknowledged + 20);
    };

    test('that does not catch up in time gives the writes back, fails with the reason, and is tried again only when asked', async () => {
      const holding = stage.hold('db2', 'LOCK TABLES app.journal READ');
      await holding.held;
      const { started } = await command('switch', 'db2');
      await stage.until(fleet, () => fleet.actions().some(({ status }) => status === 'failed'));
      expect(fleet.actions()).toMatchObject([
        {
          id: started[0]?.id,
          status: 'failed',
          attempts: 1,
          begun: { mark: null },
          history: [{ code: 'ER0253', outcome: 'failed' }],
        },
      ]);
      expect(await stage.writable()).toEqual(['db1']);
      await writesGoOn();
      expect(await command('restart', 'db3')).toMatchObject({ code: '000000' });
      await holding.release();
      await stage.until(fleet, () => fleet.actions().every(({ status }) => status === 'failed'));

      await fleet.retry(started[0]?.id ?? ('' as never));
      await stage.until(fleet, () => stage.isWell(fleet));
      expect(stage.masters(fleet)).toEqual(['db2']);
      await writesGoOn();
    });

    test('lets nothing come between its steps, and is not cancelled once it has begun', async () => {
      const waiting = waitingShell();
      await fleet.stop();
      fleet = await stage.open({ store }, waiting.shell);
      const { started } = await command('switch', 'db1');
      const switching = started[0]?.id ?? ('' as never);
      await stage.beatUntil(fleet, waiting.reached);
      const {
        started: [restart],
        held,
      } = await command('restart', 'db3');
      expect(held).toMatchObject([{ subject: restart?.id, code: 'ER0259' }]);
      await fleet.beat();
      expect(fleet.actions().find(({ id }) => id === restart?.id)).toMatchObject({
        held: 'the master of shop is being changed',
        heldCode: 'ER0259',
      });
      await expect(fleet.cancel(switching)).rejects.toMatchObject({ code: 'ER0226' });
      const run = viewOf(fleet, 'db3')?.mark;
      waiting.release();
      await stage.until(fleet, () => stage.masters(fleet).includes('db1') && stage.isWell(fleet));
      expect(viewOf(fleet, 'db3')?.mark).not.toBe(run);
    });

    test('lets nobody write as long as another server does', async () => {
      const [from = ''] = stage.masters(fleet);
      const to = from === 'db1' ? 'db2' : 'db1';
      await fleet.stop();
      const swap: Store['swap'] = (key, ...rest) => {
        if (key === 'roles') stage.sql('db3', 'SET GLOBAL read_only = 0');
        return store.swap(key, ...rest);
      };
      fleet = await stage.open({ store: { ...store, swap } });
      await command('switch', to);
      await stage.until(fleet, () => fleet.actions().some(({ history }) => history.at(-1)?.code === 'ER0252'));
      expect(await stage.writable()).toEqual(['db3']);
      stage.sql('db3', 'SET GLOBAL read_only = 1');
      await stage.until(fleet, () => fleet.actions().every(({ status }) => status === 'failed') || stage.isWell(fleet));
      for (const { id } of fleet.actions()) await fleet.retry(id);
      await stage.until(fleet, () => stage.isWell(fleet) && stage.masters(fleet).includes(to));
      await writesGoOn();
    });

    test('does not begin while one of its services is being acted on', async () => {
      const [from = ''] = stage.masters(fleet);
      const to = from === 'db1' ? 'db2' : 'db1';
      const waiting = waitingShell();
      await fleet.stop();
      fleet = await stage.open({ store }, waiting.shell);
      await command('restart', 'db3');
      await stage.beatUntil(fleet, waiting.reached);
      const { started } = await command('switch', to);
      for (let beats = 0; beats < 5; beats++) await fleet.beat();
      expect(fleet.actions().find(({ id }) => id === started[0]?.id)).toMatchObject({ begun: null });
      waiting.release();
      await stage.until(fleet, () => stage.isWell(fleet) && stage.masters(fleet).includes(to));
    });

    test.each(DEATHS)('whose process dies $is call $at to a host is brought to its end by the next one', async ({ at, is }) => {
      const [from = ''] = stage.masters(fleet);
      const to = from === 'db1' ? 'db2' : 'db1';
      await fleet.stop();
      const dying = mortalShell({ at, is });
      fleet = await stage.open({ store }, dying.shell);
      const watched = stage.watchWritable();
      const { started } = await command('switch', to);
      await stage.beatUntil(fleet, dying.death, started[0]?.id);
      await fleet.stop();

      fleet = await stage.open({ store });
      await stage.until(fleet, () => stage.isWell(fleet));
      expect(stage.masters(fleet)).toEqual([to]);
      for (const names of await watched()) expect(names.length).toBeLessThan(2);
      await writesGoOn();
    });

    test('whose record is lost on its way to the store, or on its way back, ends all the same', async () => {
      for (const is of ['before', 'after'] as const) {
        const [from = ''] = stage.masters(fleet);
        const to = from === 'db1' ? 'db2' : 'db1';
        await fleet.stop();
        const failing = losing(store, is);
        fleet = await stage.open({ store: failing });
        expect(await command('switch', to)).toMatchObject({ code: '000000' });
        await stage.until(fleet, () => stage.isWell(fleet) && stage.masters(fleet).includes(to));
        expect(failing.lost()).toBe(1);
        await writesGoOn();
      }
    });

    test('has lost nothing of all that was acknowledged meanwhile', () => {
      const [master = ''] = stage.masters(fleet);
      expect(lostOf(writer.journal(), rowsOf(master))).toEqual([]);
      expect(writer.journal().length).toBeGreaterThan(200);
    });
  });
});

/** A store whose first swap or creation of the wanted roles fails before or after it was made. */
function losing(store: Store, is: Death['is']): Store & { lost(): number } {
  let lost = 0;
  const failing =
    <A extends readonly [string, ...unknown[]]>(call: (...args: A) => Promise<boolean>) =>
    async (...args: A): Promise<boolean> => {
      if (args[0] !== 'roles' || lost > 0) return call(...args);
      lost++;
      if (is === 'after') await call(...args);
      throw new Error('the store did not answer');
    };
  return { ...store, add: failing(store.add), swap: failing(store.swap), lost: () => lost };
}
