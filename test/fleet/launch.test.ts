import { asInstant, type Fleet, instanceKey, parseIp, wantedKey } from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { fleetStage } from '../support/fleet-stage.ts';
import { turns } from '../support/turns.ts';

test('a launch that was refused is tried again when due, though nothing is to be seen of its instance yet', async () => {
  const { fleet, simulated, beatUntilIdle } = fleetStage({ world: { instances: [], services: [] } });
  await fleet.beat();
  simulated.faults.once('callRefused');
  const { started } = await fleet.dispatch({ level: 'instances', action: 'launch', group: '10.0.0.7' });
  await beatUntilIdle();
  expect(await fleet.settled(started[0]?.id ?? ('' as never))).toMatchObject({ status: 'done', attempts: 0 });
  expect(simulated.log.filter((effect) => effect.outcome === 'applied').map((effect) => effect.verb)).toEqual(['launch']);
  const ip = parseIp('10.0.0.7');
  if (!ip) throw new TypeError();
  const wanted = fleet.actor('instances', '10.0.0.7');
  expect(wanted.id).toBe(wantedKey('simulated', ip));
  expect(wanted.getSnapshot().hasTag('running')).toBe(true);
});

test('a launch that never shows is overdue in the end, and fails', async () => {
  const forgetful = { perform: async (calls: readonly unknown[]) => calls.map(() => null) };
  const empty = fleetStage({ world: { instances: [], services: [] } });
  const { fleet, beatUntilIdle } = fleetStage({
    policy: { settleMs: 10_000, callAttempts: 1, attempts: 1 },
    fleet: { drivers: { instances: [{ ...empty.simulated.instances, ...forgetful }] }, services: [] },
  });
  await fleet.beat();
  const { started } = await fleet.dispatch({ level: 'instances', action: 'launch', group: '10.0.0.8' });
  await beatUntilIdle();
  expect(await fleet.settled(started[0]?.id ?? ('' as never))).toMatchObject({ status: 'failed' });
});

test.each(['a person has it tried again', 'the same command is given again'] as const)(
  'a launch that was perhaps made is known as such under its old token when %s',
  async (how) => {
    const permits: { readonly token: string; readonly isRepeated: boolean }[] = [];
    const empty = fleetStage({ world: { instances: [], services: [] } });
    const driver: typeof empty.simulated.instances = {
      ...empty.simulated.instances,
      async perform(asked, signal) {
        permits.push(...asked.map(({ permit }) => ({ token: permit.token, isRepeated: permit.isRepeated ?? false })));
        if (permits.length === 1) throw new Error('the answer was lost');
        return empty.simulated.instances.perform(asked, signal);
      },
    };
    const { fleet, beatUntilIdle } = fleetStage({
      policy: { callAttempts: 1, attempts: 1 },
      fleet: { drivers: { instances: [driver] }, services: [], now: () => asInstant(empty.now()) },
    });
    const launch = { level: 'instances', action: 'launch', group: '10.0.0.7' } as const;
    await fleet.beat();
    const { started } = await fleet.dispatch(launch);
    await beatUntilIdle();
    const id = started[0]?.id ?? ('' as never);
    expect(await fleet.settled(id)).toMatchObject({ status: 'failed' });
    if (how === 'a person has it tried again') await fleet.retry(id);
    else await fleet.dispatch(launch);
    for (let beats = 0; beats < 20; beats++) {
      empty.passTime(2000);
      await fleet.beat();
      await turns();
    }
    expect(await fleet.settled(id)).toMatchObject({ status: 'done', history: [{ outcome: 'failed' }, { outcome: 'done' }] });
    const [first] = permits;
    expect(permits).toEqual([
      { token: first?.token, isRepeated: false },
      { token: first?.token, isRepeated: true },
    ]);
  },
);

test('what is said of a repeated launch that is refused says nothing of the first: the next one is a repeated one too', async () => {
  const repeated: boolean[] = [];
  const empty = fleetStage({ world: { instances: [], services: [] } });
  const driver: typeof empty.simulated.instances = {
    ...empty.simulated.instances,
    async perform(asked, signal) {
      repeated.push(...asked.map(({ permit }) => permit.isRepeated ?? false));
      if (repeated.length === 1) throw new Error('the answer was lost');
      if (repeated.length === 2) return [{ subject: '10.0.0.7', code: 'ER0221', message: 'not now' }];
      return empty.simulated.instances.perform(asked, signal);
    },
  };
  const { fleet } = fleetStage({ fleet: { drivers: { instances: [driver] }, services: [], now: () => asInstant(empty.now()) } });
  await fleet.beat();
  await fleet.dispatch({ level: 'instances', action: 'launch', group: '10.0.0.7' });
  for (let beats = 0; beats < 60; beats++) {
    empty.passTime(2000);
    await fleet.beat();
    await turns();
  }
  expect(repeated).toEqual([false, true, true]);
});

describe('two services whose one instance is launched for both, of which the first is given up', () => {
  const SERVICES = [
    { name: 'cache1', ip: '10.0.0.7', mode: 'memcache', status: 'master' },
    { name: 'cache2', ip: '10.0.0.7', mode: 'memcache', status: 'master' },
  ] as const;

  /** A cloud whose first answer to a launch is lost, and which is asked no more than that until it may. */
  function stage() {
    const permits: { readonly token: string; readonly isRepeated: boolean }[] = [];
    const world = fleetStage({ world: { instances: [], services: [] } });
    const gone = new AbortController();
    const driver: typeof world.simulated.instances = {
      ...world.simulated.instances,
      async perform(asked) {
        permits.push(...asked.map(({ permit }) => ({ token: permit.token, isRepeated: permit.isRepeated ?? false })));
        if (permits.length === 1)
          await new Promise((_, reject) => gone.signal.addEventListener('abort', () => reject(new Error('lost'))));
        return asked.map(() => null);
      },
    };
    const fleets = fleetStage({
      policy: { leaseMs: 5000, claimMs: 6000 },
      fleet: {
        drivers: { instances: [driver], services: [world.simulated.services] },
        services: SERVICES,
        now: () => asInstant(world.now()),
      },
    });
    return { ...fleets, passTime: world.passTime, permits, lose: () => gone.abort() };
  }

  const beats = async (fleet: Fleet, passTime: (ms: number) => void, most: number) => {
    for (let beat = 0; beat < most; beat++) {
      passTime(2000);
      await fleet.beat();
      await turns();
    }
  };

  test('is called for again under the token of the first, as a repeated call', async () => {
    const { fleet, permits, passTime, lose } = stage();
    await fleet.beat();
    for (const { name } of SERVICES) await fleet.dispatch({ level: 'services', action: 'start', group: name });
    await beats(fleet, passTime, 2);
    await fleet.dispatch({ level: 'services', action: 'stop', group: 'cache1' });
    await turns();
    lose();
    await beats(fleet, passTime, 10);
    const [first] = permits;
    expect(permits.slice(0, 2)).toEqual([
      { token: first?.token, isRepeated: false },
      { token: first?.token, isRepeated: true },
    ]);
  });

  test('is called for again so by a process that knows only the second', async () => {
    const { fleet, rival, permits, passTime } = stage();
    await fleet.beat();
    for (const { name } of SERVICES) await fleet.dispatch({ level: 'services', action: 'start', group: name });
    await beats(fleet, passTime, 2);
    await fleet.dispatch({ level: 'services', action: 'stop', group: 'cache1' });
    await turns();
    const next = rival({ owner: 'the next life' });
    await beats(next, passTime, 12);
    const [first] = permits;
    expect(permits.slice(0, 2)).toEqual([
      { token: first?.token, isRepeated: false },
      { token: first?.token, isRepeated: true },
    ]);
    await next.stop();
  });
});

test('what waits until an instance is terminated is due once its provider lists it no more, though nobody saw it terminated', async () => {
  const { simulated } = fleetStage();
  const isListed = { value: true };
  const forgetful: typeof simulated.instances = {
    ...simulated.instances,
    async observe(want, signal) {
      const reading = await simulated.instances.observe(want, signal);
      return isListed.value ? reading : { ...reading, items: reading.items.filter(({ id }) => id !== 'i-7fba6203') };
    },
  };
  const { fleet, pass } = fleetStage({ fleet: { drivers: { instances: [forgetful] }, services: [] } });
  await fleet.beat();
  const lane = instanceKey('simulated', 'i-7fba6203');
  const [waits] = await fleet.arm([
    {
      lane,
      when: { on: 'holds', level: 'instances', subject: { key: lane }, state: 'terminated' },
      do: { level: 'instances', subject: { key: lane }, verb: 'terminate' },
    },
  ]);
  await pass(4000);
  expect(fleet.actions()).toMatchObject([{ id: waits?.id, status: 'waiting' }]);
  isListed.value = false;
  await pass(6000);
  expect(fleet.actions()).not.toMatchObject([{ status: 'waiting' }]);
});
