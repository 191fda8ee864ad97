import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { look, type MariadbStage, mariadbStage, perform } from '../support/mariadb-stage.ts';
import { loopback, requires } from '../support/servers.ts';

requires('mariadbd')('a mariadb on a host', () => {
  let stage: MariadbStage;

  beforeAll(async () => {
    stage = await mariadbStage([loopback(1)]);
  });
  afterEach(() => stage.clear());
  afterAll(() => stage.close());

  test('goes from uninstalled to replicating, by a restart to another run, and is stopped', async () => {
    const driver = stage.driver(await stage.service('db1', 0, 'master'));
    expect(await look(driver, 'db1')).toEqual({
      name: 'db1',
      readAt: 1000,
      code: 'ER0024',
      holds: { installed: false, up: false },
    });
    expect(await perform(driver, ['db1', 'install'])).toEqual([null]);
    expect(await look(driver, 'db1')).toMatchObject({ code: 'ER0023', holds: { installed: true, up: false } });
    expect(await perform(driver, ['db1', 'start'])).toEqual([null]);
    expect(await look(driver, 'db1')).toMatchObject({
      code: '000000',
      holds: { up: true, replicating: false },
      reason: 'it is read-only',
      role: 'na',
    });
    expect(await perform(driver, ['db1', 'sync'])).toEqual([null]);
    const first = await look(driver, 'db1');
    expect(first).toMatchObject({ code: '000000', holds: { up: true, replicating: true }, role: 'master' });
    expect(await perform(driver, ['db1', 'restart'])).toEqual([null]);
    const second = await look(driver, 'db1');
    expect(second).toMatchObject({ code: '000000', holds: { up: true, replicating: true }, role: 'master' });
    expect(second.runId).not.toBe(first.runId);
    expect(await perform(driver, ['db1', 'stop'])).toEqual([null]);
    expect(await look(driver, 'db1')).toMatchObject({ code: 'ER0023', holds: { installed: true, up: false } });
  });
});
