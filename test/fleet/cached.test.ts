import { cached, type Driver, type InstanceFacts, instanceKey, isFleetError, parseIp } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { expect, test } from 'vitest';
import { beats, counted, fleetOn, type World } from '../support/counted-cloud.ts';
import { turns } from '../support/turns.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const never = new AbortController().signal;
const IP = parseIp('10.0.0.2') as NonNullable<ReturnType<typeof parseIp>>;

test('a fleet for which nobody waits reads its cloud once in five minutes', async () => {
  const world = counted();
  const fleet = fleetOn(world, memory({ now: world.now }));
  await fleet.beat();
  await beats(fleet, world, 24 * HOUR, 10_000);
  expect(world.reads.length).toBeGreaterThan(270);
  expect(world.reads.length).toBeLessThanOrEqual(300);
  expect(new Set(world.reads.map(({ caller }) => caller))).toEqual(new Set(['beat']));
}, 60_000);

test('a process that starts takes what another has read of the cloud, unless somebody waits for newer', async () => {
  const world = counted();
  const store = memory({ now: world.now });
  const daemon = fleetOn(world, store);
  await daemon.beat();
  await beats(daemon, world, 4 * MINUTE, 10_000);
  const reader = fleetOn(world, store);
  await reader.beat();
  expect(world.reads).toHaveLength(1);
  expect(reader.views().map(({ state, readAt }) => [state, readAt <= world.now() - 4 * MINUTE])).toEqual([
    ['managed', true],
    ['stopped', true],
  ]);

  const { started } = await daemon.dispatch({ level: 'instances', action: 'start', group: 'i-2' });
  await beats(daemon, world, 5000, 1000);
  const before = world.reads.length;
  expect(before).toBeGreaterThan(1);
  world.pass(10_000);
  const other = fleetOn(world, store);
  await other.beat();
  expect(other.actions()).toMatchObject([{ id: started[0]?.id }]);
  expect(world.reads).toHaveLength(before + 1);
});

test('a process that starts reads the cloud once what another has read is old, or where nobody has', async () => {
  const world = counted();
  const store = memory({ now: world.now });
  await fleetOn(world, store).beat();
  expect(world.reads).toHaveLength(1);
  world.pass(6 * MINUTE);
  await fleetOn(world, store).beat();
  expect(world.reads).toHaveLength(2);
});

test('what is on its way is read every two seconds while somebody waits, and seldom again after that', async () => {
  const world = counted();
  const fleet = fleetOn(world, memory({ now: world.now }));
  await fleet.beat();
  const { started } = await fleet.dispatch({ level: 'instances', action: 'start', group: 'i-2' });
  let beatsTaken = 0;
  while (fleet.actions().length > 0 && beatsTaken++ < 200) await beats(fleet, world, 1000, 1000);
  expect(await fleet.settled(started[0]?.id ?? ('' as never))).toMatchObject({ status: 'done' });
  const awaited = world.reads.filter(({ caller }) => caller === 'waiting');
  expect(awaited.length).toBeGreaterThan(1);
  expect(awaited.length).toBeLessThanOrEqual(Math.ceil(beatsTaken / 2) + 1);
  const before = world.reads.length;
  await beats(fleet, world, 4 * MINUTE, 10_000);
  expect(world.reads.length).toBe(before);
});

test('what waits for a state that does not come is read every half minute, not more', async () => {
  const world = counted();
  const fleet = fleetOn(world, memory({ now: world.now }));
  await fleet.beat();
  await fleet.arm([
    {
      lane: instanceKey('simulated', 'i-2'),
      when: { on: 'holds', level: 'instances', subject: { ip: IP }, state: 'running' },
      do: { level: 'instances', subject: { ip: IP }, verb: 'reboot' },
    },
  ]);
  const before = world.reads.length;
  await beats(fleet, world, 10 * MINUTE, 5000);
  expect(world.reads.length - before).toBeGreaterThanOrEqual(17);
  expect(world.reads.length - before).toBeLessThanOrEqual(21);
});

test('however many ask at once, here and in other processes, the cloud is read once', async () => {
  const world = counted();
  const store = memory({ now: world.now });
  const processes = [cached(world.driver, store), cached(world.driver, store), cached(world.driver, store)];
  const want = { now: world.now(), maxAgeMs: 2000 };
  await Promise.all(processes.flatMap((one) => [one.observe(want, never), one.observe(want, never)]));
  expect(world.reads).toHaveLength(1);
});

test('a reading that is given again says so, and who is not listed in it is missed once', async () => {
  const world = counted();
  const driver = cached(world.driver, memory({ now: world.now }));
  const want = { now: world.now(), maxAgeMs: HOUR };
  expect(await driver.observe(want, never)).not.toHaveProperty('isRemembered');
  expect(await driver.observe(want, never)).toMatchObject({ isRemembered: true });

  const store = memory({ now: world.now });
  let isListed = true;
  const forgetful: World = {
    ...world,
    driver: {
      ...world.driver,
      async observe(asked, signal) {
        const reading = await world.driver.observe(asked, signal);
        return isListed ? reading : { ...reading, items: [] };
      },
    },
  };
  const fleet = fleetOn(forgetful, store);
  await fleet.beat();
  isListed = false;
  await beats(fleet, forgetful, 9 * MINUTE, 10_000);
  expect(fleet.views().map(({ gone }) => gone)).toEqual([false, false]);
  await beats(fleet, forgetful, 5 * MINUTE, 10_000);
  expect(fleet.views().map(({ gone }) => gone)).toEqual([true, true]);
});

test('a read that fails leaves what is remembered, with its age; only who asked for newer is told', async () => {
  const world = counted();
  let isDown = false;
  const driver = cached(
    {
      ...world.driver,
      observe: async (want, signal) => (isDown ? Promise.reject(new Error('down')) : world.driver.observe(want, signal)),
    },
    memory({ now: world.now }),
  );
  await driver.observe({ now: world.now(), maxAgeMs: 0 }, never);
  isDown = true;
  world.pass(MINUTE);
  await expect(driver.observe({ now: world.now(), maxAgeMs: 1000 }, never)).rejects.toThrow('down');
  expect(await driver.get({ now: world.now(), maxAgeMs: HOUR }, never)).toMatchObject({ ageMs: MINUTE });
  expect(await driver.lookUp('i-2', world.now())).toMatchObject({ value: { ip: '10.0.0.2' }, ageMs: MINUTE });
});

test('a cloud that cannot be read is tried twice a minute, or as often as whoever waits wants', async () => {
  const world = counted();
  let isDown = false;
  const driver: Driver<InstanceFacts> = {
    ...world.driver,
    async observe(want, signal) {
      const reading = await world.driver.observe(want, signal);
      return isDown ? Promise.reject(new Error('down')) : reading;
    },
  };
  const store = memory({ now: world.now });
  const fleet = fleetOn({ ...world, driver }, store);
  const blind: unknown[] = [];
  fleet.on('blind', (why) => blind.push(why));
  await fleet.beat();
  isDown = true;
  await beats(fleet, world, 15 * MINUTE, 2000);
  expect(world.reads.length - 1).toBeLessThanOrEqual(21);
  expect(blind.length).toBeGreaterThan(250);
  const before = world.reads.length;
  await fleet.dispatch({ level: 'instances', action: 'start', group: 'i-2' });
  await beats(fleet, world, 20_000, 200);
  expect(world.reads.length - before).toBeGreaterThan(5);
  expect(world.reads.length - before).toBeLessThanOrEqual(11);
  isDown = false;
  await beats(fleet, world, 30_000, 2000);
  expect(fleet.views().map(({ readAt }) => world.now() - readAt < MINUTE)).toEqual([true, true]);
});

test('what the store holds and nobody can read is as good as forgotten', async () => {
  const world = counted();
  const store = memory({ now: world.now });
  const want = { now: world.now(), maxAgeMs: HOUR };
  await store.set('read:simulated', '{"format":1,');
  await cached(world.driver, store).observe(want, never);
  expect(world.reads).toHaveLength(1);
  const { version } = JSON.parse((await store.get('read:simulated')) ?? '');
  for (const piece of ['[{"cloud":', '{}']) {
    await store.set(`read:simulated:${version}:0`, piece);
    expect((await cached(world.driver, store).observe(want, never)).items).toHaveLength(2);
    await store.set('read:simulated', JSON.stringify({ format: 1, version, pieces: 1, readAt: want.now, tookMs: 0 }));
  }
  expect(world.reads).toHaveLength(3);
});

test('ip and id lead to each other without a call', async () => {
  const world = counted();
  const driver = cached(world.driver, memory({ now: world.now }));
  expect(await driver.lookUp({ ip: IP }, world.now())).toBeNull();
  await driver.observe({ now: world.now(), maxAgeMs: 0 }, never);
  const before = world.reads.length;
  expect(await driver.lookUp({ ip: IP }, world.now())).toMatchObject({ value: { id: 'i-2' } });
  expect(await driver.lookUp({ key: instanceKey('simulated', 'i-2') }, world.now())).toMatchObject({ value: { ip: '10.0.0.2' } });
  expect(await driver.lookUp('10.0.0.9', world.now())).toBeNull();
  expect(world.reads.length).toBe(before);
});

test('another process that looks for the first time takes a reading for older than its date says, never for newer', async () => {
  const world = counted();
  const store = memory({ now: world.now });
  await cached(world.driver, store).observe({ now: world.now(), maxAgeMs: 0 }, never);
  const other = cached(world.driver, store, { skewMs: 3000 });
  world.pass(1000);
  expect(await other.get({ now: world.now(), maxAgeMs: 10_000 }, never)).toMatchObject({ ageMs: 4000 });
  expect(world.reads).toHaveLength(1);
  await other.observe({ now: world.now(), maxAgeMs: 3999 }, never);
  expect(world.reads).toHaveLength(2);
});

test('where nobody waits, a stale answer comes at once while the next is read', async () => {
  const world = counted();
  const driver = cached(world.driver, memory({ now: world.now }), { ttlMs: 1000, staleMs: 5000 });
  await driver.observe({ now: world.now(), maxAgeMs: 0 }, never);
  world.pass(4000);
  const stale = await driver.get({ now: world.now(), maxAgeMs: 1000 }, never);
  expect(stale.ageMs).toBe(4000);
  await turns();
  expect(await driver.get({ now: world.now(), maxAgeMs: 1000 }, never)).toMatchObject({ ageMs: 0 });
  world.pass(4000);
  expect(await driver.get({ now: world.now(), maxAgeMs: 1000, caller: 'waiting' }, never)).toMatchObject({ ageMs: 0 });
});

test('numbers that cannot be are refused', () => {
  const world = counted();
  expect(() => cached(world.driver, memory(), { ttlMs: -1 })).toThrow('ttlMs is -1');
  try {
    cached(world.driver, memory(), { skewMs: Number.NaN });
    expect.unreachable();
  } catch (error) {
    expect(isFleetError(error) && error.code).toBe('ER0230');
  }
});
