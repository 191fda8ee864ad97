import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  catchUp,
  type Mariadb,
  makeReadOnly,
  parseGtids,
  promote,
  repoint,
  type Servers,
  secret,
  servers,
} from 'fleetbeat/adapters/services/mariadb';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Neighbours, ServiceDriver } from '../../src/contracts.ts';
import type { Role, Service } from '../../src/domain/service.ts';
import type { View } from '../../src/domain/view.ts';
import { isThorough } from '../properties/runs.ts';
import { look, type MariadbStage, mariadbStage, perform } from '../support/mariadb-stage.ts';
import { loopback, requires } from '../support/servers.ts';

const never = new AbortController().signal;

/** What takes seconds and seldom breaks. */
const inCi = test.runIf(isThorough);

requires('mariadbd')('a replica of a mariadb', () => {
  let stage: MariadbStage;
  let master: Service;
  let replica: Service;
  let driver: ServiceDriver;

  beforeAll(async () => {
    stage = await mariadbStage([loopback(1), loopback(2)]);
    master = await stage.service('db1', 0, 'master');
    replica = await stage.service('db2', 1, 'slave');
    stage.installed(master, replica);
  });
  afterAll(() => stage.close());

  /** A master with two rows whose log no longer tells how they came, and a server that has them too, and follows nobody yet. */
  beforeEach(async () => {
    driver = stage.driver(master, replica);
    expect(await perform(driver, ['db1', 'start'], ['db2', 'start'])).toEqual([null, null]);
    const rows = 'CREATE OR REPLACE DATABASE app; CREATE TABLE app.t (a INT PRIMARY KEY); INSERT INTO app.t VALUES (1), (2)';
    const fresh = "STOP SLAVE; RESET SLAVE ALL; RESET MASTER; SET GLOBAL gtid_slave_pos = ''";
    stage.sql('db1', `${fresh}; ${rows}; SET GLOBAL read_only = 0`);
    stage.sql('db2', `${fresh}; SET sql_log_bin = 0; DROP DATABASE IF EXISTS old; ${rows}; SET GLOBAL read_only = 1`);
    stage.sql('db2', `SET GLOBAL gtid_slave_pos = '${stage.sql('db1', 'SELECT @@gtid_binlog_pos')}'`);
    await forgetLog();
  });

  /** A server's log then begins with what comes next. A file of it stays while a replica that is gone still seems to read it. */
  const forgetLog = (name = 'db1') =>
    expect
      .poll(() => {
        const [current] = stage.sql(name, 'FLUSH BINARY LOGS; SHOW MASTER STATUS').split('\t');
        return stage.sql(name, `PURGE BINARY LOGS TO '${current}'; SHOW BINARY LOGS`).split('\n');
      })
      .toHaveLength(1);
  const makeEmpty = () => stage.sql('db2', "SET sql_log_bin = 0; DROP DATABASE app; SET GLOBAL gtid_slave_pos = ''");
  const rowsOf = (name: string) => stage.sql(name, 'SELECT GROUP_CONCAT(a ORDER BY a) FROM app.t');
  const insert = (name: string, row: number) => stage.sql(name, `INSERT INTO app.t VALUES (${row})`);
  const follow = async () => expect(await perform(driver, ['db2', 'sync'])).toEqual([null]);
  const as = (service: Service, status: Role): Service => ({ ...service, status });

  test('copies a master that it has nothing of, with its users, and follows', async () => {
    makeEmpty();
    stage.sql('db1', "CREATE OR REPLACE USER app IDENTIFIED BY 'x'");
    stage.sql('db1', "CREATE DATABASE `it's ``odd``; DROP DATABASE app`");
    expect(await look(driver, 'db2')).toMatchObject({ holds: { up: true, replicating: false }, reason: 'it follows no master' });
    await follow();
    const seen = await look(driver, 'db2');
    expect(seen).toMatchObject({ holds: { up: true, replicating: true }, role: 'slave', lagMs: 0 });
    expect(seen.reason).toBeUndefined();
    insert('db1', 3);
    await expect.poll(() => rowsOf('db2')).toBe('1,2,3');
    for (const name of ['db1', 'db2'])
      expect(stage.sql(name, 'SELECT User FROM mysql.user ORDER BY 1').split('\n')).toEqual([
        'app',
        'fleetbeat_monitor',
        'fleetbeat_replica',
        'mariadb.sys',
        'root',
      ]);
    await follow();
    expect(await perform(driver, ['db2', 'restart'])).toEqual([null]);
    await expect.poll(() => look(driver, 'db2')).toMatchObject({ holds: { replicating: true }, role: 'slave' });
    expect(stage.sql('db2', 'SELECT @@read_only')).toBe('1');
  });

  inCi('takes up a copy that was cut off, and is no master while it has half of one', async () => {
    makeEmpty();
    const dump = join(stage.folder, 'cut');
    writeFileSync(dump, '#!/bin/sh\nmariadb-dump "$@" | head -n 20\nexit 3\n');
    chmodSync(dump, 0o755);
    const { port } = replica.settings as { port: number };
    const cut = stage.driver(master, await stage.service('db2', 1, 'slave', { port, binaries: { dump } }));
    expect(await perform(cut, ['db2', 'sync'])).toMatchObject([
      { code: 'ER0018', message: expect.stringMatching(/to copy db1 to db2 .*cut ended with 3$/) },
    ]);
    expect(stage.sql('db1', "SELECT COUNT(*) FROM mysql.user WHERE User LIKE 'fleetbeat_copy%'")).toBe('0');
    expect(await perform(stage.driver(as(replica, 'master')), ['db2', 'sync'])).toMatchObject([
      { code: 'ER0206', message: expect.stringContaining('half of a copy') },
    ]);
    await follow();
    await expect.poll(() => rowsOf('db2')).toBe('1,2');
  });

  test('says that its master is dead, and goes on by itself when it is back and lets write', async () => {
    await follow();
    stage.kill('db1');
    await expect
      .poll(() => look(driver, 'db2'))
      .toMatchObject({
        code: '000000',
        holds: { up: true, replicating: false },
        reason: expect.stringContaining('it cannot fetch: 2003 (the master cannot be reached)'),
      });
    expect(await perform(driver, ['db2', 'sync'])).toMatchObject([{ code: 'ER0003' }]);
    expect(await perform(driver, ['db1', 'start'], ['db1', 'sync'])).toEqual([null, null]);
    insert('db1', 3);
    await expect.poll(() => look(driver, 'db2')).toMatchObject({ holds: { replicating: true } });
    await expect.poll(() => rowsOf('db2')).toBe('1,2,3');
  });

  test('that was written to is refused, and keeps what it has', async () => {
    await follow();
    insert('db2', 9);
    const errant = stage.sql('db2', 'SELECT @@gtid_binlog_pos');
    expect(await look(driver, 'db2')).toMatchObject({
      holds: { up: true, replicating: false },
      reason: `it has transactions of its own: ${errant}`,
    });
    expect(await perform(driver, ['db2', 'sync'])).toMatchObject([
      { code: 'ER0250', message: expect.stringContaining(`db2 has ${errant}, which its master db1 does not have`) },
    ]);
    expect(rowsOf('db2')).toBe('1,2,9');
  });

  test('that asks for what its master never had is refused', async () => {
    await follow();
    stage.sql('db2', "STOP SLAVE; SET GLOBAL gtid_slave_pos = '0-77-9000'; START SLAVE");
    await expect
      .poll(() => look(driver, 'db2'))
      .toMatchObject({
        holds: { replicating: false },
        reason: expect.stringContaining('it cannot fetch: 1236 (the master does not have what it asks for)'),
      });
    expect(await perform(driver, ['db2', 'sync'])).toMatchObject([
      { code: 'ER0250', message: expect.stringContaining('0-77-9000') },
    ]);
  });

  test('with tables of which no log tells is refused, and keeps them', async () => {
    makeEmpty();
    stage.sql('db2', 'SET sql_log_bin = 0; CREATE DATABASE old; CREATE TABLE old.t SELECT 5 AS a');
    expect(await perform(driver, ['db2', 'sync'])).toMatchObject([
      { code: 'ER0250', message: expect.stringContaining('db2 has 1 tables and no position in any log') },
    ]);
    expect(stage.sql('db2', 'SELECT a FROM old.t')).toBe('5');
  });

  inCi('whose next transaction the master no longer has in its log copies it anew', async () => {
    await follow();
    await perform(driver, ['db2', 'stop']);
    insert('db1', 3);
    await forgetLog();
    await perform(driver, ['db2', 'start']);
    await expect.poll(() => look(driver, 'db2')).toMatchObject({ reason: expect.stringContaining('1236') });
    await follow();
    expect(await look(driver, 'db2')).toMatchObject({ holds: { replicating: true } });
    expect(rowsOf('db2')).toBe('1,2,3');
  });

  test('that has a row already which its master writes stops with the number, and tells no data', async () => {
    await follow();
    stage.sql('db2', 'SET sql_log_bin = 0; INSERT INTO app.t VALUES (3)');
    insert('db1', 3);
    const reason = 'its replay stopped with 1062 (a row to be written is there already)';
    await expect.poll(() => look(driver, 'db2')).toMatchObject({ code: '000000', holds: { replicating: false }, reason });
    expect(await perform(driver, ['db2', 'sync'])).toMatchObject([{ code: 'ER0254', message: `db2: db2: ${reason}` }]);
    stage.sql('db2', 'SET sql_log_bin = 0; DELETE FROM app.t WHERE a = 3');
    await follow();
    await expect.poll(() => look(driver, 'db2')).toMatchObject({ holds: { replicating: true } });
  });

  inCi('that accepts writes, or lags, is not replicating', async () => {
    await follow();
    stage.sql('db2', 'SET GLOBAL read_only = 0');
    expect(await look(driver, 'db2')).toMatchObject({ holds: { replicating: false }, reason: 'it accepts writes' });
    await follow();
    stage.sql('db2', 'STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 60; START SLAVE');
    insert('db1', 3);
    const slow = stage.driver(master, { ...replica, settings: { ...(replica.settings as object), lagLimitMs: 0 } });
    await expect
      .poll(() => look(slow, 'db2'))
      .toMatchObject({ holds: { replicating: false }, reason: expect.stringMatching(/^it is \d+ ms behind, of 0 allowed$/) });
  });

  inCi('takes up a new password of its master when the old one is denied', async () => {
    await follow();
    const replication = { user: 'fleetbeat_replica', password: secret('a new one') };
    const [first, second] = [master, replica].map((of) => ({ ...of, settings: { ...(of.settings as object), replication } }));
    const changed = stage.driver(first as Service, second as Service);
    await perform(changed, ['db1', 'start']);
    stage.sql('db2', 'STOP SLAVE; START SLAVE');
    await expect
      .poll(() => look(changed, 'db2'))
      .toMatchObject({ holds: { replicating: false }, reason: expect.stringContaining('1045 (its user is denied)') });
    expect(await perform(changed, ['db2', 'sync'])).toEqual([null]);
    expect(await look(changed, 'db2')).toMatchObject({ holds: { replicating: true } });
  });

  test('has a server id of its own, and a master', async () => {
    const twin = stage.driver(
      master,
      { ...replica, settings: { ...(replica.settings as object), serverId: 5 } },
      {
        ...master,
        name: 'db3',
        status: 'slave',
        settings: { ...(master.settings as object), serverId: 5 },
      },
    );
    expect(await perform(twin, ['db3', 'sync'])).toMatchObject([
      { code: 'ER0230', message: expect.stringContaining('db3 and db2 have one server id, 5') },
    ]);
    expect(await perform(stage.driver(replica), ['db2', 'sync'])).toMatchObject([
      { code: 'ER0230', message: expect.stringContaining('no database of the cluster shop has the status master') },
    ]);
  });

  test('is not let write while another is seen to', async () => {
    const both = stage.driver();
    const services = [as(master, 'slave'), as(replica, 'master')];
    const writing = { role: 'master', holds: new Set(['up']) } as Partial<View> as View;
    const among: Neighbours = { view: (key) => (key === 'services/db1' ? writing : undefined), services: () => services };
    both.bind?.(services, among);
    expect(await perform(both, ['db2', 'sync'])).toMatchObject([
      { code: 'ER0252', message: expect.stringContaining('db2 stays read-only: db1 accepts writes') },
    ]);
    expect(stage.sql('db2', 'SELECT @@read_only')).toBe('1');
  });

  test('takes the place of its master, which follows it from where it stood', async () => {
    await follow();
    const from: Servers = servers();
    const [old, next] = [master, replica] as unknown as readonly [Mariadb, Mariadb];
    insert('db1', 5);
    await makeReadOnly(old, stage.shell, never);
    const end = parseGtids(stage.sql('db1', 'SELECT @@gtid_binlog_pos'));
    await catchUp(next, end, 5000, from, never);
    await forgetLog('db2');
    await promote(next, end, from, stage.shell, never);
    await repoint(old, next, stage.shell, never);
    insert('db2', 3);
    const turned = stage.driver(as(master, 'slave'), as(replica, 'master'));
    await expect.poll(() => look(turned, 'db1')).toMatchObject({ role: 'slave', holds: { replicating: true } });
    expect(await look(turned, 'db2')).toMatchObject({ role: 'master', holds: { replicating: true } });
    await expect.poll(() => rowsOf('db1')).toBe('1,2,3,5');
    expect(await perform(driver, ['db1', 'sync'])).toMatchObject([
      { code: 'ER0206', message: expect.stringContaining('only a switchover makes it a master') },
    ]);
    expect(await look(driver, 'db1')).toMatchObject({
      holds: { replicating: false },
      reason: expect.stringContaining('wanted as master'),
    });
  });

  inCi('is not promoted before it has what its master wrote last', async () => {
    await follow();
    const next = replica as unknown as Mariadb;
    stage.sql('db2', 'STOP SLAVE SQL_THREAD');
    insert('db1', 3);
    const end = parseGtids(stage.sql('db1', 'SELECT @@gtid_binlog_pos'));
    const from = servers();
    await expect(promote(next, end, from, stage.shell, never)).rejects.toMatchObject({ code: 'ER0253' });
    await expect(catchUp(next, end, 100, from, never)).rejects.toMatchObject({ code: 'ER0253', retryable: true });
    expect(stage.sql('db2', 'SELECT @@read_only')).toBe('1');
  });

  test('of a master that died with more than it had sent: the old master is refused as its replica', async () => {
    await follow();
    stage.sql('db2', 'STOP SLAVE');
    insert('db1', 3);
    stage.kill('db1');
    const next = replica as unknown as Mariadb;
    await promote(next, [], servers(), stage.shell, never);
    insert('db2', 4);
    const turned = stage.driver(as(master, 'slave'), as(replica, 'master'));
    await perform(turned, ['db1', 'start']);
    expect(await look(turned, 'db1')).toMatchObject({ role: 'na', reason: 'it follows no master' });
    expect(await perform(turned, ['db1', 'sync'])).toMatchObject([{ code: 'ER0250' }]);
    expect(rowsOf('db1')).toBe('1,2,3');
    expect(existsSync(join(stage.folder, 'db1', 'copying'))).toBe(false);
  });
});
