import type { Fleet } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isThorough } from '../properties/runs.ts';
import { type ClusterStage, clusterStage, viewOf } from '../support/cluster-stage.ts';
import { type Death, mortalShell } from '../support/mortal-shell.ts';
import { requires } from '../support/servers.ts';

const DEATHS: readonly Death[] = Array.from({ length: 5 }, (_, i) => i + 1)
  .flatMap((at): readonly Death[] => [
    { at, is: 'before' },
    { at, is: 'after' },
  ])
  .filter((_, i) => isThorough || i === 3);
const TEST_MS = 60_000;

requires('mariadbd')('a failover', () => {
  requires('haproxy')('of a cluster behind a balancer', () => {
    let stage: ClusterStage;
    let fleet: Fleet;
    const store = memory();
    let written = 0;

    beforeAll(async () => {
      stage = await clusterStage({ answerMs: 500 });
      fleet = await stage.open({ store });
      await stage.start(fleet);
    });
    afterAll(async () => {
      await fleet.stop();
      await stage.close();
    });

    const rowsOf = (name: string) => stage.sql(name, 'SELECT COUNT(*) FROM app.journal');
    const command = (action: string, group: string) => fleet.dispatch({ level: 'services', action, group });

    test.each(DEATHS)(
      'whose process dies $is call $at to a host is brought to its end by the next one',
      {
        timeout: TEST_MS,
      },
      async ({ at, is }) => {
        const [from = ''] = stage.masters(fleet);
        const to = from === 'db1' ? 'db2' : 'db1';
        stage.sql(from, `INSERT INTO app.journal VALUES (${++written}, 0)`);
        await expect.poll(() => rowsOf(to)).toBe(`${written}`);
        await stage.power(from).off();
        await stage.until(fleet, () => viewOf(fleet, to)?.following?.hears === false);
        await fleet.stop();
        const dying = mortalShell({ at, is });
        fleet = await stage.open({ store }, dying.shell);
        const watched = stage.watchWritable();
        const { started } = await stage.failOver(fleet, to);
        await stage.beatUntil(fleet, dying.death, started[0]?.id);
        await fleet.stop();

        fleet = await stage.open({ store });
        await stage.until(fleet, () => fleet.actions().length === 0 && stage.masters(fleet).join() === to);
        for (const names of await watched()) expect(names.length).toBeLessThan(2);
        expect(rowsOf(to)).toBe(`${written}`);

        await stage.power(from).finishBoot();
        await stage.until(fleet, () => viewOf(fleet, from)?.state === 'stopped');
        await command('start', from);
        await stage.until(fleet, () => stage.isWell(fleet));
        expect(viewOf(fleet, from)?.role).toBe('slave');
      },
    );
  });
});
