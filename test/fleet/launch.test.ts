import { instanceKey, parseIp, wantedKey } from 'fleetbeat';
import { expect, test } from 'vitest';
import { fleetStage } from '../support/fleet-stage.ts';

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
