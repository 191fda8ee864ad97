import { afterAll, beforeAll, expect, test } from 'vitest';
import { JOURNAL_TABLE, lostOf, startJournalingWriter } from './journaling-writer.ts';
import { type MariadbStage, mariadbStage, perform } from './mariadb-stage.ts';
import { loopback, requires } from './servers.ts';

requires('mariadbd')('a writer with a journal', () => {
  let stage: MariadbStage;
  beforeAll(async () => {
    stage = await mariadbStage([loopback(1)]);
  });
  afterAll(() => stage.close());

  test('knows what was acknowledged, how long nothing was, and what has been lost since', async () => {
    const service = await stage.service('db1', 0, 'master');
    stage.installed(service);
    const driver = stage.driver(service);
    await perform(driver, ['db1', 'start'], ['db1', 'sync']);
    stage.sql(
      'db1',
      `CREATE DATABASE app; ${JOURNAL_TABLE}; CREATE USER app@'%' IDENTIFIED BY 'app'; GRANT ALL ON app.* TO app@'%'`,
    );
    const { port } = service.settings as { port: number };
    const writer = startJournalingWriter({ host: service.ip, port, user: 'app', password: 'app', perSecond: 200 });
    const hasWritten = (more: number) => {
      const before = writer.stretch().acknowledged;
      return expect.poll(() => writer.stretch().acknowledged).toBeGreaterThan(before + more);
    };

    await hasWritten(100);
    stage.kill('db1');
    const killedAt = performance.now();
    await expect.poll(() => writer.stretch().refused).toBeGreaterThan(0);
    await perform(driver, ['db1', 'start'], ['db1', 'sync']);
    const outageMs = performance.now() - killedAt;
    await hasWritten(50);
    const { longestOutageMs, reasons } = writer.stretch();
    expect(longestOutageMs).toBeGreaterThan(outageMs / 2);
    expect(reasons).toContain('ECONNREFUSED');

    writer.mark();
    stage.sql('db1', 'SET GLOBAL read_only = 1');
    await expect.poll(() => writer.stretch().reasons).toContain('ER_OPTION_PREVENTS_STATEMENT 1290');
    stage.sql('db1', 'SET GLOBAL read_only = 0');
    await hasWritten(50);
    await writer.stop();

    const rows = () => stage.sql('db1', 'SELECT id FROM app.journal');
    const journal = writer.journal();
    expect(lostOf(journal, rows())).toEqual([]);
    expect(new Set(journal.map(({ server }) => server))).toEqual(new Set([Number(stage.sql('db1', 'SELECT @@server_id'))]));
    const one = journal[10];
    stage.sql('db1', `DELETE FROM app.journal WHERE id = ${one?.id}`);
    expect(lostOf(journal, rows())).toEqual([one]);
  });
});
