import type { Fleet, FleetOptions, Policy } from 'fleetbeat';
import { expect, test } from 'vitest';
import { type FleetStage, fleetStage } from '../support/fleet-stage.ts';
import { turns } from '../support/turns.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** A cluster of memcacheds, each on a machine of its own. */
const clusterOf = (count: number) => ({
  instances: Array.from({ length: count }, (_, i) => ({ id: `i-${i}`, ip: `10.0.1.${i + 1}`, state: 'running' as const })),
  services: Array.from({ length: count }, (_, i) => ({
    name: `cache${i}`,
    ip: `10.0.1.${i + 1}`,
    mode: 'memcache',
    status: 'master' as const,
    state: 'up' as const,
    cluster: 'shop',
  })),
});

function keeping(count: number, policy: Partial<Policy> = {}, fleet: Partial<FleetOptions> = {}): FleetStage {
  return fleetStage({ world: clusterOf(count), policy, fleet: { recover: { services: 'all' }, ...fleet } });
}

const stateOf = async (fleet: Fleet, name = 'cache0') =>
  (await fleet.recovery()).find(({ key }) => key === `services/${name}`)?.state;

const startsOf = ({ simulated }: FleetStage, name = 'cache0') =>
  simulated.log.filter(({ verb, outcome, subject }) => verb === 'start' && outcome === 'applied' && subject.includes(name))
    .length;

/** What is told of the first service from now on. */
function toldOf({ fleet }: FleetStage): readonly string[] {
  const told: string[] = [];
  fleet.on('recovery', ({ key, state, code }) => key === 'services/cache0' && told.push(`${state} ${code}`));
  return told;
}

/** Beats until a service is in a state. */
async function until({ fleet, pass }: FleetStage, state: string, name?: string, most = 600): Promise<void> {
  for (let beats = 0; beats < most && (await stateOf(fleet, name)) !== state; beats++) await pass(2 * SECOND);
  expect(await stateOf(fleet, name)).toBe(state);
}

/** Beats of another fleet than the stage's own. */
async function beatsOf(fleet: Fleet, { passTime }: FleetStage, count: number): Promise<void> {
  for (let beats = 0; beats < count; beats++) {
    passTime(2 * SECOND);
    await fleet.beat();
    await turns();
  }
}

test('nothing is recovered unless somebody asks for it', async () => {
  const stage = fleetStage({ world: clusterOf(3) });
  await stage.pass(10 * SECOND);
  stage.simulated.world.crash('cache0');
  await stage.pass(2 * MINUTE);
  expect(stage.simulated.log).toEqual([]);
  expect(await stage.fleet.recovery()).toEqual([]);
});

test('a service that crashes is recovered once its loss has lasted, and no sooner', async () => {
  const stage = keeping(3, { dwellMs: 20 * SECOND });
  const told: string[] = [];
  stage.fleet.on('recovery', ({ key, state, code }) => told.push(`${key} ${state} ${code}`));
  await stage.pass(10 * SECOND);
  stage.simulated.world.crash('cache0');
  await stage.pass(18 * SECOND);
  expect(await stateOf(stage.fleet)).toBe('suspect');
  expect(stage.simulated.log).toEqual([]);
  await stage.pass(MINUTE);
  expect(stage.simulated.world.stateOf('cache0')).toBe('up');
  expect(told).toEqual(['suspect ER0248', 'acting ER0255', 'well 000000'].map((state) => `services/cache0 ${state}`));
});

test('a loss that does not last is no reason to act', async () => {
  const stage = keeping(3, { dwellMs: 20 * SECOND });
  await stage.pass(10 * SECOND);
  for (let flaps = 0; flaps < 5; flaps++) {
    stage.simulated.world.setSsh('10.0.1.1', 'timeout');
    await stage.pass(8 * SECOND);
    stage.simulated.world.setSsh('10.0.1.1', 'up');
    await stage.pass(10 * SECOND);
  }
  expect(stage.simulated.log).toEqual([]);
  expect(await stateOf(stage.fleet)).toBe('well');
});

test('a machine that has lost its power is started, and what was on it with it', async () => {
  const stage = keeping(3);
  await stage.pass(10 * SECOND);
  stage.simulated.world.power('10.0.1.1', 'off');
  await until(stage, 'acting');
  await until(stage, 'well');
  expect(stage.simulated.world.powerAt('10.0.1.1')).toBe('running');
  expect(stage.simulated.world.stateOf('cache0')).toBe('up');
});

test('what fails again and again is held down ever longer, and given up until somebody acknowledges it, over restarts', async () => {
  const stage = keeping(3, { dwellMs: 0, dwellReadings: 1, recoveries: 3, holdDownMs: MINUTE, leaseMs: 5000 });
  const problems: string[] = [];
  stage.fleet.on('problem', ({ code, subject }) => problems.push(`${code} ${subject}`));
  await stage.pass(10 * SECOND);
  const waits: number[] = [];
  for (let round = 1; round <= 3; round++) {
    stage.simulated.world.crash('cache0');
    const crashedAt = stage.now();
    await until(stage, 'acting');
    waits.push(stage.now() - crashedAt);
    await until(stage, 'well');
    expect(startsOf(stage)).toBe(round);
  }
  expect(waits[0]).toBeLessThan(10 * SECOND);
  expect(waits[1]).toBeGreaterThan(45 * SECOND);
  expect(waits[2]).toBeGreaterThan(105 * SECOND);

  stage.simulated.world.crash('cache0');
  await until(stage, 'gave-up');
  await stage.pass(60 * MINUTE, 20 * SECOND);
  expect(startsOf(stage)).toBe(3);
  expect(problems).toEqual(['ER0246 services/cache0']);

  await stage.fleet.stop();
  const next = stage.rival();
  await beatsOf(next, stage, 20);
  expect(next.role).toBe('leader');
  expect(await stateOf(next)).toBe('gave-up');
  expect(startsOf(stage)).toBe(3);
  const told: string[] = [];
  next.on('recovery', ({ state, reason }) => told.push(`${state} ${reason}`));
  // Any process on the store may say so.
  await stage.rival().acknowledge('cache0');
  await beatsOf(next, stage, 30);
  expect(stage.simulated.world.stateOf('cache0')).toBe('up');
  expect(startsOf(stage)).toBe(4);
  expect(told.slice(0, 2)).toEqual(['unseen acknowledged, and not looked at since', 'acting recovering: stopped']);
});

test('what was well long enough is recovered as if for the first time', async () => {
  const stage = keeping(3, { dwellMs: 0, dwellReadings: 1, recoveries: 1, wellMs: 10 * MINUTE });
  await stage.pass(10 * SECOND);
  for (let round = 1; round <= 3; round++) {
    stage.simulated.world.crash('cache0');
    await until(stage, 'acting');
    await until(stage, 'well');
    await stage.pass(11 * MINUTE, 10 * SECOND);
    expect(startsOf(stage)).toBe(round);
  }
});

test('what holds a service back is told anew where that changes', async () => {
  const stage = keeping(3, { dwellMs: 0, dwellReadings: 1, radiusLeast: 1, radiusPercent: 0 });
  await stage.pass(10 * SECOND);
  const told = toldOf(stage);
  for (const i of [0, 1]) stage.simulated.world.crash(`cache${i}`);
  await stage.pass(10 * SECOND);
  await stage.fleet.maintain({ subject: 'shop', owner: 'anna', reason: 'new disks' });
  await stage.pass(10 * SECOND);
  expect(told).toEqual(['waiting ER0239', 'waiting ER0238']);
});

test('where more of a cluster is lost at once than may be acted on, it is only observed, and that is said once', async () => {
  const stage = keeping(8, { dwellMs: 10 * SECOND });
  const problems: string[] = [];
  stage.fleet.on('problem', ({ code, message }) => problems.push(`${code} ${message}`));
  await stage.pass(10 * SECOND);
  for (const i of [0, 1, 2]) stage.simulated.world.crash(`cache${i}`);
  await stage.pass(5 * MINUTE);
  expect(stage.simulated.log).toEqual([]);
  expect(problems).toEqual([
    'ER0239 cluster shop: 3 losses at once among 8 services, at most 2 are acted on; nothing of it is recovered',
  ]);
  expect((await stage.fleet.recovery()).find(({ key }) => key === 'services/cache0')).toMatchObject({
    state: 'waiting',
    reason: expect.stringContaining('observed only'),
  });
  // One comes back by a person's doing; what is left may be acted on.
  await stage.fleet.dispatch({ level: 'services', action: 'start', group: 'cache2' });
  await stage.pass(4 * MINUTE);
  expect([0, 1, 2].map((i) => stage.simulated.world.stateOf(`cache${i}`))).toEqual(['up', 'up', 'up']);
});

test('one service of a cluster is recovered after the other', async () => {
  const stage = keeping(4, { dwellMs: 10 * SECOND });
  await stage.pass(10 * SECOND);
  const told: string[] = [];
  stage.fleet.on('recovery', ({ state, code, reason }) => told.push(`${state} ${code} ${reason}`));
  for (const i of [0, 1]) stage.simulated.world.crash(`cache${i}`);
  let most = 0;
  for (let beats = 0; beats < 100; beats++) {
    await stage.pass(2 * SECOND);
    const acting = (await stage.fleet.recovery()).filter(({ state }) => state === 'acting');
    most = Math.max(most, acting.length);
  }
  expect(most).toBe(1);
  expect(told).toContain('waiting ER0256 another recovery of its cluster is under way');
  expect([0, 1].map((i) => stage.simulated.world.stateOf(`cache${i}`))).toEqual(['up', 'up']);
});

test('what a person has stopped stays stopped, also for the next leader, until a person starts it', async () => {
  const stage = keeping(3, { dwellMs: 0, dwellReadings: 1, leaseMs: 5000 });
  await stage.pass(10 * SECOND);
  await stage.fleet.dispatch({ level: 'services', action: 'stop', group: 'cache0' });
  await stage.pass(2 * MINUTE);
  expect(stage.simulated.world.stateOf('cache0')).toBe('stopped');
  expect((await stage.fleet.recovery())[0]).toMatchObject({ state: 'off', reason: 'not to run since services stop cache0' });
  await stage.fleet.dispatch({ level: 'instances', action: 'stop', group: '10.0.1.2' });
  await stage.pass(5 * MINUTE);
  expect(stage.simulated.world.powerAt('10.0.1.2')).toBe('stopped');

  await stage.fleet.stop();
  const next = stage.rival();
  await beatsOf(next, stage, 30);
  expect([await stateOf(next, 'cache0'), await stateOf(next, 'cache1'), await stateOf(next, 'cache2')]).toEqual([
    'off',
    'off',
    'well',
  ]);
  await next.dispatch({ level: 'instances', action: 'start', group: '10.0.1.2' });
  await beatsOf(next, stage, 150);
  expect([stage.simulated.world.stateOf('cache0'), stage.simulated.world.stateOf('cache1')]).toEqual(['stopped', 'up']);
});

test('what has never been well is not brought up by itself', async () => {
  const world = clusterOf(2);
  const services = world.services.map((service) => ({ ...service, state: 'uninstalled' as const }));
  const stage = fleetStage({ world: { ...world, services }, fleet: { recover: { clusters: ['shop'] } } });
  await stage.pass(2 * MINUTE);
  expect(stage.simulated.log).toEqual([]);
  expect(await stage.fleet.recovery()).toMatchObject([{ state: 'off', reason: 'it has never been well; start it once' }, {}]);
});

test('what is in maintenance is not recovered, and is once that has ended', async () => {
  const stage = keeping(3, { dwellMs: 0, dwellReadings: 1 });
  await stage.pass(10 * SECOND);
  await stage.fleet.maintain({ subject: 'shop', owner: 'anna', reason: 'new disks' });
  const told = toldOf(stage);
  stage.simulated.world.crash('cache0');
  await stage.pass(5 * MINUTE);
  expect(stage.simulated.log).toEqual([]);
  expect((await stage.fleet.recovery())[0]).toMatchObject({ state: 'waiting', reason: expect.stringContaining('by anna') });
  expect(told).toEqual(['waiting ER0238']);
  await stage.fleet.resume('shop');
  await stage.pass(MINUTE);
  expect(stage.simulated.world.stateOf('cache0')).toBe('up');
});

test('who only asks and commands recovers nothing where it leads, and still writes down what is not to run', async () => {
  const stage = keeping(3, { dwellMs: 0, dwellReadings: 1, leaseMs: 5000 }, { recover: { services: 'all', acts: false } });
  await stage.pass(10 * SECOND);
  stage.simulated.world.crash('cache0');
  await stage.pass(MINUTE);
  expect(stage.fleet.role).toBe('leader');
  expect(stage.simulated.log).toEqual([]);
  await stage.fleet.dispatch({ level: 'services', action: 'stop', group: 'cache1' });
  await stage.pass(MINUTE);
  await stage.fleet.stop();

  const daemon = stage.rival({ recover: { services: 'all' } });
  await beatsOf(daemon, stage, 60);
  expect(await stateOf(daemon, 'cache1')).toBe('off');
  expect(stage.simulated.world.stateOf('cache1')).toBe('stopped');
});

test('since when something has been lost is told over the recoveries that do not bring it back, and by others on the store', async () => {
  let isLet = false;
  const policy = { dwellMs: 10 * SECOND, dwellReadings: 1, recoveryMs: 20 * SECOND, holdDownMs: 10 * SECOND };
  const stage = keeping(3, policy, { recover: { services: 'all' }, allow: () => isLet || 'not yet' });
  const states: string[] = [];
  stage.fleet.on('recovery', ({ state, code }) => states.push(`${state} ${code}`));
  await stage.pass(10 * SECOND);
  stage.simulated.world.crash('cache0');
  await until(stage, 'suspect');
  const lostSince = stage.now();
  const asked = stage.rival();
  const told = async () => (await asked.recovery())[0];
  expect(await told()).toMatchObject({ state: 'suspect', since: lostSince, lostSince, next: lostSince + 10 * SECOND });
  while (states.filter((state) => state === 'acting ER0255').length < 3) await stage.pass(2 * SECOND);
  expect(states).toContain('held-down ER0249');
  expect(await told()).toMatchObject({ state: 'acting', lostSince });
  isLet = true;
  await until(stage, 'well');
  expect(await told()).toMatchObject({ state: 'well', lostSince: null });
});

test('who does not lead recovers nothing', async () => {
  const stage = keeping(3, { dwellMs: 0, dwellReadings: 1 });
  await stage.pass(10 * SECOND);
  const other = stage.rival();
  await other.beat();
  stage.simulated.world.crash('cache0');
  for (let beats = 0; beats < 6; beats++) await other.beat();
  expect(other.actions()).toEqual([]);
  expect(stage.simulated.log).toEqual([]);
});

test('a service says for itself whether it is kept, and what is not there is refused', async () => {
  const world = clusterOf(2);
  const services = world.services.map((service, i) => ({ ...service, keep: i === 1 }));
  const { fleet, rival } = fleetStage({ world: { ...world, services }, fleet: { recover: { services: 'all' } } });
  await fleet.beat();
  expect((await fleet.recovery()).map(({ key }) => key)).toEqual(['services/cache1']);
  expect(() => rival({ recover: { services: ['cache9'] } })).toThrow(expect.objectContaining({ code: 'ER0230' }));
  expect(() => rival({ recover: { clusters: ['shops'] } })).toThrow(/allowed are shop/);
  // Nobody follows a master there.
  expect(() => rival({ recover: { failover: ['shop'] } })).toThrow(/recover\.failover: found "shop"; allowed are none/);
  await expect(fleet.acknowledge('cache0')).rejects.toMatchObject({ code: 'ER0203' });
  await expect(fleet.acknowledge('cache1')).rejects.toMatchObject({ code: 'ER0206' });
});

test('what fails since its disk is full is not started in vain, and is well again without it once there is room', async () => {
  const stage = keeping(3, { dwellMs: 0, dwellReadings: 1 });
  const { instances, services } = stage.simulated;
  let isFull = false;
  const fleet = stage.rival({
    drivers: {
      instances: [instances],
      services: [
        {
          ...services,
          async observe(...args) {
            const reading = await services.observe(...args);
            const full = { code: 'ER0270', holds: { installed: true, up: false }, reason: 'its disk is full' };
            return {
              ...reading,
              items: reading.items.map((facts) => (isFull && facts.name === 'cache0' ? { ...facts, ...full } : facts)),
            };
          },
        },
      ],
    },
  });
  await beatsOf(fleet, stage, 5);
  isFull = true;
  await beatsOf(fleet, stage, 60);
  expect((await fleet.recovery())[0]).toMatchObject({ state: 'waiting', cause: 'failing', reason: 'its disk is full' });
  expect(fleet.actions()).toEqual([]);
  isFull = false;
  await beatsOf(fleet, stage, 2);
  expect(await stateOf(fleet)).toBe('well');
  expect(stage.simulated.log).toEqual([]);
});
