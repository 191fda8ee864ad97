import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { asInstant, createFleet, DEFAULT_POLICY, type Fleet, serviceKey } from 'fleetbeat';
import { sqlite } from 'fleetbeat/adapters/sqlite';
import { type SimulatedFleet, simulatedFleet, simulatedKinds } from 'fleetbeat/testing';
import { afterEach, expect, test } from 'vitest';
import { recoveryRow } from '../../src/cli/render/recoveries.ts';
import { serverFolder } from '../support/run-folder.ts';
import { turns } from '../support/turns.ts';
import { commandLine, documentsIn, folderWith } from './command-line.ts';

const SECOND = 1000;
const TIME = /^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/;
const LIST = ['recovery', 'list'];

/** A fleet that keeps three services of a cluster, and the folder from which command lines meet it in its store. */
interface KeptFleet {
  readonly cwd: string;
  readonly fleet: Fleet;
  readonly world: SimulatedFleet['world'];
  /** Lets so much time pass, a beat every two seconds. */
  pass(seconds: number): Promise<void>;
}

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

async function keptFleet(policy: object = {}): Promise<KeptFleet> {
  const cwd = serverFolder('kept');
  const ips = ['10.0.1.1', '10.0.1.2', '10.0.1.3'];
  const services = ips.map((ip, i) => ({ name: `cache${i}`, ip, mode: 'memcache', status: 'master' as const, cluster: 'shop' }));
  const text = `
const observe = async ({ now: readAt }) => ({
  items: ${JSON.stringify(ips)}.map((ip, i) => ({ cloud: 'own', id: 'i-' + i, ip, readAt, power: { state: 'running', raw: 'on' }, ssh: 'up' })),
  readAt, complete: true, problems: [],
});
export default {
  clouds: { own: { driver: { name: 'own', everyMs: 50, observe, perform: async () => [] }, active: true } },
  store: { driver: 'sqlite', file: 'fleet.db' },
  services: ${JSON.stringify(services)},
  recover: { clusters: ['shop'] },
  policy: ${JSON.stringify(policy)},
};
`;
  writeFileSync(join(cwd, 'package.json'), '{"type":"module"}');
  writeFileSync(join(cwd, 'fleetbeat.config.js'), text);
  let now = Date.now();
  const clock = () => asInstant(now);
  const instances = ips.map((ip, i) => ({ id: `i-${i}`, ip, state: 'running' as const }));
  const up = services.map((service) => ({ ...service, state: 'up' as const }));
  const simulated = simulatedFleet({ cloud: 'own', now: clock, instances, services: up });
  const store = sqlite(join(cwd, 'fleet.db'));
  const fleet = createFleet({
    drivers: { instances: [simulated.instances], services: [simulated.services] },
    kinds: simulatedKinds(),
    services,
    store,
    recover: { clusters: ['shop'] },
    policy,
    now: clock,
  });
  open.push(async () => {
    await fleet.stop();
    await store.close?.();
  });
  const pass = async (seconds: number) => {
    for (let left = seconds; left > 0; left -= 2) {
      now += 2 * SECOND;
      await fleet.beat();
      await turns();
    }
  };
  await pass(10);
  return { cwd, fleet, world: simulated.world, pass };
}

async function rowsOf(cwd: string): Promise<readonly Record<string, unknown>[]> {
  const { exit, stdout, stderr } = await commandLine(LIST, { cwd });
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
  return (documentsIn(stdout) as [{ recovery: readonly Record<string, unknown>[] }])[0].recovery;
}

test('each service that is kept is told, as it stands in the store: wanted or not, lost, since when, what comes next, in which limits', async () => {
  const { cwd, fleet, world, pass } = await keptFleet({ dwellMs: 300 * SECOND, recoveries: 4 });
  await fleet.dispatch({ level: 'services', action: 'stop', group: 'cache1' });
  world.crash('cache0');
  await pass(20);
  const { exit, stdout, stderr } = await commandLine(LIST, { cwd });
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
  const suspect = { name: 'cache0', cluster: 'shop', wanted: true, not_wanted: null, state: 'suspect', code: 'ER0248' };
  const off = {
    name: 'cache1',
    wanted: false,
    not_wanted: 'not to run since services stop cache1',
    state: 'off',
    code: 'ER0247',
  };
  const [document] = documentsIn(stdout) as [{ recovery: [{ next: string; lost_since: string }] }];
  expect(document).toMatchObject({
    return: { code: '000000' },
    recovery: [
      {
        ...suspect,
        cause: 'stopped',
        why: 'stopped: perhaps it does not last',
        since: expect.stringMatching(TIME),
        recoveries: { used: 0, allowed: 4 },
      },
      off,
      { name: 'cache2', wanted: true, state: 'well', code: '000000', since: null, lost_since: null, next: null },
    ],
    heartbeat_at: expect.stringMatching(TIME),
    policy: { dwellMs: 300_000, dwellReadings: 3, recoveries: 4, radiusLeast: 2, radiusPercent: 30, recoveriesAtOnce: 1 },
  });
  const [{ next, lost_since }] = document.recovery;
  expect(Date.parse(next) - Date.parse(lost_since)).toBe(300_000);

  const seen = await commandLine(LIST, { cwd, columns: 140, env: { NO_COLOR: '1' } });
  expect(seen.stdout).toMatch(/^name +cluster +wanted +state +code +lost +next +used +why\n/);
  expect(seen.stdout).toMatch(
    /\ncache0 +shop +yes +suspect +ER0248 +\d+ s ago +in [45] min \d\d s +0\/4 +stopped: perhaps it does not last\n/,
  );
  expect(seen.stdout).toMatch(/\ncache1 +shop +no +off +ER0247 .*not to run since services stop cache1\n/);
  expect(seen.stdout).toMatch(/\nlast heartbeat \d+ s ago\n/);
  expect(seen.stdout).toContain('\nrecovered once lost for 5 min 00 s and 3 readings; 1 of a cluster at once');
  expect(seen.stdout).toContain('more is lost at once than 2 services or 30 % of a cluster');
  expect(seen.stdout).toContain('after 4 recoveries from one cause somebody has to acknowledge it');
});

test('where nobody has beaten yet, nothing is recovered, and that is said', async () => {
  const { cwd } = await keptFleet();
  const unused = serverFolder('unused');
  for (const file of ['package.json', 'fleetbeat.config.js']) copyFileSync(join(cwd, file), join(unused, file));
  const { exit, stdout } = await commandLine(LIST, { cwd: unused, columns: 140, env: { NO_COLOR: '1' } });
  expect(exit).toBe(0);
  expect(stdout).toContain('\nno heartbeat is in the store: nothing is recovered before somebody beats\n');
});

test('what stands in the way of a recovery has a code and a sentence of its own', async () => {
  const { cwd, fleet, world, pass } = await keptFleet({ dwellMs: 0, dwellReadings: 1, radiusLeast: 1, radiusPercent: 0 });
  world.crash('cache0');
  world.crash('cache1');
  await pass(10);
  const [first, second] = await rowsOf(cwd);
  const why = 'observed only: 2 losses at once among 3 services, at most 1 are acted on';
  expect([first, second]).toMatchObject(Array(2).fill({ state: 'waiting', code: 'ER0239', why, wanted: true }));
  await fleet.maintain({ subject: 'cache0', owner: 'anna', reason: 'new disks' });
  await pass(4);
  expect((await rowsOf(cwd))[0]).toMatchObject({ state: 'waiting', code: 'ER0238', why: expect.stringContaining('by anna') });
});

test('a service that was given up is recovered again once somebody has acknowledged it from the command line', async () => {
  const { cwd, world, pass } = await keptFleet({ dwellMs: 0, dwellReadings: 1, recoveries: 1, holdDownMs: 0 });
  world.crash('cache0');
  await pass(60);
  expect(world.stateOf('cache0')).toBe('up');
  world.crash('cache0');
  await pass(60);
  expect(world.stateOf('cache0')).toBe('stopped');
  expect((await rowsOf(cwd))[0]).toMatchObject({
    state: 'gave-up',
    code: 'ER0246',
    recoveries: { used: 1, allowed: 1, by_cause: [{ cause: 'stopped', used: 1, held_until: expect.stringMatching(TIME) }] },
  });
  const { exit, stdout } = await commandLine(['recovery', 'acknowledge', 'cache0'], { cwd });
  expect(exit).toBe(0);
  const acknowledged = { name: 'cache0', state: 'unseen', why: 'acknowledged, and not looked at since', recoveries: { used: 0 } };
  expect((documentsIn(stdout) as [{ recovery: unknown[] }])[0].recovery).toMatchObject([acknowledged]);
  const again = await commandLine(['recovery', 'acknowledge', 'cache0'], { cwd });
  expect(again.exit).toBe(1);
  expect(documentsIn(again.stdout)).toMatchObject([{ return: { code: 'ER0206' } }]);
  await pass(60);
  expect(world.stateOf('cache0')).toBe('up');
});

test('what a later version has written is refused where it is asked for, and stands in the way of no other question', async () => {
  const { cwd, fleet, pass } = await keptFleet();
  await pass(2);
  await fleet.stop();
  const store = sqlite(join(cwd, 'fleet.db'));
  const written = await store.get('recovery');
  expect(await store.swap('recovery', written ?? '', '{"version":2}')).toBe(true);
  await store.close?.();
  const listed = await commandLine(LIST, { cwd });
  expect(listed.exit).toBe(1);
  expect(documentsIn(listed.stdout)).toMatchObject([{ return: { code: 'ER0237' } }]);
  const asked = await commandLine(['services', 'status'], { cwd });
  expect(asked.exit).toBe(0);
  expect(documentsIn(asked.stdout)).toMatchObject([{ console: [{ command: 'recovery', return: 'ER0237' }] }]);
});

test('recoveries are counted for what is lost now, and else for what was lost most often', () => {
  const fall = (cause: string, count: number) => ({ cause, count, heldUntil: asInstant(1000) });
  const entry = {
    key: serviceKey('cache0'),
    cluster: null,
    code: 'ER0249',
    reason: '',
    notWanted: null,
    since: null,
    lostSince: null,
  };
  const falls = [fall('stopped', 1), fall('its instance is stopped', 3)];
  const usedOf = (cause: string | null) =>
    recoveryRow({ ...entry, state: 'held-down', next: null, cause, falls }, DEFAULT_POLICY).recoveries.used;
  expect([usedOf('stopped'), usedOf(null), usedOf('its instance is stopped')]).toEqual([1, 3, 3]);
});

test('a question about a service, and a plan for it, say why it is not recovered', async () => {
  const { cwd, fleet, world, pass } = await keptFleet({ dwellMs: 300 * SECOND });
  await fleet.dispatch({ level: 'services', action: 'stop', group: 'cache1' });
  world.crash('cache0');
  await pass(20);
  const suspect = {
    command: 'services/cache0',
    return: 'ER0248',
    result: 'recovery: suspect: stopped: perhaps it does not last',
  };
  const off = { command: 'services/cache1', return: 'ER0247', result: 'recovery: off: not to run since services stop cache1' };
  const consoleOf = async (args: readonly string[]) =>
    (documentsIn((await commandLine(args, { cwd })).stdout) as [{ console: readonly { command: string }[] }])[0].console.filter(
      ({ command }) => command.startsWith('services/'),
    );
  expect(await consoleOf(['services', 'status'])).toEqual([suspect, off]);
  expect(await consoleOf(['services', 'status', 'cache2'])).toEqual([]);
  expect(await consoleOf(['services', 'plan', 'start', 'cache1'])).toEqual([off]);
});

test.each([
  [undefined, '"command":"services/nosql1","return":"ER0247","result":"recovery: off: not to run since services stop nosql1"'],
  [100, 'nosql1 recovery: off: not to run since services stop nosql1'],
])(
  'the daemon tells what it decides about a service that it keeps (columns: %s)',
  async (columns, told) => {
    const cwd = folderWith({
      clouds: {
        sim: { driver: 'simulated', active: true, speed: 1000, instances: [{ id: 'i-1', ip: '10.0.0.101', state: 'running' }] },
      },
      services: [{ name: 'nosql1', ip: '10.0.0.101', mode: 'memcache', status: 'master', keep: true }],
    });
    const over = new AbortController();
    const input = ['start', 'stop']
      .map((action) => JSON.stringify({ level: 'services', command: { action, group: 'nosql1', type: 'all' } }))
      .join('\n');
    const { exit, stderr } = await commandLine(['heartbeat', '--every', '50ms'], {
      cwd,
      ...(columns !== undefined && { columns }),
      env: { NO_COLOR: '1' },
      input,
      interrupted: over.signal,
      onOutput: (soFar) => soFar.includes(told) && over.abort(),
    });
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
  },
  30_000,
);

test.each([
  [['recovery'], 64, 'allowed for recovery: list, acknowledge'],
  [['recovery', 'start'], 64, 'list, acknowledge'],
  [['recovery', 'acknowledge'], 64, 'service'],
  [['recovery', 'list', 'cache0'], 64, 'too many arguments'],
  [['recovery', 'list', '--no-wait'], 64, 'means nothing here'],
] as const)('%j is not understood', async (args, exit, words) => {
  const cwd = folderWith({ clouds: { sim: { driver: 'simulated', active: true, instances: [] } } });
  expect(await commandLine(args, { cwd })).toMatchObject({ exit, stderr: expect.stringContaining(words) });
});

test('what is not kept cannot be acknowledged, and where nothing is that is said', async () => {
  const { cwd } = await keptFleet();
  const unknown = await commandLine(['recovery', 'acknowledge', 'cache9'], { cwd });
  expect(unknown.exit).toBe(1);
  expect(documentsIn(unknown.stdout)).toMatchObject([
    { return: { code: 'ER0203' }, console: [{ result: expect.stringContaining('kept are cache0, cache1, cache2') }] },
  ]);
  const clouds = { rack: { driver: 'local', active: true, instances: [] } };
  const nobody = folderWith({ clouds, ssh: { username: 'admin', identityFile: 'id', knownHosts: 'known' } });
  expect(await commandLine(LIST, { cwd: nobody, columns: 80 })).toMatchObject({
    exit: 0,
    stdout: expect.stringContaining('nothing is kept'),
  });
});

test('help says what it is for', async () => {
  const { exit, stdout } = await commandLine(['recovery', '--help'], { columns: 110 });
  expect(exit).toBe(0);
  for (const word of ['list', 'acknowledge', 'keep of a service', 'fleetbeat recovery acknowledge nosql1'])
    expect(stdout).toContain(word);
});

test('a store that ends with its process has nothing that is kept by others', async () => {
  const cwd = folderWith({ clouds: { sim: { driver: 'simulated', active: true, instances: [] } } });
  expect(await commandLine(LIST, { cwd })).toMatchObject({ exit: 64, stderr: expect.stringContaining('found memory') });
});
