import { type Batch, type Change, type Doctor, type Driver, type InstanceFacts, isFleetError } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { expect, test } from 'vitest';
import { fleetStage } from '../support/fleet-stage.ts';
import { turns } from '../support/turns.ts';

const shown = ({ kind, from, to }: Change) => [kind, to.name, from?.state ?? null, to.state];

/** A driver whose readings leave one instance out. */
const without = (driver: Driver<InstanceFacts>, id: string): Driver<InstanceFacts> => ({
  ...driver,
  async observe(want, signal) {
    const reading = await driver.observe(want, signal);
    return { ...reading, items: reading.items.filter((facts) => facts.id !== id) };
  },
});

/** A doctor that remembers what it was told. */
function scribe(name = 'scribe') {
  const batches: Batch[] = [];
  const doctor: Doctor = {
    name,
    deliver: async (batch) => {
      batches.push(batch);
      return undefined;
    },
  };
  return { doctor, batches, told: () => batches.flatMap((batch) => batch.changes.map(shown)) };
}

test('what happened while no fleet ran is told by the first beat of the next one, and nothing else', async () => {
  const { fleet, simulated, rival, passTime } = fleetStage();
  await fleet.beat();
  await fleet.stop();
  simulated.world.power('10.0.0.102', 'off');
  passTime(3_600_000 * 2);

  const { doctor, told } = scribe();
  const next = rival({ doctors: [doctor] });
  const changes = await next.beat();
  await turns(20);
  expect(changes.map(shown)).toContainEqual(['changed', 'i-987388e6', 'managed', 'stopped']);
  expect(changes.every((change) => change.kind === 'changed' && change.to.ip === '10.0.0.102')).toBe(true);
  expect(told()).toEqual(changes.map(shown));
});

test('what a standby saw while its leader was dead is told by it once it leads', async () => {
  const { fleet, simulated, rival, passTime } = fleetStage();
  await fleet.beat();
  await turns();
  simulated.world.power('10.0.0.102', 'off');
  const { doctor, told } = scribe();
  const next = rival({ doctors: [doctor] });
  for (let beats = 0; beats < 30 && next.role !== 'leader'; beats++) {
    passTime(2000);
    await next.beat();
    await turns(20);
  }
  expect(next.role).toBe('leader');
  expect(told()).toContainEqual(['changed', 'i-987388e6', 'managed', 'stopped']);
  expect(told().filter(([, name]) => name === 'i-987388e6')).toHaveLength(1);
});

test('no heartbeat is stored that shows what could not be stored for the doctors', async () => {
  const { doctor, told } = scribe();
  const { fleet, simulated, store, rival, passTime } = fleetStage({
    policy: { storeEveryMs: 1000 },
    fleet: { doctors: [doctor] },
  });
  await fleet.beat();
  await turns(20);
  const increment = store.increment;
  Object.assign(store, { increment: () => Promise.reject(new Error('the store is away')) });
  simulated.world.power('10.0.0.102', 'off');
  passTime(2000);
  await fleet.beat();
  await turns(20);
  Object.assign(store, { increment });

  const next = rival({ doctors: [doctor] });
  for (let beats = 0; beats < 30 && next.role !== 'leader'; beats++) {
    passTime(2000);
    await next.beat();
    await turns(20);
  }
  expect(told()).toContainEqual(['changed', 'i-987388e6', 'managed', 'stopped']);
});

test('nothing fires from what is only recalled of an earlier life', async () => {
  const instances = [{ id: 'i-a', ip: '10.1.0.1', state: 'running' }] as const;
  const services = [{ name: 'cache', ip: '10.1.0.1', mode: 'memcache', status: 'master', state: 'stopped' }] as const;
  const { fleet, simulated, rival, passTime } = fleetStage({ world: { instances, services } });
  await fleet.beat();
  await fleet.stop();

  const next = rival({ drivers: { instances: [without(simulated.instances, 'i-a')], services: [simulated.services] } });
  const [armed] = await next.arm([
    {
      lane: 'services/cache' as never,
      when: { on: 'holds', level: 'instances', subject: { key: 'instances/simulated/i-a' as never }, state: 'ssh-up' },
      do: { level: 'services', name: 'cache', verb: 'start' },
    },
  ]);
  passTime(10_000);
  await next.beat();
  await turns();
  expect(next.role).toBe('leader');
  expect(next.views().find(({ name }) => name === 'i-a')).toMatchObject({ state: 'managed' });
  expect(next.actions()).toMatchObject([{ id: armed?.id, status: 'waiting', history: [] }]);
  expect(simulated.log).toEqual([]);
});

test('a chart of an entity that has not changed over a restart is where its view is', async () => {
  const { fleet, rival } = fleetStage();
  await fleet.beat();
  await fleet.stop();
  const next = rival();
  expect(await next.beat()).toEqual([]);
  expect(next.actor('instances', '10.0.0.102').getSnapshot().hasTag('managed')).toBe(true);
  expect(next.actor('services', 'nosql1').getSnapshot().hasTag('up')).toBe(true);
});

test('an instance that was gone before the restart, or goes while no fleet runs, is told as vanished', async () => {
  const instances = [
    { id: 'i-a', ip: '10.1.0.1', state: 'running' },
    { id: 'i-b', ip: '10.1.0.2', state: 'running' },
  ] as const;
  const { fleet, simulated, rival, passTime } = fleetStage({ world: { instances, services: [] } });
  await fleet.beat();
  await fleet.dispatch({ level: 'instances', action: 'terminate', group: 'i-a' });
  await turns();
  await fleet.stop();
  passTime(3_600_000 * 3);
  simulated.world.nextAt();
  const next = rival();
  const kinds: string[] = [];
  for (let i = 0; i < 4; i++) for (const change of await next.beat()) if (change.to.name === 'i-a') kinds.push(change.kind);
  expect(kinds.at(-1)).toBe('vanished');
});

test('what a doctor answers is done, once', async () => {
  const world = {
    services: [{ name: 'node14', ip: '10.0.0.47', mode: 'memcache', status: 'master', state: 'stopped' }],
  } as const;
  let answers = 0;
  const healer: Doctor = {
    name: 'healer',
    deliver: async ({ changes }) => {
      if (!changes.some(({ to }) => to.name === 'node14' && to.state === 'stopped')) return undefined;
      answers++;
      return [{ level: 'services', action: 'start', group: 'node14' }];
    },
  };
  const { fleet, simulated, pass } = fleetStage({ world, fleet: { doctors: [healer] } });
  await pass(20_000);
  expect(answers).toBe(1);
  expect(simulated.world.stateOf('node14')).toBe('up');
  expect(simulated.log.filter((effect) => effect.outcome === 'applied').map((effect) => effect.verb)).toEqual(['start']);
  expect(fleet.actions()).toEqual([]);
});

test('a doctor that never takes its batch has it parked, told and listed; a beat does not wait for it', async () => {
  const broken: Doctor = {
    name: 'broken',
    deliver: async () => {
      throw new Error('no');
    },
  };
  const { doctor, told } = scribe('other');
  const { fleet, pass } = fleetStage({
    policy: { deliverAttempts: 2, backoffMs: 1000, backoffMaxMs: 1000 },
    fleet: { doctors: [broken, doctor] },
  });
  const parked: string[] = [];
  fleet.on('parked', ({ id }) => parked.push(id));
  await pass(20_000);
  expect(told()).toHaveLength(17);
  expect(await fleet.parked()).toMatchObject([
    { doctor: 'broken', attempts: 2, changes: 5 },
    { doctor: 'broken', attempts: 2, changes: 12 },
  ]);
  expect(parked).toEqual((await fleet.parked()).map(({ id }) => id));
  for (const id of parked) await fleet.dismiss(id);
  expect(await fleet.parked()).toEqual([]);
  await expect(fleet.redeliver('broken:nothing')).rejects.toSatisfy(isFleetError);
});

test('a store that had lost what it held, and is whole again, is told as lost', async () => {
  const listeners = new Set<(reason: string) => void>();
  const store = Object.assign(memory(), {
    onLost(listener: (reason: string) => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  });
  const { fleet } = fleetStage({ fleet: { store } });
  const lost: unknown[] = [];
  fleet.on('storeLost', ({ error }) => lost.push(error));
  for (const listener of listeners) listener('it was flushed');
  expect(lost).toEqual([expect.objectContaining({ code: 'ER0228', detail: 'it was flushed' })]);
  await fleet.stop();
  expect(listeners.size).toBe(0);
});
