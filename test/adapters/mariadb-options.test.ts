import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { ServiceDriver } from '../../src/contracts.ts';
import { look, type MariadbStage, mariadbStage, perform } from '../support/mariadb-stage.ts';
import { loopback, requires } from '../support/servers.ts';

const OUTDATED = 'its settings have changed since it was started; a restart puts its options in force';

requires('mariadbd')('the option file of a mariadb', () => {
  let stage: MariadbStage;

  beforeAll(async () => {
    stage = await mariadbStage([loopback(1)]);
  });
  afterEach(() => stage.clear());
  afterAll(() => stage.close());

  const path = (name = 'my.cnf') => join(stage.folder, 'db1', name);
  const seen = () => ({ ino: statSync(path()).ino, mtime: statSync(path()).mtimeMs, mode: statSync(path()).mode & 0o777 });
  const options = (more: object) => ({
    options: { performance_schema: false, innodb_log_file_size: 4_194_304, innodb_buffer_pool_chunk_size: 1_048_576, ...more },
  });
  /** `db1`, installed and up as a master, and its port. */
  const running = async (): Promise<{ readonly driver: ServiceDriver; readonly port: number }> => {
    const service = await stage.service('db1', 0, 'master');
    stage.installed(service);
    const driver = stage.driver(service);
    expect(await perform(driver, ['db1', 'start'], ['db1', 'sync'])).toEqual([null, null]);
    return { driver, port: (service.settings as { port: number }).port };
  };

  test('is put right by a command while the server runs on, and left alone the next time', async () => {
    const { driver } = await running();
    const [pid, wanted, before] = [stage.pid('db1'), readFileSync(path(), 'utf8'), seen()];
    expect(await perform(driver, ['db1', 'bootstrap_config'])).toEqual([null]);
    expect(seen()).toEqual(before);

    writeFileSync(path(), '[mariadbd]\nport=1\n', { mode: 0o644 });
    expect(await perform(driver, ['db1', 'bootstrap_config'])).toEqual([null]);
    expect(readFileSync(path(), 'utf8')).toBe(wanted);
    const mended = seen();
    expect(mended.mode).toBe(0o600);
    expect(stage.pid('db1')).toBe(pid);
    const facts = await look(driver, 'db1');
    expect(facts).toMatchObject({ code: '000000', holds: { replicating: true }, role: 'master' });
    expect(facts).not.toHaveProperty('reason');
    expect(await perform(driver, ['db1', 'bootstrap_config'])).toEqual([null]);
    expect(seen()).toEqual(mended);
    expect(readdirSync(join(stage.folder, 'db1')).filter((name) => /part|trial/.test(name))).toEqual([]);
  });

  test('that others may read is closed to them', async () => {
    const { driver } = await running();
    chmodSync(path(), 0o644);
    expect(await perform(driver, ['db1', 'bootstrap_config'])).toEqual([null]);
    expect(seen().mode).toBe(0o600);
  });

  test('is written while options differ from those in force, which the server says until it is restarted', async () => {
    const { port } = await running();
    const driver = stage.driver(await stage.service('db1', 0, 'master', { port, ...options({ max_connections: 77 }) }));
    const { runId } = await look(driver, 'db1');
    expect(await perform(driver, ['db1', 'bootstrap_config'])).toEqual([null]);
    expect(readFileSync(path(), 'utf8')).toContain('max_connections=77');
    expect(await look(driver, 'db1')).toMatchObject({ code: '000000', holds: { replicating: true }, reason: OUTDATED, runId });
    expect(stage.sql('db1', 'SELECT @@max_connections')).not.toBe('77');
    expect(await perform(driver, ['db1', 'restart'], ['db1', 'sync'])).toEqual([null, null]);
    expect(stage.sql('db1', 'SELECT @@max_connections')).toBe('77');
    expect(await look(driver, 'db1')).not.toHaveProperty('reason');
  });

  test('stays as it is where the server does not take what is to replace it, and what that was to be is not told', async () => {
    const { port } = await running();
    const before = [readFileSync(path(), 'utf8'), seen()];
    const wrong = options({ no_such_option: 'a secret', max_connections: 'or two' });
    const driver = stage.driver(await stage.service('db1', 0, 'master', { port, ...wrong }));
    const [problem] = await perform(driver, ['db1', 'bootstrap_config']);
    expect(problem).toMatchObject({ code: 'ER0018', message: expect.stringContaining('its options are refused') });
    expect(problem?.message).not.toMatch(/a secret|or two/);
    expect([readFileSync(path(), 'utf8'), seen()]).toEqual(before);
    expect(readdirSync(join(stage.folder, 'db1')).filter((name) => /part|trial/.test(name))).toEqual([]);
    expect(await look(driver, 'db1')).toMatchObject({ code: '000000' });
  });

  test('is written where the server is stopped, which stays so, and not where nothing is installed', async () => {
    const service = await stage.service('db1', 0, 'master');
    const driver = stage.driver(service);
    expect(await perform(driver, ['db1', 'bootstrap_config'])).toMatchObject([
      { code: 'ER0018', message: expect.stringContaining('is not installed') },
    ]);
    expect(readdirSync(stage.folder)).not.toContain('db1');
    stage.installed(service);
    writeFileSync(path(), 'spoiled');
    expect(await perform(driver, ['db1', 'bootstrap_config'])).toEqual([null]);
    expect(readFileSync(path(), 'utf8')).toContain(`datadir="${path('data')}"`);
    expect(await look(driver, 'db1')).toMatchObject({ code: 'ER0023' });
  });
});
