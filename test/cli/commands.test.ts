import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { INSTANCE_ACTIONS, SERVICE_ACTIONS } from 'fleetbeat';
import { read, toCommand } from 'fleetbeat/wire';
import { describe, expect, test } from 'vitest';
import { serverFolder } from '../support/run-folder.ts';
import { cli, startCli } from './cli-process.ts';
import { commandLine, documentsIn, folderWith } from './command-line.ts';

const SEED = fileURLToPath(new URL('../support/seed/', import.meta.url));
const sample = (name: string): string => readFileSync(`${SEED}${name}`, 'utf8');

const simulated = (speed = 1000) => ({
  clouds: {
    sim: {
      driver: 'simulated',
      active: true,
      speed,
      instances: [
        { id: 'i-1', ip: '10.0.0.101', state: 'running' },
        { id: 'i-2', ip: '10.0.0.102', state: 'stopped' },
      ],
    },
  },
  services: [
    { name: 'nosql1', ip: '10.0.0.101', mode: 'memcache', status: 'master' },
    { name: 'node10', ip: '10.0.0.102', mode: 'mariadb', status: 'master', settings: { password: 'hunter2' } },
  ],
  beatEvery: '50ms',
});

const quick = folderWith(simulated());
/** Here a start takes minutes. */
const slow = folderWith(simulated(0.1));

/** A driver of a JavaScript configuration: it accepts a start and tells so, but its instance stays stopped. */
const configurationThatNeverStarts = (marker: string): string => `
import { writeFileSync } from 'node:fs';
const observe = async ({ now: readAt }) => ({
  items: [{ cloud: 'own', id: 'i-1', ip: '10.0.0.102', readAt, power: { state: 'stopped', raw: 'off' } }],
  readAt, complete: true, problems: [],
});
const perform = async (calls) => {
  writeFileSync(${JSON.stringify(marker)}, '');
  return calls.map(() => null);
};
export default { clouds: { own: { driver: { name: 'own', everyMs: 1000, observe, perform }, active: true } } };
`;

const command = (level: string, action: string, group = 'all', type = 'all'): string =>
  JSON.stringify({ level, command: { action, group, type } });

describe('a command line', () => {
  test('that starts a service on a stopped instance exits with 0 once it is routed', async () => {
    const { exit, stdout } = await cli(['services', 'start', 'node10'], { cwd: quick });
    expect(exit).toBe(0);
    expect(documentsIn(stdout)).toMatchObject([
      {
        return: { code: '000000' },
        services: [{ node10: { code: '000000', state: 'running', rung: 'routed' } }],
        console: [
          { command: 'instances start 10.0.0.102', return: '000000' },
          { command: 'instances bootstrap 10.0.0.102 managed', return: '000000' },
          { command: 'services start node10', return: '000000' },
        ],
      },
    ]);
  });

  test('that stops a service says that it is stopped', async () => {
    const { exit, stdout } = await commandLine(['services', 'stop', 'nosql1'], { cwd: quick });
    expect(exit).toBe(0);
    expect(documentsIn(stdout)).toMatchObject([{ return: { code: '000000' }, services: [{ nosql1: { state: 'stopped' } }] }]);
  });

  test('that the fleet rejects exits with 1 and says what is known', async () => {
    const { exit, stdout } = await commandLine(['services', 'start', 'node99'], { cwd: quick });
    expect(exit).toBe(1);
    expect(stdout).toContain('services are nosql1, node10');
  });

  test('that is interrupted while it waits exits with 75', async () => {
    const marker = join(serverFolder('started'), 'started');
    const configuration = join(serverFolder('cli'), 'given.mjs');
    writeFileSync(configuration, configurationThatNeverStarts(marker));
    const process = startCli(['instances', 'start', '10.0.0.102', '--config', configuration, '--every', '20ms']);
    await expect.poll(() => existsSync(marker), { timeout: 20_000 }).toBe(true);
    process.kill('SIGINT');
    const { exit, stdout } = await process.ended;
    expect(exit).toBe(75);
    expect(documentsIn(stdout)).toMatchObject([
      { return: { code: 'ER0227' }, console: [{ command: 'instances start 10.0.0.102', return: 'ER0227' }] },
    ]);
  });

  test('that could not read its cloud says so, and exits with 1', async () => {
    const configuration = join(serverFolder('cli'), 'blind.mjs');
    const observe = "async () => { throw new Error('no route') }";
    writeFileSync(
      configuration,
      `export default { clouds: { own: { driver: { name: 'own', everyMs: 1000, observe: ${observe}, perform: async () => [] }, active: true } } };`,
    );
    const { exit, stdout } = await commandLine(['instances', 'status', '--config', configuration]);
    expect(exit).toBe(1);
    expect(documentsIn(stdout)).toMatchObject([{ console: [{ command: 'own', result: 'no route' }] }]);
  });

  test('of a type that nothing could be of is rejected, in JSON, with those that are known', async () => {
    const { exit, stdout } = await commandLine(['services', 'status', 'all', 'mariadbb'], { cwd: quick });
    expect(exit).toBe(1);
    expect(documentsIn(stdout)).toMatchObject([
      {
        return: { code: 'ER0204' },
        console: [{ result: expect.stringMatching(/found "mariadbb", allowed: all, db, .*perhaps mariadb\?/) }],
      },
    ]);
  });

  test('that brings the configuration of a group in line passes those over that have none; one of those alone is refused', async () => {
    const { clouds, services, beatEvery } = simulated();
    const cwd = folderWith({ clouds, beatEvery, services: services.map((service) => ({ ...service, ip: '10.0.0.101' })) });
    const ask = async (...args: readonly string[]) => {
      const { exit, stdout } = await commandLine(['services', ...args], { cwd });
      return { exit, document: documentsIn(stdout)[0] };
    };
    const line = 'services bootstrap_config node10';
    expect(await ask('plan', 'bootstrap_config', 'all')).toMatchObject({ exit: 0, document: { console: [{ command: line }] } });
    expect(await ask('bootstrap_config', 'all')).toMatchObject({
      exit: 0,
      document: {
        return: { code: '000000' },
        services: [{ node10: { state: 'running' } }],
        console: [{ command: line, return: '000000', result: 'done' }],
      },
    });
    expect(await ask('bootstrap_config', 'nosql1')).toMatchObject({
      exit: 1,
      document: {
        return: { code: 'ER0202' },
        console: [{ return: 'ER0202', result: expect.stringContaining('a memcache has no configuration on its host') }],
      },
    });
    expect((await commandLine(['services', 'bootstrap_conf', 'all'], { cwd })).stderr).toContain('perhaps bootstrap_config');
  });

  test('whose outcome does not come in time exits with 75', async () => {
    const { exit, stdout } = await commandLine(['services', 'start', 'node10', '--timeout', '200ms'], { cwd: slow });
    expect(exit).toBe(75);
    expect(documentsIn(stdout)).toMatchObject([{ console: [{ return: 'ER0227' }, { return: 'ER0227' }, { return: 'ER0227' }] }]);
  });

  test.each<[string[], string]>([
    [
      ['nodes', 'start'],
      'Unknown level: found "nodes", allowed: instances, services, config, doctors, audit, bill, maintenance, recovery, heartbeat, demo',
    ],
    [['services', 'strat', 'node10'], 'Unknown action: found "strat", allowed: status, install,'],
    [['services'], 'an action is missing, allowed for services: status,'],
    [['services', 'start', 'a', 'b', 'c'], 'too many arguments'],
    [['services', 'start', 'node10', '--jsn'], "unknown option '--jsn'"],
    [['services', 'start', 'node10', '--timeout', '10'], '--timeout: found "10", allowed: a number and a unit'],
    [['heartbeat', '--every', '-1s'], '--every'],
    [['heartbeat', '--no-wait'], 'heartbeat: found --no-wait, which means nothing here'],
    [['demo', '--speed', '0'], '--speed: found "0", allowed: a number from 1 to 100'],
    [['services', 'start', 'node10', '--no-wait'], 'store: found memory together with --no-wait, allowed: a store that outlives'],
    [['services', 'start', 'node10', '--config', 'nowhere.json'], 'nowhere.json: its root: found ENOENT'],
    [['instances', 'actions_init'], 'found no --yes'],
    [['instances', 'retry'], "missing required argument 'id'"],
  ])('%j cannot be understood: it exits with 64 and says what is allowed', async (args, message) => {
    const { exit, stdout, stderr } = await commandLine(args, { cwd: quick });
    expect({ exit, stdout }).toEqual({ exit: 64, stdout: '' });
    expect(stderr).toContain(message);
  });

  test('without a configuration exits with 64 and says how it is called', async () => {
    const { exit, stderr } = await commandLine(['services', 'status'], { cwd: '/' });
    expect(exit).toBe(64);
    expect(stderr).toContain('allowed: fleetbeat.config.js, fleetbeat.config.json');
  });

  test.each([
    ['instances', Object.keys(INSTANCE_ACTIONS)],
    ['services', Object.keys(SERVICE_ACTIONS)],
    ['config', ['display', 'rules', 'file']],
  ])('asked for the help of %s, tells every action and gives examples', async (level, actions) => {
    const { exit, stdout } = await commandLine([level, '--help']);
    expect(exit).toBe(0);
    for (const action of actions) expect(stdout).toMatch(new RegExp(`^  ${action}\\b`, 'm'));
    expect(stdout).toContain(`$ fleetbeat ${level} `);
  });

  test('asked for help, tells every level and every exit code', async () => {
    const { stdout } = await commandLine(['--help']);
    for (const word of [
      'instances',
      'services',
      'config',
      'doctors',
      'audit',
      'bill',
      'maintenance',
      'recovery',
      'heartbeat',
      'demo',
      '75 armed',
    ])
      expect(stdout).toContain(word);
    expect((await commandLine(['services', 'start', '--help'])).stdout).toContain('$ fleetbeat services start node10');
  });

  test.each([
    ['instances', 'status'],
    ['services', 'status'],
    ['instances', 'heartbeat'],
    ['instances', 'actions'],
    ['services', 'plan', 'start', 'node10'],
    ['config', 'display'],
    ['config', 'rules'],
  ])('%s %s is answered in JSON when piped, and nothing of it is a secret', async (...args) => {
    const { exit, stdout } = await commandLine(args, { cwd: quick });
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toBeTypeOf('object');
    expect(stdout).not.toContain('hunter2');
  });

  test('that plans does nothing', async () => {
    const { stdout } = await commandLine(['services', 'plan', 'start', 'node10'], { cwd: quick });
    expect(documentsIn(stdout)).toMatchObject([
      { return: { code: 'ER0016' }, console: [{ result: 'at once' }, { result: 'when instances 10.0.0.102 is running' }, {}] },
    ]);
  });
});

describe('commands on stdin', () => {
  test('are answered line by line, in order, whatever is wrong with some of them', async () => {
    const input = [
      sample('command.json').replace(/\s+/g, ''),
      'this is no JSON',
      '',
      command('instances', 'status', 'i-2'),
      command('machines', 'status'),
      command('services', 'stop', 'nosql1'),
      '{"level":"services","command":{"action":"start","group":"node10","type":"all"}',
      command('config', 'display'),
    ].join('\n');
    const { exit, stdout } = await commandLine([], { cwd: quick, input });
    expect(exit).toBe(1);
    expect(documentsIn(stdout)).toMatchObject([
      { instances_status: { instances: [{ 'i-1': {} }, { 'i-2': {} }] }, services_status: {} },
      {
        return: { code: 'ER0222' },
        console: [{ command: 'line 2 of stdin', result: expect.stringContaining('line 1, column 1') }],
      },
      { instances: [{ 'i-2': { state: 'stopped' } }] },
      { return: { code: 'ER0201' }, question: { level: 'machines' }, console: [{ result: expect.stringContaining('allowed') }] },
      { return: { code: '000000' }, services: [{ nosql1: { state: 'stopped' } }] },
      { return: { code: 'ER0222' }, console: [{ result: expect.stringContaining('column 79') }] },
      { config: [{ clouds: { sim: { driver: 'simulated' } }, services: [{}, { settings: { password: '***' } }] }] },
    ]);
  });

  test('may be one document over many lines, and the command of the seed is answered with the heartbeat', async () => {
    const { exit, stdout } = await cli([], { cwd: quick, input: sample('command.json') });
    expect(exit).toBe(0);
    const document = read(stdout, { kind: 'heartbeat' });
    expect(document.body.services_status?.services).toHaveLength(2);
    expect(toCommand(read(sample('command.json'), { kind: 'command' })).action).toBe('heartbeat');
  });

  test('that are one malformed document are refused once, with the position in it', async () => {
    const { exit, stdout } = await commandLine([], { cwd: quick, input: sample('events.malformed.txt') });
    expect(exit).toBe(1);
    expect(documentsIn(stdout)).toMatchObject([
      { return: { code: 'ER0222' }, console: [{ result: expect.stringContaining('line 7, column 1') }] },
    ]);
  });

  test('may be a heartbeat: it is delivered, and what it is not believed for is told', async () => {
    const { stdout } = await commandLine(['services', 'ping'], { cwd: quick, input: sample('heartbeat.json') });
    const [answer] = documentsIn(stdout);
    expect(answer).toMatchObject({ question: { action: 'ping' } });
    expect(JSON.stringify(answer)).not.toContain('AKIAIOSFODNN7EXAMPLE');
  });

  test('may be actions: they are armed, and fire when their state holds', async () => {
    const input = sample('actions.json').replaceAll('10.0.0.102', '10.0.0.101').replaceAll('node10', 'nosql1');
    const { exit, stdout } = await commandLine([], { cwd: quick, input });
    expect(exit).toBe(0);
    expect(documentsIn(stdout)).toMatchObject([
      {
        actions: [
          { do_action: 'bootstrap_ncc', status: 'done' },
          { do_action: 'start', status: 'done' },
        ],
      },
    ]);
  });
});

describe('the daemon', () => {
  test('tells changes and actions, takes commands on its own stdin, and ends cleanly when asked to', async () => {
    const daemon = startCli(['heartbeat', '--every', '50ms'], { cwd: quick });
    await daemon.says(/"name":"nosql1"/);
    daemon.write(`${command('services', 'start', 'node10')}\nwhat?\n`);
    await daemon.says(/"line 2 of stdin"/);
    await daemon.says(/"do_group":"node10","do_action":"start"[^\n]*"status":"done"/);
    daemon.kill('SIGTERM');
    const { exit, stdout, stderr } = await daemon.ended;
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(documentsIn(stdout)).toContainEqual(expect.objectContaining({ return: { code: 'ER0016' } }));
  });
});

test('the version is told without anything being loaded for it', async () => {
  const { exit, stdout } = await cli(['--version']);
  expect({ exit, stdout }).toEqual({ exit: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  const source = (name: string) => readFileSync(new URL(`../../src/cli/${name}`, import.meta.url), 'utf8');
  const imports = (text: string) => [...text.matchAll(/^import .* from '(.+)';$/gm)].map(([, from]) => from);
  expect(imports(source('bin.ts'))).toEqual(['./version.ts']);
  expect(imports(source('version.ts'))).toEqual(['node:module']);
});

test('the examples run: each of their commands is answered in its line', async () => {
  const examples = fileURLToPath(new URL('../../examples/', import.meta.url));
  const input = readFileSync(`${examples}commands.jsonl`, 'utf8');
  const { exit, stdout, stderr } = await cli(['--config', `${examples}fleetbeat.config.js`], { input });
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
  expect(documentsIn(stdout)).toMatchObject([
    { services_status: { services: { length: 4 } } },
    { return: { code: 'ER0016' } },
    { return: { code: '000000' }, services: [{ nosql2: { state: 'running' } }] },
    { services: [{ nosql1: { state: 'running' } }, { nosql2: { state: 'running' } }] },
    { actions: [] },
  ]);
});
