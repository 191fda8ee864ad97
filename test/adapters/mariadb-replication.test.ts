import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ServiceDriver } from '../../src/contracts.ts';
import type { Service } from '../../src/domain/service.ts';
import { look, type MariadbStage, mariadbStage, perform } from '../support/mariadb-stage.ts';
import { loopback, requires } from '../support/servers.ts';

requires('mariadbd')('a replica of a mariadb', () => {
  let stage: MariadbStage;
  let master: Service;
  let replica: Service;
  let driver: ServiceDriver;

  beforeAll(async () => {
    stage = await mariadbStage([loopback(1), loopback(2)]);
  });
  afterAll(() => stage.close());

  describe('that comes new to a master with data', () => {
    beforeEach(async () => {
      master = await stage.service('db1', 0, 'master');
      replica = await stage.service('db2', 1, 'slave');
      driver = stage.driver(master, replica);
      stage.installed(master, replica);
      expect(await perform(driver, ['db1', 'start'], ['db1', 'sync'], ['db2', 'start'])).toEqual([null, null, null]);
      stage.sql('db1', 'CREATE DATABASE app; CREATE TABLE app.t (a INT PRIMARY KEY); INSERT INTO app.t VALUES (1), (2)');
      stage.sql('db1', "CREATE USER app IDENTIFIED BY 'x'; FLUSH BINARY LOGS; PURGE BINARY LOGS BEFORE NOW()");
    });
    afterEach(() => stage.clear());

    test('copies it, and follows', async () => {
      expect(await look(driver, 'db2')).toMatchObject({
        holds: { up: true, replicating: false },
        reason: 'it follows no master',
      });
      expect(await perform(driver, ['db2', 'sync'])).toEqual([null]);
      expect(await look(driver, 'db2')).toMatchObject({ holds: { up: true, replicating: true }, role: 'slave', lagMs: 0 });
      stage.sql('db1', 'INSERT INTO app.t VALUES (3)');
      await expect.poll(() => stage.sql('db2', 'SELECT GROUP_CONCAT(a) FROM app.t')).toBe('1,2,3');
      for (const name of ['db1', 'db2'])
        expect(stage.sql(name, 'SELECT User FROM mysql.user ORDER BY 1').split('\n')).toEqual([
          'app',
          'fleetbeat_monitor',
          'fleetbeat_replica',
          'mariadb.sys',
          'root',
        ]);
    });
  });
});
