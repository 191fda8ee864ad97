import { asInstant, createFleet, type Fleet } from 'fleetbeat';
import { expect, test } from 'vitest';
import { fleetStage, pushed } from '../support/fleet-stage.ts';
import { turns } from '../support/turns.ts';

const STOPPED = {
  services: [{ name: 'node14', ip: '10.0.0.47', mode: 'memcache', status: 'master', state: 'stopped' }],
} as const;
const START = { level: 'services', action: 'start', group: 'node14' } as const;

async function beats(fleet: Fleet, count = 3): Promise<void> {
  for (let i = 0; i < count; i++) {
    await fleet.beat();
    await turns();
  }
}

test('a fleet warms up before it leads, and nothing is done before everything was read', async () => {
  const { fleet, simulated } = fleetStage({ world: STOPPED });
  simulated.faults.set({ observeFailed: 1 });
  await beats(fleet);
  expect(fleet.role).toBe('warming');
  await fleet.arm([
    { lane: 'services/node14' as never, when: { on: 'now' }, do: { level: 'services', name: 'node14', verb: 'start' } },
  ]);
  await beats(fleet);
  expect(simulated.log).toEqual([]);
  simulated.faults.clear();
  await beats(fleet);
  expect(fleet.role).toBe('leader');
  expect(simulated.log.map((effect) => effect.verb)).toEqual(['start']);
});

test('a rival stands by, arms for the leader, and hears the outcome', async () => {
  const { fleet, simulated, pass, rival } = fleetStage({ world: STOPPED });
  await fleet.beat();
  const other = rival();
  await other.beat();
  expect([fleet.role, other.role]).toEqual(['leader', 'standby']);
  const reply = await other.dispatch(START);
  const last = reply.started.at(-1);
  const settled = other.settled(last?.id as never);
  expect(simulated.log).toEqual([]);
  for (let i = 0; i < 40 && other.actions().length > 0; i++) {
    await pass(2000);
    await beats(other, 1);
  }
  expect(await settled).toMatchObject({ status: 'done' });
  expect(simulated.world.stateOf('node14')).toBe('up');
});

test('a rival cancels what the leader has begun, and the leader ends it', async () => {
  const { fleet, pass, rival } = fleetStage({ world: STOPPED });
  await fleet.beat();
  const reply = await fleet.dispatch(START);
  await turns();
  const other = rival();
  await other.beat();
  for (const action of reply.started) await other.cancel(action.id);
  await pass(4000);
  expect(fleet.actions()).toEqual([]);
  expect(await fleet.settled(reply.started[0]?.id as never)).toMatchObject({ status: 'cancelled' });
  const service = fleet.actor('services', 'node14');
  expect(service.getSnapshot().hasTag('busy')).toBe(false);
});

test('a rival takes over once the leader has been silent for its lease, and goes on with what was begun', async () => {
  const { fleet, simulated, rival, passTime } = fleetStage({ world: STOPPED, policy: { leaseMs: 5000 } });
  await fleet.beat();
  const reply = await fleet.dispatch(START);
  await turns();
  const other = rival();
  await other.beat();
  expect(other.role).toBe('standby');
  // The first leader beats no more, as a process that hangs.
  let rounds = 0;
  while (other.role !== 'leader' && rounds < 10) {
    await passAlone(2000);
    rounds++;
  }
  expect(rounds * 2000).toBeLessThanOrEqual(5000 + 2 * 2000);
  expect(fleet.role).toBe('standby');
  while (other.actions().length > 0) await passAlone(2000);
  expect(await other.settled(reply.started.at(-1)?.id as never)).toMatchObject({ status: 'done' });
  expect(simulated.log.filter((effect) => effect.outcome === 'applied' && effect.verb === 'start')).toHaveLength(1);

  async function passAlone(ms: number): Promise<void> {
    passTime(ms);
    await beats(other, 1);
  }
});

test('what a leader is told to cancel just before it loses its lease and its store is cancelled by its successor', async () => {
  const { fleet, passTime, store, rival } = fleetStage({ world: STOPPED, policy: { leaseMs: 5000 } });
  await fleet.stop();
  let isAway = false;
  const away: typeof store.swap = async (...given) => {
    if (isAway) throw new Error('no route to the store');
    return store.swap(...given);
  };
  const leader = rival({ store: { ...store, swap: away } });
  await beats(leader, 1);
  const [started] = (await leader.dispatch(START)).started;
  await turns();
  const other = rival();
  await beats(other, 1);
  isAway = true;
  const cancelled = leader.cancel(started?.id as never);
  await turns();
  passTime(6000);
  await beats(other, 2);
  expect(other.role).toBe('leader');
  isAway = false;
  await beats(leader, 1);
  expect(await cancelled).toMatchObject({ status: 'cancelled' });
  for (let i = 0; i < 5; i++) {
    passTime(2000);
    await beats(other, 1);
  }
  expect(other.actions()).toEqual([]);
});

test('a stale leader performs nothing: its permits are worth nothing, its gate is shut', async () => {
  const { fleet, simulated, rival, passTime } = fleetStage({ world: STOPPED, policy: { leaseMs: 5000 } });
  await fleet.beat();
  const other = rival();
  await other.beat();
  passTime(6000);
  await beats(other, 2);
  expect([fleet.role, other.role]).toEqual(['standby', 'leader']);
  await fleet.dispatch(START);
  await turns();
  expect(simulated.log).toEqual([]);
});

test('a fleet that stops gives its lease back at once', async () => {
  const { fleet, rival } = fleetStage();
  await fleet.beat();
  await fleet.stop();
  const other = rival();
  await other.beat();
  expect(other.role).toBe('leader');
});

test('a stopped fleet says so', async () => {
  const { fleet } = fleetStage();
  await fleet.stop();
  await expect(fleet.beat()).rejects.toMatchObject({ code: 'ER0232' });
  await expect(fleet.dispatch(START)).rejects.toMatchObject({ code: 'ER0232' });
});

test('an embedded fleet without drivers leads on what is pushed to it', async () => {
  const { store } = fleetStage();
  const fleet = createFleet({ store });
  const item = { cloud: 'c', id: 'i-1', ip: null, readAt: asInstant(1), power: { state: 'stopped' as const, raw: 'off' } };
  const changes = await fleet.observe(
    pushed({ seq: 1, instances: { items: [item], readAt: asInstant(1), complete: true, problems: [] } }),
  );
  expect(changes.map((change) => [change.kind, change.to.state])).toEqual([['appeared', 'stopped']]);
  expect(fleet.role).toBe('leader');
});

test('a fleet may be stopped in the middle of a beat, which then ends without a fault', async () => {
  const { rival, simulated } = fleetStage();
  const never = { ...simulated.instances, observe: () => new Promise<never>(() => {}) };
  const fleet = rival({ drivers: { instances: [never] } });
  const faults: unknown[] = [];
  fleet.on('fault', (fault) => faults.push(fault));
  const beat = fleet.beat();
  await turns();
  await fleet.stop();
  expect(await beat).toEqual([]);
  expect(faults).toEqual([]);
});
