import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { secret } from 'fleetbeat/adapters/services/mariadb';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { ServiceDriver, Shell } from '../../src/contracts.ts';
import { overShell } from '../../src/drivers/over-shell.ts';
import { isThorough } from '../properties/runs.ts';
import { callTo, look, type MariadbStage, mariadbStage, perform } from '../support/mariadb-stage.ts';
import { loopback, requires, silentServer } from '../support/servers.ts';

const never = new AbortController().signal;

/** This machine, as another user. */
const shellOf = ({ uid, gid, home }: { readonly uid: number; readonly gid: number; readonly home: string }): Shell => ({
  reachable: async () => 'up',
  put: async () => {},
  async run(_ip, [command = '', ...args], { stdin = '' }) {
    const child = spawn(command, args, { uid, gid, cwd: home, env: { PATH: process.env.PATH, HOME: home }, stdio: 'pipe' });
    child.stdin.end(stdin);
    const [stdout, stderr, [exit]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
    return { exit: Number(exit), stdout, stderr };
  },
});

/** What takes seconds and seldom breaks. */
const inCi = test.runIf(isThorough);

requires('mariadbd')('a mariadb on a host', () => {
  let stage: MariadbStage;

  beforeAll(async () => {
    stage = await mariadbStage([loopback(1)]);
  });
  afterEach(() => stage.clear());
  afterAll(() => stage.close());

  /** A service whose data is there, as a new installation has it. */
  const installed = async (name: string, settings: object = {}): Promise<ServiceDriver> => {
    const service = await stage.service(name, 0, 'master', settings);
    stage.installed(service);
    return stage.driver(service);
  };

  /** A program of the host in place of another one, which it may become. */
  const program = (name: string, ...lines: readonly string[]): string => {
    const path = join(stage.folder, name);
    writeFileSync(path, ['#!/bin/sh', ...lines, ''].join('\n'));
    chmodSync(path, 0o755);
    return path;
  };

  test('goes from uninstalled to a master that may write, by a restart to another run, and is stopped', async () => {
    const driver = stage.driver(await stage.service('db1', 0, 'master'));
    const nothing = { name: 'db1', readAt: 1000, code: 'ER0024', holds: { installed: false, up: false } };
    expect(await look(driver, 'db1')).toEqual(nothing);

    expect(await perform(driver, ['db1', 'install'])).toEqual([null]);
    expect(await look(driver, 'db1')).toEqual({ ...nothing, code: 'ER0023', holds: { installed: true, up: false } });

    expect(await perform(driver, ['db1', 'start'])).toEqual([null]);
    expect(await look(driver, 'db1')).toMatchObject({
      code: '000000',
      holds: { installed: true, up: true, replicating: false },
      role: 'na',
      reason: 'it is read-only',
    });

    expect(await perform(driver, ['db1', 'sync'])).toEqual([null]);
    const first = await look(driver, 'db1');
    expect(first).toMatchObject({ code: '000000', holds: { up: true, replicating: true }, role: 'master' });
    expect((await look(driver, 'db1')).runId).toBe(first.runId);
    expect(await perform(driver, ['db1', 'install'], ['db1', 'start'], ['db1', 'sync'])).toEqual([null, null, null]);
    expect(await look(driver, 'db1')).toEqual(first);

    expect(await perform(driver, ['db1', 'restart'])).toEqual([null]);
    const second = await look(driver, 'db1');
    expect(second).toMatchObject({ code: '000000', holds: { up: true, replicating: true }, role: 'master' });
    expect(second.runId).not.toBe(first.runId);

    expect(await perform(driver, ['db1', 'stop'], ['db1', 'stop'])).toEqual([null, null]);
    expect(await look(driver, 'db1')).toMatchObject({ code: 'ER0023', holds: { installed: true, up: false } });
    expect(readFileSync(join(stage.folder, 'db1', 'error.log'), 'utf8')).toContain('Shutdown complete');
  });

  test('keeps its options, and its data, from everyone but itself and the administrator', async () => {
    const driver = await installed('db1', { checkUser: 'balancer' });
    await perform(driver, ['db1', 'start']);
    const modeOf = (path: string) => (statSync(join(stage.folder, 'db1', path)).mode & 0o777).toString(8);
    expect([modeOf('my.cnf'), modeOf('data')]).toEqual(['600', '700']);
    expect(
      stage.sql('db1', "SELECT COUNT(*) FROM mysql.user WHERE authentication_string IN ('', 'invalid') AND plugin = ''"),
    ).toBe('0');
    const grantsOf = (user: string) => stage.sql('db1', `SHOW GRANTS FOR ${user}@'%'`);
    expect(grantsOf('fleetbeat_monitor')).toMatch(/^GRANT SLAVE MONITOR ON [^\n]* IDENTIFIED BY PASSWORD [^\n]*$/);
    expect(grantsOf('fleetbeat_replica')).toMatch(/^GRANT REPLICATION SLAVE ON [^\n]* IDENTIFIED BY PASSWORD [^\n]*$/);
    expect(grantsOf('balancer')).toBe('GRANT USAGE ON *.* TO `balancer`@`%`');
    expect(stage.sql('db1', 'SELECT @@gtid_binlog_state')).toBe('');
  });

  test('that has died is stopped, and says so; started again, it is whole, and read-only until it is let write', async () => {
    const driver = await installed('db1');
    await perform(driver, ['db1', 'start'], ['db1', 'sync']);
    stage.sql('db1', 'CREATE TABLE mysql.kept SELECT 7 AS a');
    stage.kill('db1');
    await expect.poll(() => look(driver, 'db1')).toMatchObject({ code: 'ER0023', reason: 'its process is gone.' });
    expect(await perform(driver, ['db1', 'start'])).toEqual([null]);
    expect(await look(driver, 'db1')).toMatchObject({ code: '000000', holds: { replicating: false }, reason: 'it is read-only' });
    expect(stage.sql('db1', 'SELECT a FROM mysql.kept')).toBe('7');
  });

  test('that hangs fails with the reason, and is not killed by stop; let go, it is the same run as before', async () => {
    const driver = await installed('db1', { stopMs: 300, answerMs: 1000 });
    await perform(driver, ['db1', 'start'], ['db1', 'sync']);
    const { runId } = await look(driver, 'db1');
    stage.freeze('db1');
    expect(await look(driver, 'db1')).toMatchObject({
      code: 'ER0003',
      holds: { up: false },
      reason: expect.stringContaining('did not answer within 1000 ms'),
    });
    stage.thaw('db1');
    await expect.poll(() => look(driver, 'db1')).toMatchObject({ code: '000000', runId });
    stage.freeze('db1');
    expect(await perform(driver, ['db1', 'stop'])).toMatchObject([
      { code: 'ER0018', message: expect.stringContaining('has been asked to end, and does not') },
    ]);
    stage.thaw('db1');
    await expect.poll(() => look(driver, 'db1')).toMatchObject({ code: 'ER0023' });
  });

  test('that denies its monitor fails with the number; a start gives the monitor its password anew', async () => {
    const before = await stage.service('db1', 0, 'master');
    stage.installed(before);
    await perform(stage.driver(before), ['db1', 'start']);
    const { port } = before.settings as { port: number };
    const driver = stage.driver(await stage.service('db1', 0, 'master', { port, monitor: { password: secret('another one') } }));
    expect(await look(driver, 'db1')).toMatchObject({
      code: 'ER0003',
      holds: { up: false },
      reason: expect.stringContaining('refuses with 1045: Access denied for user'),
    });
    const pid = stage.pid('db1');
    expect(await perform(driver, ['db1', 'start'])).toEqual([null]);
    expect(await look(driver, 'db1')).toMatchObject({ code: '000000' });
    expect(stage.pid('db1')).toBe(pid);
  });

  test('in whose place somebody else listens, or nobody though it runs, fails with what was found', async () => {
    const stranger = await silentServer({ host: loopback(1) });
    const other = await stage.service('db2', 0, 'master', { serverId: 7 });
    stage.installed(other);
    await perform(stage.driver(other), ['db2', 'start']);
    const { port } = other.settings as { port: number };
    const driver = stage.driver(
      await stage.service('db3', 0, 'master', { port: stranger.port, answerMs: 500 }),
      await stage.service('db4', 0, 'master', { port, serverId: 8 }),
    );
    const moved = stage.driver(await stage.service('db2', 0, 'master', { serverId: 7 }));
    const [silent, foreign] = await Promise.all([look(driver, 'db3'), look(driver, 'db4')]);
    expect(await look(moved, 'db2')).toMatchObject({
      code: 'ER0003',
      holds: { installed: true, up: false },
      reason: expect.stringMatching(/^it is running, yet port \d+ refuses connections$/),
    });
    expect(silent).toMatchObject({ code: 'ER0003', reason: expect.stringContaining('did not answer') });
    expect(foreign).toMatchObject({ code: 'ER0003', reason: expect.stringContaining('its id is 7, not 8') });
    await stranger.stop();
  });

  test('that ends as it starts says why, and is stopped', async () => {
    const driver = await installed('db1', { options: { no_such_option: 1 } });
    expect(await perform(driver, ['db1', 'start'])).toMatchObject([
      { code: 'ER0018', message: expect.stringMatching(/it ended .* it start.*unknown variable 'no_such_option=1'/) },
    ]);
    expect(await look(driver, 'db1')).toMatchObject({
      code: 'ER0023',
      reason: expect.stringContaining('its process is gone. '),
    });
  });

  inCi('that does not listen yet is starting', async () => {
    const server = program('slow', 'sleep 1', 'exec mariadbd "$@"');
    const driver = await installed('db1', { startMs: 300, binaries: { server } });
    expect(await perform(driver, ['db1', 'start'])).toMatchObject([
      { code: 'ER0018', message: expect.stringContaining('it is still starting') },
    ]);
    expect(await look(driver, 'db1')).toMatchObject({ code: 'ER0019', holds: { installed: true, up: false } });
    await expect.poll(() => perform(driver, ['db1', 'start'])).toEqual([null]);
    expect(await look(driver, 'db1')).toMatchObject({ code: '000000' });
  });

  test('kills nobody whose pid merely stands in its pid file', async () => {
    const driver = await installed('db1');
    writeFileSync(join(stage.folder, 'db1', 'pid'), `${process.pid}\n`);
    expect(await perform(driver, ['db1', 'stop'])).toEqual([null]);
    expect(await look(driver, 'db1')).toMatchObject({ code: 'ER0023' });
  });

  inCi('is not installed where a program is not, and anew where an installation was cut off', async () => {
    const service = await stage.service('db1', 0, 'master', { binaries: { dump: '/nowhere/mariadb-dump' } });
    expect(await perform(stage.driver(service), ['db1', 'install'])).toMatchObject([
      { code: 'ER0018', message: expect.stringContaining('there is no program /nowhere/mariadb-dump') },
    ]);
    const failing = program('failing', 'echo "[ERROR] no space left" >&2', 'exit 1');
    const cut = stage.driver(await stage.service('db1', 0, 'master', { binaries: { install: failing } }));
    expect(await perform(cut, ['db1', 'install'])).toMatchObject([
      { code: 'ER0018', message: expect.stringContaining('no space left') },
    ]);
    expect(await look(cut, 'db1')).toMatchObject({ code: 'ER0024' });
    const whole = stage.driver(await stage.service('db1', 0, 'master'));
    expect(await perform(whole, ['db1', 'install'])).toEqual([null]);
    expect(await look(whole, 'db1')).toMatchObject({ code: 'ER0023' });
  });

  test('is removed when it is asked for twice, and not by one action that tries twice', async () => {
    const driver = await installed('db1');
    await perform(driver, ['db1', 'start']);
    const again = { code: 'ER0251', message: expect.stringContaining('ask again within 15 minutes to delete') };
    const first = driver.perform([callTo(['db1', 'remove', 'first'])], never);
    expect(await first).toMatchObject([again]);
    expect(await driver.perform([callTo(['db1', 'remove', 'first'])], never)).toMatchObject([again]);
    expect(await look(driver, 'db1')).toMatchObject({ code: '000000' });

    let asked = 0;
    const ended = callTo(['db1', 'remove', 'second'], () => ++asked < 2);
    expect(await driver.perform([ended], never)).toMatchObject([{ code: 'ER0217' }]);
    expect(await look(driver, 'db1')).toMatchObject({ code: 'ER0023' });
    expect(await driver.perform([callTo(['db1', 'remove', 'second'])], never)).toEqual([null]);
    expect(await look(driver, 'db1')).toMatchObject({ code: 'ER0024' });
    expect(existsSync(join(stage.folder, 'db1'))).toBe(false);
    expect(await perform(driver, ['db1', 'remove'])).toEqual([null]);
  });

  inCi('that was started after its removal was asked for has to be asked for twice again', async () => {
    const driver = await installed('db1');
    await perform(driver, ['db1', 'remove']);
    await perform(driver, ['db1', 'start']);
    expect(await perform(driver, ['db1', 'remove'])).toMatchObject([{ code: 'ER0251' }]);
  });

  test('takes over no directory that holds something else, shares its own with nobody, and removes neither', async () => {
    mkdirSync(join(stage.folder, 'db1'));
    writeFileSync(join(stage.folder, 'db1', 'accounts'), 'precious');
    const other = await stage.service('db2', 0, 'master');
    stage.installed(other);
    const driver = stage.driver(
      await stage.service('db1', 0, 'master'),
      await stage.service('db3', 0, 'master', { dataDir: join(stage.folder, 'db2') }),
    );
    const answers = await perform(
      driver,
      ['db1', 'install'],
      ['db1', 'remove'],
      ['db3', 'install'],
      ['db3', 'remove'],
      ['db3', 'start'],
    );
    expect(answers.map((problem) => problem?.message)).toEqual([
      expect.stringContaining('is not empty'),
      undefined,
      expect.stringContaining('belongs to the service db2'),
      expect.stringContaining('belongs to the service db2'),
      expect.stringContaining('is not installed'),
    ]);
    expect(readdirSync(join(stage.folder, 'db1'))).toEqual(['accounts']);
    expect(await look(stage.driver(other), 'db2')).toMatchObject({ code: 'ER0023' });
  });

  inCi('is administered by whoever the shell logs in as, who need not be root', async () => {
    const { uid, gid } = statSync(join(stage.folder, 'template', 'data'));
    const home = join(stage.folder, 'home');
    mkdirSync(home);
    chownSync(home, uid, gid);
    const service = await stage.service('db1', 0, 'master', { dataDir: join(home, 'db1') });
    const driver = overShell([stage.kind], shellOf({ uid, gid, home }));
    driver.bind?.([service]);
    expect(await perform(driver, ['db1', 'install'], ['db1', 'start'], ['db1', 'sync'])).toEqual([null, null, null]);
    expect(await look(driver, 'db1')).toMatchObject({ code: '000000', holds: { replicating: true } });
    expect(await perform(driver, ['db1', 'stop'])).toEqual([null]);
  });

  test('on a host that cannot be asked is unknown, not stopped', async () => {
    const driver = await installed('db1');
    const [host] = stage.hosts;
    await host?.stop();
    try {
      await expect
        .poll(() => look(driver, 'db1'))
        .toMatchObject({ code: 'ER0200', holds: {}, reason: expect.stringContaining('ssh refused') });
    } finally {
      await host?.start();
    }
  });
});
