import type { Neighbours, Permit, View } from 'fleetbeat';
import { asToken } from 'fleetbeat';
import { type Mariadb, secret } from 'fleetbeat/adapters/services/mariadb';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Failover } from '../../src/contracts.ts';
import type { Service } from '../../src/domain/service.ts';
import { type MariadbStage, mariadbStage, perform } from '../support/mariadb-stage.ts';
import { loopback, requires } from '../support/servers.ts';

const never = new AbortController().signal;
const permit: Permit = { token: asToken('a'), fence: 1, valid: () => true };

requires('mariadbd')('a mariadb that is to take the place of a lost master', () => {
  let stage: MariadbStage;
  let master: Service;
  let others: readonly [Service, Service];
  let failover: Failover<never>;

  beforeAll(async () => {
    stage = await mariadbStage([1, 2, 3].map(loopback));
    failover = stage.kind.failover ?? expect.unreachable();
    const settings = { answerMs: 300, catchUpMs: 500 };
    master = await stage.service('db1', 0, 'master', settings);
    others = [await stage.service('db2', 1, 'slave', settings), await stage.service('db3', 2, 'slave', settings)];
    stage.installed(master, ...others);
    const driver = stage.driver(master, ...others);
    for (const name of ['db1', 'db2', 'db3']) await perform(driver, [name, 'start']);
    expect(await perform(driver, ['db1', 'sync'], ['db2', 'sync'], ['db3', 'sync'])).toEqual([null, null, null]);
    stage.sql('db1', 'CREATE DATABASE app; CREATE TABLE app.t (a INT PRIMARY KEY)');
    await vi.waitFor(() =>
      expect(['db2', 'db3'].map((name) => stage.sql(name, "SHOW DATABASES LIKE 'app'"))).toEqual(['app', 'app']),
    );
  });
  afterAll(() => stage.close());

  const among = (): Neighbours => ({ view: (): View | undefined => undefined, services: () => [master, ...others] });
  const confirm = (of: { readonly from?: Service } = {}) => {
    const [to, other] = others;
    const succession = { to, from: of.from ?? master, others: [other] } as { to: never; from: never; others: never[] };
    return failover.confirm(succession, stage.shell, permit, never, among());
  };
  const gather = () => {
    const [to, other] = others;
    return failover.gather({ to, others: [other] } as { to: never; others: never[] }, stage.shell, permit, never, among());
  };
  /** Until both replicas have missed their master. */
  const missed = () =>
    expect
      .poll(() => ['db2', 'db3'].map((name) => stage.sql(name, 'SHOW SLAVE STATUS').includes('connecting to master')), {
        timeout: 20_000,
      })
      .toEqual([true, true]);

  test('does not, where that answers', async () => {
    await expect(confirm()).rejects.toMatchObject({ code: 'ER0257', detail: 'db1 is there: it answers' });
  });

  test('does not, where that refuses to be asked: it is there', async () => {
    const { settings } = master as Mariadb;
    const monitor = { ...settings.monitor, password: secret('another') };
    const from = { ...master, name: 'db1 asked by a stranger', settings: { ...settings, monitor } };
    await expect(confirm({ from })).rejects.toMatchObject({
      code: 'ER0257',
      detail: expect.stringMatching(/is there: .* refuses with 1045/),
    });
  });

  test('does not, where it hears that itself, or another replica does', async () => {
    stage.freeze('db1');
    await expect(confirm()).rejects.toMatchObject({ code: 'ER0257', detail: 'db2 still hears db1' });
    stage.sql('db2', 'STOP SLAVE');
    await expect(confirm()).rejects.toMatchObject({ code: 'ER0257', detail: 'db3 still hears db1' });
    stage.sql('db2', 'START SLAVE');
    stage.thaw('db1');
  });

  test('is refused what only one with transactions of its own has received, since it could not follow that one', async () => {
    stage.sql('db2', 'STOP SLAVE IO_THREAD');
    stage.sql('db1', 'INSERT INTO app.t VALUES (5)');
    await expect.poll(() => stage.sql('db3', 'SELECT a FROM app.t')).toBe('5');
    stage.sql('db3', 'INSERT INTO app.t VALUES (7)');
    stage.kill('db1');
    stage.sql('db2', 'START SLAVE IO_THREAD');
    await missed();
    await expect(gather()).rejects.toMatchObject({
      code: 'ER0250',
      detail: expect.stringMatching(/^db3 has transactions of its own, 0-\d+-\d+; nothing was changed$/),
    });
    expect(stage.sql('db2', 'SELECT a FROM app.t')).toBe('');
  });

  test('does not, where it has transactions of its own', async () => {
    await confirm();
    stage.sql('db2', 'INSERT INTO app.t VALUES (1)');
    await expect(confirm()).rejects.toMatchObject({ code: 'ER0250' });
  });
});
