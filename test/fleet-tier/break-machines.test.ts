import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BrokenShop, openBrokenShop, PATIENT } from '../support/broken-shop.ts';
import { changeHostKey } from '../support/machines/ssh-service.ts';
import type { Loss } from '../support/machines.ts';
import { requiresMachines } from '../support/servers.ts';

const TEST_MS = 200_000;
/** So much is left of a disk for what is written to it. */
const DISK_MB = 200;
/** What hangs is told of by its own deadline, four seconds, which are seven beats of half a second and a reading, and by the beats around it. */
const HUNG_BEATS = 9;

requiresMachines('a cluster that is kept running, while its machines and their network are broken', () => {
  let stage: BrokenShop;
  beforeAll(async () => {
    stage = await openBrokenShop(DISK_MB);
  }, TEST_MS);
  afterAll(async () => {
    process.stdout.write(`${stage?.table()}\n`);
    await stage?.close();
  });

  const machineOf = (service: string) => stage.shop.machineOf(service);
  const instanceIs = (service: string, word: string) =>
    stage.seen(({ name, state }) => name === machineOf(service).name && state === word);
  const firstOf = (...names: readonly string[]) => stage.seen(({ name, code }) => names.includes(name) && code !== '000000');
  const runOf = (service: string) => stage.viewOf(service)?.mark;
  /** @returns what ends all of it */
  const lose = (...losses: readonly Loss[]) => {
    const healers = losses.map((loss) => stage.shop.machines.lose(loss));
    return () => {
      for (const heal of healers) heal();
    };
  };

  test('the master comes back from a power cut with all that it has acknowledged', { timeout: TEST_MS }, async () => {
    // A power cut of these machines keeps what the kernel was given. That the disk was given it too is for these two.
    expect(await stage.shop.sql('db1', 'SELECT @@sync_binlog, @@innodb_flush_log_at_trx_commit')).toBe('1\t1\n');
    await stage.break('power cut of the master', () => machineOf('db1').off());
    expect((await instanceIs('db1', 'stopped')).beats).toBeLessThanOrEqual(2);
    const { done } = await stage.whole();
    expect(done).toEqual(expect.arrayContaining(['start i101', 'up db1', 'replicating db1']));
  });

  test('no write is refused by a power cut of a replica, which is started again and goes on', { timeout: TEST_MS }, async () => {
    await stage.break('power cut of a replica', () => machineOf('db3').off());
    expect((await instanceIs('db3', 'stopped')).beats).toBeLessThanOrEqual(2);
    const { done, writes } = await stage.whole();
    expect(done).toEqual(expect.arrayContaining(['start i103', 'up db3']));
    expect(writes).toMatchObject({ refused: 0, unknown: 0 });
  });

  test('the other balancer takes over from one whose power was cut, which is started again', { timeout: TEST_MS }, async () => {
    await stage.break('power cut of the active balancer', () => machineOf('lb1').off());
    expect((await instanceIs('lb1', 'stopped')).beats).toBeLessThanOrEqual(2);
    const { done, writes } = await stage.whole();
    expect(done).toEqual(expect.arrayContaining(['start i104', 'up lb1', 'up vip1']));
    expect(writes.longestOutageMs).toBeLessThan(30_000);
  });

  test.each<[string, (ip: string, us: string) => readonly Loss[]]>([
    ['partition of the master', (ip) => [{ from: ip }, { to: ip }]],
    ['the master is heard by nobody', (ip) => [{ from: ip }]],
    ['the fleet alone cannot reach the master', (ip, us) => [{ from: us, to: ip }]],
  ])('%s: it is unreachable, and nothing is done about it but wait', { timeout: TEST_MS }, async (what, losses) => {
    const { ip, name } = machineOf('db1');
    const run = runOf('db1');
    let heal = () => {};
    await stage.break(what, () => {
      heal = lose(...losses(ip, stage.shop.machines.orchestrator));
    });
    expect((await firstOf('db1', name)).beats).toBeLessThanOrEqual(HUNG_BEATS);
    expect((await instanceIs('db1', 'unreachable')).view.code).toBe('ER0241');
    await stage.refused(/^recovery of services\/db1 waiting: it waits until instances 10\.0\.0\.101 is known$/);
    const { refused, unknown } = stage.writer.stretch();
    if (what.startsWith('the fleet alone')) expect({ refused, unknown }).toEqual({ refused: 0, unknown: 0 });
    heal();
    const { done } = await stage.whole();
    expect(done.filter((call) => !call.startsWith('routed'))).toEqual([]);
    expect(runOf('db1')).toBe(run);
  });

  test('a network that loses one packet in ten is borne: nobody is thought lost, and nothing is started anew', {
    timeout: TEST_MS,
  }, async () => {
    const { ip, name } = machineOf('db1');
    const run = runOf('db1');
    let heal = () => {};
    await stage.break('one packet in ten is lost', () => {
      heal = lose({ from: ip, percent: 10 }, { to: ip, percent: 10 });
    });
    const beats = stage.shop.climb.beats();
    await expect.poll(() => stage.shop.climb.beats(), { timeout: 60_000 }).toBeGreaterThan(beats + 12);
    await expect.poll(() => stage.viewOf(name)?.state, PATIENT).toBe('managed');
    heal();
    const { done } = await stage.whole();
    // Two checks of a balancer in a row may be lost too: then that rung is climbed again.
    expect(done.filter((call) => !call.startsWith('routed'))).toEqual([]);
    expect(runOf('db1')).toBe(run);
  });

  test('a master that is frozen is unreachable, and goes on as it was once it is thawed', { timeout: TEST_MS }, async () => {
    const machine = machineOf('db1');
    const run = runOf('db1');
    await stage.break('frozen master', () => machine.freeze());
    expect((await firstOf('db1', machine.name)).beats).toBeLessThanOrEqual(HUNG_BEATS);
    await instanceIs('db1', 'unreachable');
    await stage.refused(/^recovery of services\/db1 waiting: it waits until instances 10\.0\.0\.101 is known$/);
    machine.thaw();
    await stage.whole();
    expect(runOf('db1')).toBe(run);
  });

  test('a host with another host key is not believed, nor acted on, and its database serves on', {
    timeout: TEST_MS,
  }, async () => {
    const run = runOf('db2');
    let restore = async () => {};
    await stage.break('sshd with a new host key', async () => {
      restore = await changeHostKey(machineOf('db2'));
    });
    const { view, beats } = await instanceIs('db2', 'unreachable');
    expect(view.code).toBe('ER0244');
    // Two misses, and the one whose connection was cut.
    expect(beats).toBeLessThanOrEqual(4);
    await stage.refused(/^recovery of services\/nosql1 waiting: it waits until instances 10\.0\.0\.102 is known$/);
    await restore();
    const { done, writes } = await stage.whole();
    expect(done).toEqual([]);
    expect(runOf('db2')).toBe(run);
    expect(writes).toMatchObject({ refused: 0, unknown: 0 });
  });

  test('a master whose disk is full fails, is not started in vain, and takes writes again once there is room', {
    timeout: TEST_MS,
  }, async () => {
    const machine = machineOf('db1');
    await stage.break('full disk of the master', async () => {
      await machine.run('sh', '-c', 'dd if=/dev/zero of=/ballast bs=1M 2>/dev/null || :');
    });
    const { view, beats } = await stage.seen(({ name, state }) => name === 'db1' && state === 'failing');
    expect(view).toMatchObject({ code: 'ER0270', reason: expect.stringMatching(/^its disk is full: \d+ KiB are left/) });
    // It has to be seen twice without a commit between.
    expect(beats).toBeLessThanOrEqual(4);
    await stage.refused(/^recovery of services\/db1 waiting: its disk is full/);

    await stage.shop.fleet.dispatch({ level: 'services', action: 'start', group: 'db1' });
    await stage.refused(/^start of services\/db1: ER0270 .*No space left on device/);
    for (const { id, lane } of stage.shop.fleet.actions()) if (lane === 'services/db1') await stage.shop.fleet.cancel(id);

    await machine.run('rm', '/ballast');
    await expect.poll(() => stage.viewOf('db1')?.reason, PATIENT).toBe('its disk was full: its writes go on within a minute');
    // Whoever does not want to wait for that minute ends it.
    await machine.run('sh', '-c', 'kill -KILL "$(cat /var/lib/fleetbeat/db1/pid)"');
    const { done } = await stage.whole();
    expect(done).toEqual(expect.arrayContaining(['up db1', 'replicating db1']));
  });

  test('every replica has the same rows as the master in the end', { timeout: TEST_MS }, () => stage.alike());
});
