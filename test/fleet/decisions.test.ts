import {
  type Action,
  asActionId,
  asInstant,
  DEFAULT_POLICY,
  type FleetEvents,
  NOW,
  parseIp,
  type Step,
  serviceKey,
} from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { expect, test } from 'vitest';
import { createDecisions } from '../../src/decisions.ts';
import { createEvents } from '../../src/events.ts';
import { createQueue } from '../../src/queue.ts';
import { fleetStage } from '../support/fleet-stage.ts';
import { turns } from '../support/turns.ts';

const WORLD = {
  services: [
    { name: 'node13', ip: '10.0.0.209', mode: 'mariadb', status: 'slave', state: 'uninstalled' },
    { name: 'node14', ip: '10.0.0.47', mode: 'memcache', status: 'master', state: 'stopped' },
  ],
} as const;
const START13 = { level: 'services', action: 'start', group: 'node13' } as const;
const START14 = { level: 'services', action: 'start', group: 'node14' } as const;
const idOf = (action: Action | undefined) => action?.id ?? asActionId('');

test('a stop ends a start that waits, in the lane of every service on the instance', async () => {
  const { fleet, simulated, pass } = fleetStage({ world: WORLD });
  await fleet.beat();
  await fleet.dispatch(START13);
  const reply = await fleet.dispatch({ level: 'instances', action: 'stop', group: '10.0.0.209' });
  expect(reply.cancelled).toHaveLength(3);
  await pass(60_000);
  expect(fleet.actions()).toEqual([]);
  expect(simulated.world.powerAt('10.0.0.209')).toBe('stopped');
});

test('a stop pre-empts a start that runs', async () => {
  const { fleet, simulated, beatUntilIdle } = fleetStage({ world: WORLD });
  await fleet.beat();
  const start = await fleet.dispatch(START14);
  await turns();
  await fleet.dispatch({ level: 'services', action: 'stop', group: 'node14' });
  await beatUntilIdle();
  expect(await fleet.settled(idOf(start.started[0]))).toMatchObject({ status: 'cancelled' });
  expect(simulated.world.stateOf('node14')).toBe('stopped');
});

test('a failed action holds its lane, says why, and is replaced by the same command', async () => {
  const { fleet, simulated, beatUntilIdle } = fleetStage({ world: WORLD, policy: { attempts: 2, callAttempts: 1 } });
  await fleet.beat();
  simulated.faults.set({ callRefused: 1 });
  const first = await fleet.dispatch(START14);
  await beatUntilIdle();
  const failed = await fleet.settled(idOf(first.started[0]));
  expect(failed).toMatchObject({ status: 'failed', attempts: 2 });
  expect(failed.history.map((attempt) => attempt.outcome)).toEqual(['failed', 'failed']);
  expect(failed.history[0]?.message).toContain('simulated');
  const restart = await fleet.dispatch({ level: 'services', action: 'install', group: 'node14' });
  expect(restart.code).toBe('000000');

  simulated.faults.clear();
  const again = await fleet.dispatch(START14);
  expect(again.started[0]?.token).not.toBe(failed.token);
  await beatUntilIdle();
  expect(await fleet.settled(idOf(again.started[0]))).toMatchObject({ status: 'done' });
});

test('a new command of another kind in a held lane is told what holds it', async () => {
  const { fleet, simulated, beatUntilIdle } = fleetStage({ world: WORLD, policy: { attempts: 1, callAttempts: 1 } });
  await fleet.beat();
  simulated.faults.set({ callRefused: 1 });
  await fleet.dispatch(START13);
  await beatUntilIdle();
  const held = fleet.actions().find((action) => action.status === 'failed');
  const reply = await fleet.dispatch({ level: 'services', action: 'bootstrap_ncc', group: 'node13' });
  expect(reply).toMatchObject({ code: 'ER0207', started: [], deferred: [] });
  expect(reply.rejected[0]?.message).toContain(held?.id);
});

test('retry lets a failed action try again, discard ends it and frees its lane', async () => {
  const { fleet, simulated, beatUntilIdle } = fleetStage({ world: WORLD, policy: { attempts: 1, callAttempts: 1 } });
  await fleet.beat();
  simulated.faults.set({ callRefused: 1 });
  const { started } = await fleet.dispatch(START14);
  await beatUntilIdle();
  await expect(fleet.cancel(idOf(started[0]))).rejects.toMatchObject({ code: 'ER0226' });
  await fleet.retry(idOf(started[0]));
  await beatUntilIdle();
  expect((await fleet.settled(idOf(started[0]))).history).toHaveLength(2);
  expect(await fleet.discard(idOf(started[0]))).toMatchObject({ status: 'cancelled' });
  expect(fleet.actions()).toEqual([]);
});

test('an action that waits too long expires as it says, and extend gives it more time', async () => {
  const { fleet, pass } = fleetStage({ world: WORLD });
  await fleet.beat();
  const ip = parseIp('10.0.0.209');
  if (!ip) throw new TypeError();
  const step: Step = {
    lane: 'services/node13' as Step['lane'],
    when: { on: 'holds', level: 'instances', subject: { ip }, state: 'running' },
    do: { level: 'instances', subject: { ip }, verb: 'bootstrap', upTo: 'bootstrapped' },
  };
  const [drops] = await fleet.arm([step], { expiresInMs: 10_000 });
  const [fails] = await fleet.arm([{ ...step, lane: 'services/other' as Step['lane'] }], {
    expiresInMs: 10_000,
    onExpire: 'fail',
  });
  const [longer] = await fleet.arm([{ ...step, lane: 'services/longer' as Step['lane'] }], { expiresInMs: 10_000 });
  await fleet.extend(idOf(longer), 10_000);
  await pass(14_000);
  expect(await fleet.settled(idOf(drops))).toMatchObject({ status: 'expired' });
  expect(await fleet.settled(idOf(fails))).toMatchObject({ status: 'failed' });
  expect(fleet.actions().map((action) => [action.id, action.status])).toContainEqual([longer?.id, 'waiting']);
  await pass(10_000);
  expect(await fleet.settled(idOf(longer))).toMatchObject({ status: 'expired' });
});

test('what nobody armed is refused at the gate', async () => {
  const { fleet, simulated, pass } = fleetStage({ world: WORLD });
  await fleet.beat();
  const actor = fleet.actor('services', 'node14');
  actor.send({
    type: 'start',
    now: 1_000_000,
    token: 'mine',
    do: { level: 'services', name: 'node14', verb: 'start' },
    begun: null,
  });
  await pass(20_000);
  expect(simulated.log).toEqual([]);
  expect(actor.getSnapshot().hasTag('attention')).toBe(true);
  fleet.release(actor);
});

test('a veto keeps an effect waiting until it is lifted', async () => {
  let allowed = false;
  const { fleet, simulated, pass, beatUntilIdle } = fleetStage({
    world: WORLD,
    fleet: { allow: () => (allowed ? true : 'maintenance') },
  });
  await fleet.beat();
  await fleet.dispatch(START14);
  await pass(20_000);
  expect(simulated.log).toEqual([]);
  allowed = true;
  await beatUntilIdle();
  expect(simulated.world.stateOf('node14')).toBe('up');
});

test('what an unknown id names is refused', async () => {
  const { fleet } = fleetStage({ world: WORLD });
  await fleet.beat();
  for (const decide of [fleet.cancel, fleet.retry, fleet.discard, fleet.settled])
    await expect(decide(asActionId('nobody'))).rejects.toMatchObject({ code: 'ER0225' });
  expect(() => fleet.actor('services', 'nobody')).toThrow(expect.objectContaining({ code: 'ER0203' }));
});

test('waiting for an end can be given up', async () => {
  const { fleet } = fleetStage({ world: WORLD });
  await fleet.beat();
  const { deferred } = await fleet.dispatch(START13);
  const giveUp = new AbortController();
  const settled = fleet.settled(idOf(deferred[0]), giveUp.signal);
  giveUp.abort();
  await expect(settled).rejects.toMatchObject({ name: 'AbortError' });
});

test('an action armed with a sustained trigger fires only when the state has held that long', async () => {
  const { fleet, pass } = fleetStage({ world: WORLD });
  await fleet.beat();
  const [armed] = await fleet.arm([
    {
      lane: 'services/node14' as Step['lane'],
      when: {
        on: 'all',
        of: [
          NOW,
          {
            on: 'holds',
            level: 'instances',
            subject: { key: 'instances/simulated/i-4236ed3c' as never },
            state: 'running',
            forMs: 10_000,
          },
        ],
      },
      do: { level: 'services', name: 'node14', verb: 'start' },
    },
  ]);
  await pass(8000);
  expect(fleet.actions().map((action) => action.status)).toEqual(['waiting']);
  await pass(4000);
  expect(fleet.actions().map((action) => [action.id, action.status])).toEqual([[armed?.id, 'dispatching']]);
});

test('who cancels an action that ends while it is looked up is told how it ended', async () => {
  const now = asInstant(0);
  const events = createEvents<FleetEvents>();
  const told = { written: (action: Action) => events.emit('action', action), found() {}, lost() {}, unfit() {} };
  const queue = createQueue(memory({ now: () => now }), DEFAULT_POLICY, { ...told, isLeader: () => true });
  const [armed] = await queue.arm(
    [{ lane: serviceKey('a'), when: NOW, do: { level: 'services', name: 'a', verb: 'start' } }],
    () => now,
  );
  const find: typeof queue.find = async (id) => {
    const action = queue.get(id) ?? null;
    if (action) await queue.update(action, { status: 'done' });
    return action ?? queue.find(id);
  };
  const decisions = createDecisions({
    queue: { ...queue, find },
    actions: { decide() {}, take() {}, evaluate() {}, lead() {}, yield() {}, stuck: () => [] },
    lease: { fence: 1, held: () => true, renew: async () => true, release: async () => {} },
    gate: { nextBeat: () => new Promise(() => {}) },
    events,
    now: () => now,
  });
  expect(await decisions.cancel(armed?.id ?? asActionId(''))).toMatchObject({ status: 'done' });
});
