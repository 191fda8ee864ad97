import type { Fleet, FleetEvents } from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { fleetStage } from '../support/fleet-stage.ts';

const WORLD = {
  services: [
    { name: 'node13', ip: '10.0.0.209', mode: 'memcache', status: 'slave', state: 'stopped', cluster: 'shop' },
    { name: 'node14', ip: '10.0.0.47', mode: 'memcache', status: 'master', state: 'stopped', cluster: 'shop' },
    { name: 'node15', ip: '10.0.0.47', mode: 'haproxy', status: 'master', state: 'stopped' },
  ],
} as const;
const START = { level: 'services', action: 'start', group: 'node14' } as const;
const MINUTE = 60_000;
const DISKS = { owner: 'anna', reason: 'new disks' } as const;

function listening(fleet: Fleet): FleetEvents['problem'][] {
  const problems: FleetEvents['problem'][] = [];
  fleet.on('problem', (problem) => problems.push(problem));
  return problems;
}

test('what is in maintenance is observed and not acted on, everybody is told why, and what waited goes on once it ends', async () => {
  const { fleet, simulated, pass, beatUntilIdle } = fleetStage({ world: WORLD });
  const problems = listening(fleet);
  await fleet.beat();
  await fleet.maintain({ subject: 'node14', forMs: 10 * MINUTE, ...DISKS });
  const why = 'maintenance of services/node14 by anna until 1970-01-01T00:26:40.000Z: new disks';

  const reply = await fleet.dispatch(START);
  expect(reply.held.map(({ code, message }) => [code, message])).toContainEqual([
    'ER0238',
    `services start node14 waits: ${why}`,
  ]);
  await pass(MINUTE);
  expect(simulated.log).toEqual([]);
  const waiting = fleet.actions().filter((action) => action.lane === 'services/node14');
  expect(waiting.map(({ status, attempts, held }) => ({ status, attempts, held }))).toEqual(
    waiting.map(() => ({ status: 'waiting', attempts: 0, held: why })),
  );
  expect(problems.filter(({ code }) => code === 'ER0238')).toHaveLength(1);
  simulated.world.power('10.0.0.47', 'off');
  await pass(20_000);
  expect(fleet.views().find(({ ip, level }) => ip === '10.0.0.47' && level === 'instances')?.state).not.toBe('managed');
  simulated.world.power('10.0.0.47', 'on');
  await pass(2 * MINUTE);

  await fleet.resume('node14');
  await beatUntilIdle();
  expect(simulated.world.stateOf('node14')).toBe('up');
  expect(fleet.actions()).toEqual([]);
});

test('what was begun, changed, ended or has run out is told once, whoever on the store did it, and whoever leads then', async () => {
  const stage = fleetStage({ world: WORLD, policy: { leaseMs: 5000 } });
  const { pass, rival } = stage;
  const toldBy = (fleet: Fleet): string[] => {
    const told: string[] = [];
    fleet.on('maintenance', ({ kind, maintenance: { subject, owner } }) => told.push(`${kind} ${subject} ${owner}`));
    return told;
  };
  const told = toldBy(stage.fleet);
  await pass(4000);
  const other = rival();
  const toldToOther = toldBy(other);
  await other.maintain({ subject: 'node14', forMs: 10 * MINUTE, ...DISKS });
  await other.maintain({ subject: 'shop', forMs: MINUTE, ...DISKS });
  await other.beat();
  await pass(10_000);
  await other.maintain({ subject: 'node14', forMs: 20 * MINUTE, ...DISKS });
  await pass(2 * MINUTE);
  const key = 'services/node14';
  expect(told).toEqual([`begun ${key} anna`, 'begun clusters/shop anna', `changed ${key} anna`, 'expired clusters/shop anna']);

  await stage.fleet.stop();
  await other.resume('node14');
  expect(toldToOther).toEqual([]);
  for (let beats = 0; beats < 10; beats++) {
    stage.passTime(2000);
    await other.beat();
  }
  expect(other.role).toBe('leader');
  expect(toldToOther).toEqual([`ended ${key} anna`]);
});

test('a maintenance that nobody ends expires, and what waited goes on with the next beat', async () => {
  const { fleet, simulated, pass, passTime } = fleetStage({ world: WORLD });
  await fleet.beat();
  await fleet.maintain({ subject: 'node14', forMs: 10 * MINUTE, ...DISKS });
  await fleet.dispatch(START);
  await pass(10 * MINUTE - 2000, 10_000);
  expect(simulated.log).toEqual([]);
  passTime(2000);
  await fleet.beat();
  await fleet.beat();
  expect(simulated.log.length).toBeGreaterThan(0);
  expect(await fleet.maintenance()).toEqual([]);
});

test('a maintenance of two hours costs an action that was running when it began no more than one try', async () => {
  const { fleet, simulated, pass, beatUntilIdle } = fleetStage({
    world: { services: [{ ...WORLD.services[1], state: 'uninstalled' }] },
  });
  await fleet.beat();
  await fleet.dispatch(START);
  while (!simulated.log.some(({ verb }) => verb === 'start')) await pass(2000);
  await fleet.maintain({ subject: 'node14', forMs: 120 * MINUTE, ...DISKS });
  const begun = simulated.log.length;
  await pass(119 * MINUTE, 20_000);
  expect(simulated.log).toHaveLength(begun);
  expect(fleet.actions().map(({ attempts }) => attempts)).toEqual([1]);
  await fleet.resume('node14');
  await beatUntilIdle();
  expect(simulated.world.stateOf('node14')).toBe('up');
});

describe('a maintenance', () => {
  const start = (group: string) => ({ level: 'services', action: 'start', group }) as const;
  const instances = (action: string, group = '10.0.0.47') => ({ level: 'instances', action, group }) as const;
  const cases: readonly (readonly [string, { level: 'services' | 'instances'; action: string; group: string }, boolean])[] = [
    ['all', start('node13'), true],
    ['node15', { level: 'services', action: 'bootstrap_config', group: 'node15' }, true],
    ['node14', { level: 'services', action: 'bootstrap_config', group: 'node15' }, false],
    ['services/node14', start('node14'), true],
    ['node14', start('node15'), false],
    ['shop', start('node14'), true],
    ['clusters/shop', start('node13'), true],
    ['shop', start('node15'), false],
    ['10.0.0.47', start('node14'), true],
    ['10.0.0.47', start('node13'), false],
    ['i-4236ed3c', start('node15'), true],
    ['instances/simulated/i-4236ed3c', instances('reboot'), true],
    ['10.0.0.47', instances('reboot', 'i-4236ed3c'), true],
    ['shop', instances('terminate'), true],
    ['node14', instances('stop'), true],
    ['node14', instances('reboot', 'i-4236ed3c'), true],
    ['node14', instances('bootstrap_ncc'), false],
    ['node13', instances('start', '10.0.0.209'), false],
    ['shop', instances('start', '10.0.0.209'), true],
    ['10.0.0.48', instances('stop'), false],
  ];
  test.each(cases)('of %s and %o', async (subject, command, isHeld) => {
    const { fleet } = fleetStage({ world: WORLD });
    await fleet.beat();
    await fleet.maintain({ subject, ...DISKS });
    const { held, started, rejected } = await fleet.dispatch(command);
    expect(rejected).toEqual([]);
    expect(held.length > 0).toBe(isHeld);
    expect(started.some(({ id }) => held.some((problem) => problem.subject === id))).toBe(isHeld);
  });
});

test('all fleets on a store heed it within a beat, also those that come later', async () => {
  const { fleet, simulated, pass, rival, passTime } = fleetStage({ world: WORLD, policy: { leaseMs: 5000 } });
  await fleet.beat();
  const other = rival();
  await other.maintain({ subject: 'shop', ...DISKS });
  await fleet.beat();
  await fleet.dispatch(START);
  await pass(20_000);
  expect(simulated.log).toEqual([]);
  await fleet.stop();
  const later = rival();
  for (let beats = 0; beats < 5; beats++) {
    passTime(2000);
    await later.beat();
  }
  expect(later.role).toBe('leader');
  expect(simulated.log).toEqual([]);
  expect(await later.maintenance()).toMatchObject([{ subject: 'clusters/shop', owner: 'anna', reason: 'new disks' }]);
  await other.resume('shop');
  for (let beats = 0; beats < 3; beats++) {
    passTime(2000);
    await later.beat();
  }
  expect(simulated.log.length).toBeGreaterThan(0);
});

test('its owner may prolong it, and another owner has to end it first', async () => {
  const { fleet, passTime } = fleetStage({ world: WORLD });
  await fleet.beat();
  const { since } = await fleet.maintain({ subject: 'node14', forMs: MINUTE, ...DISKS });
  passTime(30_000);
  const longer = await fleet.maintain({ subject: 'node14', forMs: MINUTE, owner: 'anna', reason: 'more disks' });
  expect(longer).toMatchObject({ since, expiresAt: since + 90_000, reason: 'more disks' });
  await expect(fleet.maintain({ subject: 'node14', owner: 'bert', reason: 'mine' })).rejects.toMatchObject({
    code: 'ER0206',
    detail: expect.stringContaining('by anna'),
  });
  await fleet.resume('node14');
  await fleet.maintain({ subject: 'node14', owner: 'bert', reason: 'mine' });
  expect(await fleet.maintenance()).toMatchObject([{ owner: 'bert' }]);
});

test('what nobody knows or means is refused with what is allowed', async () => {
  const { fleet } = fleetStage({ world: { services: [...WORLD.services, { ...WORLD.services[0], name: 'shop' }] } });
  await fleet.beat();
  for (const [request, code, words] of [
    [{ subject: 'node99' }, 'ER0203', 'node14'],
    [{ subject: '10.9.9.9' }, 'ER0203', 'an ip'],
    [{ subject: 'shop' }, 'ER0203', 'services/shop, clusters/shop'],
    [{ subject: 'instances/simulated/a b' }, 'ER0203', 'allowed'],
    [{ forMs: 0 }, 'ER0222', '604800000'],
    [{ forMs: 8 * 24 * 60 * MINUTE }, 'ER0222', '604800000'],
    [{ forMs: Number.NaN }, 'ER0222', '604800000'],
    [{ reason: '' }, 'ER0222', 'reason'],
    [{ reason: 'two\nlines' }, 'ER0222', 'one line'],
    [{ owner: 'x'.repeat(65) }, 'ER0222', '64'],
  ] as const)
    await expect(fleet.maintain({ subject: 'node14', ...DISKS, ...request })).rejects.toMatchObject({
      code,
      detail: expect.stringContaining(words),
    });
  await fleet.maintain({ subject: 'all', ...DISKS });
  await expect(fleet.resume('node14')).rejects.toMatchObject({ code: 'ER0205', detail: expect.stringContaining('all') });
});

test('a record of maintenance that nobody here can read holds everything back', async () => {
  const { fleet, simulated, store, pass } = fleetStage({ world: WORLD });
  await store.set('maintenance', JSON.stringify({ version: 2, what: 'nobody knows' }));
  await fleet.beat();
  expect((await fleet.dispatch(START)).held[0]?.message).toContain('another version');
  await pass(20_000);
  expect(simulated.log).toEqual([]);
  await expect(fleet.maintenance()).rejects.toMatchObject({ code: 'ER0237' });
  await expect(fleet.maintain({ subject: 'all', ...DISKS })).rejects.toMatchObject({ code: 'ER0237' });
  await store.delete('maintenance');
  await pass(20_000);
  expect(simulated.log.length).toBeGreaterThan(0);
});

test('a beat looks at the maintenance of the store once, and nothing else does', async () => {
  const { fleet, store, beatUntilIdle } = fleetStage({ world: WORLD });
  const counted: string[] = [];
  const { get } = store;
  store.get = (key) => {
    if (key === 'maintenance') counted.push(key);
    return get(key);
  };
  await fleet.beat();
  await fleet.dispatch(START);
  const beats = 1 + (await beatUntilIdle());
  expect(counted).toHaveLength(beats);
});
