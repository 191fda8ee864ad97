import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BrokenShop, openBrokenShop, PATIENT } from '../support/broken-shop.ts';
import { requiresMachines } from '../support/servers.ts';

const TEST_MS = 200_000;
/** For statements that no other server is to hear of. */
const UNLOGGED = 'SET SESSION sql_log_bin = 0';

requiresMachines('a cluster that is kept running, while its services are broken', () => {
  let stage: BrokenShop;
  beforeAll(async () => {
    stage = await openBrokenShop();
  }, TEST_MS);
  afterAll(async () => {
    process.stdout.write(`${stage?.table()}\n`);
    await stage?.close();
  });

  const sql = (database: string, ...statements: readonly string[]) => stage.shop.sql(database, statements.join('; '));
  const shellOn = (service: string, script: string) => stage.shop.machineOf(service).run('sh', '-c', script);
  const runOf = (service: string) => stage.viewOf(service)?.mark;
  const isBelowTop = (service: string) => stage.seen(({ name, state }) => name === service && state !== 'routed');
  const command = (action: string, group: string) => stage.shop.fleet.dispatch({ level: 'services', action, group });
  const actionsAt = (service: string) => stage.shop.fleet.actions().filter(({ lane }) => lane === `services/${service}`);
  const discardFailed = async (service: string) => {
    for (const { id, status } of actionsAt(service)) if (status === 'failed') await stage.shop.fleet.discard(id);
  };

  test('a mariadbd that was killed is started again, and has all that it has acknowledged', { timeout: TEST_MS }, async () => {
    await stage.break('killed mariadbd of the master', async () => {
      await shellOn('db1', 'kill -KILL "$(cat /var/lib/fleetbeat/db1/pid)"');
    });
    const { view, beats } = await isBelowTop('db1');
    expect(view).toMatchObject({ state: 'stopped', code: 'ER0023', reason: expect.stringMatching(/^its process is gone/) });
    expect(beats).toBeLessThanOrEqual(2);
    const { done } = await stage.whole();
    expect(done).toEqual(expect.arrayContaining(['up db1', 'replicating db1']));
  });

  test('a master that denies its monitor is given the password anew, and no write is disturbed', {
    timeout: TEST_MS,
  }, async () => {
    const run = runOf('db1');
    await stage.break('wrong password of the monitor', async () => {
      await sql('db1', UNLOGGED, "SET PASSWORD FOR fleetbeat_monitor@'%' = PASSWORD('another')", 'KILL USER fleetbeat_monitor');
    });
    const { view, beats } = await isBelowTop('db1');
    expect(view).toMatchObject({ state: 'failing', code: 'ER0003', reason: expect.stringContaining('refuses with 1045') });
    expect(beats).toBeLessThanOrEqual(2);
    const { done, writes } = await stage.whole();
    expect(done).toContain('up db1');
    expect(runOf('db1')).toBe(run);
    expect(writes).toMatchObject({ refused: 0, unknown: 0 });
  });

  test('a configuration of haproxy that was made invalid by hand is replaced, and no write is disturbed', {
    timeout: TEST_MS,
  }, async () => {
    const run = runOf('lb1');
    await stage.break('invalid configuration of the active haproxy', async () => {
      await shellOn(
        'lb1',
        'cd /var/lib/fleetbeat/lb1 && echo "listen nonsense" >>haproxy.cfg && kill -USR2 "$(cat haproxy.pid)"',
      );
    });
    const { view, beats } = await isBelowTop('lb1');
    expect(view).toMatchObject({ state: 'up', reason: expect.stringContaining('it was changed by hand') });
    expect(beats).toBeLessThanOrEqual(2);
    const { done, writes } = await stage.whole();
    expect(done).toContain('routed lb1');
    expect(await shellOn('lb1', 'cd /var/lib/fleetbeat/lb1 && haproxy -c -f haproxy.cfg')).toContain('valid');
    expect(runOf('lb1')).toBe(run);
    expect(writes).toMatchObject({ refused: 0, unknown: 0 });
  });

  test('a replica with a duplicate key says so, and goes on by itself once somebody has taken the row away', {
    timeout: TEST_MS,
  }, async () => {
    let id = 0;
    await stage.break('replica with a duplicate key', async () => {
      id = stage.writer.lastId() + 20;
      await sql('db3', UNLOGGED, `INSERT INTO app.journal VALUES (${id}, 0)`);
    });
    const { view, beats } = await isBelowTop('db3');
    expect(view).toMatchObject({ state: 'up', reason: expect.stringContaining('its replay stopped with 1062') });
    // It takes the master until then to come to that key.
    expect(beats).toBeLessThanOrEqual(4);
    await stage.refused(/^start of services\/db3: ER0254 .* its replay stopped with 1062/);
    await sql('db3', UNLOGGED, `DELETE FROM app.journal WHERE id = ${id}`);
    const { done } = await stage.whole();
    expect(done).toContain('replicating db3');
  });

  test('a replica with a transaction of its own is refused until somebody has removed it', { timeout: TEST_MS }, async () => {
    await stage.break('errant transaction on a replica', async () => {
      await sql('db2', 'CREATE TABLE app.errant (id INT)');
    });
    const { view, beats } = await isBelowTop('db2');
    expect(view).toMatchObject({ state: 'up', reason: expect.stringMatching(/^it has transactions of its own: 0-\d+-\d+$/) });
    expect(beats).toBeLessThanOrEqual(2);
    await stage.refused(/^start of services\/db2: ER0250 .* which its master db1 does not have; nothing was changed$/);
    expect(await sql('db2', 'SHOW TABLES FROM app')).toBe('errant\njournal\n');

    // What is removed has to be asked for twice, and is not kept running any more.
    await expect.poll(() => actionsAt('db2').map(({ status }) => status), PATIENT).toEqual(['failed']);
    await discardFailed('db2');
    await command('remove', 'db2');
    await stage.refused(/^remove of services\/db2: ER0251 /);
    await discardFailed('db2');
    await command('remove', 'db2');
    await expect.poll(() => stage.viewOf('db2')?.state, PATIENT).toBe('uninstalled');
    await command('start', 'db2');
    await stage.whole();
    expect(await sql('db2', 'SHOW TABLES FROM app')).toBe('journal\n');
  });

  test('every replica has the same rows as the master in the end', { timeout: TEST_MS }, () => stage.alike());

  test('a second database that accepts writes is seen, and made read-only again', { timeout: TEST_MS }, async () => {
    const before = stage.watch.together().length;
    await sql('db2', 'SET GLOBAL read_only = 0');
    await expect.poll(() => stage.viewOf('db2')?.reason, PATIENT).toBe('it accepts writes');
    await expect.poll(() => stage.viewOf('db2')?.state, PATIENT).toBe('routed');
    expect(await sql('db2', 'SELECT @@read_only')).toBe('1\n');
    // The watch by which all of the above is judged has noticed.
    expect(stage.watch.together().length).toBeGreaterThan(before);
  });
});
