import { afterAll, beforeAll, expect, test } from 'vitest';
import { mustBeOnlyMaster } from '../../adapters/services/mariadb/cluster.ts';
import { hostOf } from '../../adapters/services/mariadb/host.ts';
import { roomWatch } from '../../adapters/services/mariadb/room.ts';
import { ROOM } from '../../adapters/services/mariadb/scripts.ts';
import { type Mariadb, socketOf } from '../../adapters/services/mariadb/service.ts';
import type { ServerStatus } from '../../adapters/services/mariadb/status.ts';
import type { Shell } from '../../src/contracts.ts';
import type { View } from '../../src/domain/view.ts';
import { type MariadbStage, mariadbStage, perform } from '../support/mariadb-stage.ts';
import { loopback, requires } from '../support/servers.ts';

const never = new AbortController().signal;

/** A host that says so much of its disk, and how many statements wait for room there. */
function pretend(says: { leftKib: number; waiting: number } | 'nothing') {
  const asked: string[] = [];
  const host = { says };
  const shell: Shell = {
    reachable: async () => 'up',
    put: async () => {},
    async run(_ip, argv, _options, signal) {
      asked.push(argv.at(-1) ?? '');
      if (host.says === 'nothing')
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      const { leftKib, waiting } = host.says;
      return { exit: 0, stdout: `${leftKib} ${leftKib < 1024 || argv.at(-1) === 'count' ? waiting : 0}\n`, stderr: '' };
    },
  };
  return { shell, asked, host };
}

requires('mariadbd')('the room of a mariadb', () => {
  let stage: MariadbStage;
  let of: Mariadb;
  beforeAll(async () => {
    stage = await mariadbStage([loopback(1)]);
    of = (await stage.service('db1', 0, 'master')) as Mariadb;
    stage.installed(of);
    await perform(stage.driver(of), ['db1', 'start'], ['db1', 'sync']);
  });
  afterAll(() => stage.close());

  const at = (sequence: number) =>
    ({ runId: '1-a', current: [{ domain: 0, server: 1, sequence: BigInt(sequence) }] }) as unknown as ServerStatus;

  test('is what its host has left for its data, and the statements that wait for more are counted where that is asked for', async () => {
    const words = (count: string) => [of.settings.binaries.client, socketOf(of), '1024', count];
    const [counted, skipped] = await Promise.all(
      ['count', 'skip'].map((count) => hostOf(of, stage.shell, never).run('look at the disk of', ROOM, words(count))),
    );
    expect(counted).toMatch(/^\d{4,} 0\n$/);
    expect(skipped).toMatch(/^\d{4,} 0\n$/);
  });

  test('is not asked for while it commits', async () => {
    const { shell, asked } = pretend({ leftKib: 0, waiting: 1 });
    const room = roomWatch();
    await room.obstacleOf(of, at(1), shell, never);
    for (let sequence = 2; sequence < 5; sequence++) expect(await room.obstacleOf(of, at(sequence), shell, never)).toBeNull();
    expect(asked).toHaveLength(1);
  });

  test('is an obstacle while there is none, and until the last statement that waited goes on', async () => {
    const { shell, host } = pretend({ leftKib: 100_000, waiting: 0 });
    const room = roomWatch();
    const look = () => room.obstacleOf(of, at(1), shell, never);
    expect(await look()).toBeNull();
    host.says = { leftKib: 12, waiting: 1 };
    expect(await look()).toMatch(/^its disk is full: 12 KiB are left/);
    host.says = { leftKib: 100_000, waiting: 1 };
    expect(await look()).toBe('its disk was full: its writes go on within a minute');
    host.says = { leftKib: 100_000, waiting: 0 };
    expect(await look()).toBeNull();
    // Who does not wait any more is not counted again.
    host.says = { leftKib: 100_000, waiting: 1 };
    expect(await look()).toBeNull();
  });

  test('is no reason to let another one write: who has none goes on as master once there is some', async () => {
    const other = (await stage.service('db2', 0, 'slave')) as Mariadb;
    const view = { role: 'master', code: 'ER0270', holds: new Set(['failing', 'installed']) } as unknown as View;
    const among = { services: () => [of, other], view: () => view };
    expect(() => mustBeOnlyMaster(of, among)).toThrow(expect.objectContaining({ code: 'ER0252' }));
  });

  test('is no obstacle where its host does not say, and is not waited for', async () => {
    const { shell } = pretend('nothing');
    const from = performance.now();
    expect(await roomWatch().obstacleOf(of, at(1), shell, never)).toBeNull();
    expect(performance.now() - from).toBeLessThan(4000);
    const stop = new AbortController();
    const asking = roomWatch().obstacleOf(of, at(1), shell, stop.signal);
    stop.abort(new Error('stopped'));
    await expect(asking).rejects.toThrow('stopped');
  });
});
