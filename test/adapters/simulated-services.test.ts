import { SEED_FLEET, type SimulatedService } from 'fleetbeat/testing';
import { describe, expect, test } from 'vitest';
import { parseIp } from '../../src/domain/identity.ts';
import sample from '../support/seed/heartbeat.json' with { type: 'json' };
import { onIp, onService, stage } from '../support/simulated-stage.ts';

const IP = '10.0.0.5';
const SEEN = { code: '000000', role: 'master', ip: IP, mode: 'mariadb' };

const onMachine = (service: Partial<SimulatedService> = {}) => ({
  instances: [{ id: 'i-1', ip: IP, state: 'running' as const }],
  services: [{ name: 'db1', ip: IP, mode: 'mariadb', status: 'master' as const, ...service }],
});

describe('a simulated service', () => {
  test('is brought up its ladder rung by rung', async () => {
    const { call, service, pass } = stage(onMachine({ state: 'uninstalled' }));
    expect(await service('db1')).toMatchObject({
      code: 'ER0024',
      holds: { installed: false, up: false, replicating: false, routed: false },
    });
    await call(onService('start', 'db1', 'installed'), 'start');
    pass(10);
    expect(await service('db1')).toMatchObject({ code: 'ER0023', holds: { installed: true, up: false } });
    await call(onService('start', 'db1', 'up'), 'start');
    expect(await service('db1')).toMatchObject({ code: 'ER0019', holds: { up: false } });
    pass(5);
    expect(await service('db1')).toMatchObject({ ...SEEN, holds: { up: true, replicating: false }, runId: 'db1-run-1' });
    await call(onService('start', 'db1', 'replicating'), 'start');
    pass(10);
    expect(await service('db1')).toMatchObject({ holds: { replicating: true, routed: false } });
    await call(onService('start', 'db1', 'routed'), 'start');
    pass(5);
    expect(await service('db1')).toMatchObject({ holds: { installed: true, up: true, replicating: true, routed: true } });
  });

  test('takes no longer to install when it is asked again meanwhile', async () => {
    const { call, service, pass } = stage(onMachine({ state: 'uninstalled' }));
    await call(onService('install', 'db1', 'installed'));
    pass(5);
    await call(onService('install', 'db1', 'installed'));
    pass(5);
    expect(await service('db1')).toMatchObject({ code: 'ER0023' });
  });

  test('has no rungs but those of its kind', async () => {
    const { call, service } = stage(onMachine({ mode: 'memcache' }));
    expect((await service('db1'))?.holds).toEqual({ installed: true, up: true });
    expect(await call(onService('sync', 'db1'))).toMatchObject({ code: 'ER0206' });
  });

  test.each([
    ['up', 'uninstalled'],
    ['restart', 'uninstalled'],
    ['replicating', 'stopped'],
    ['routed', 'up'],
  ] as const)('refuses the step %s while it is %s', async (step, state) => {
    const { call, world, log } = stage(onMachine({ state }));
    expect(await call(onService('start', 'db1', step))).toMatchObject({ subject: 'db1', code: 'ER0206' });
    expect(world.stateOf('db1')).toBe(state);
    expect(log).toEqual([]);
  });

  test('that is stopped is stopping, then stopped, and has lost its upper rungs when it is started again', async () => {
    const { call, service, world, pass } = stage(onMachine());
    expect(world.stateOf('db1')).toBe('routed');
    await call(onService('stop', 'db1', 'stop'));
    expect(await service('db1')).toMatchObject({ code: 'ER0020' });
    pass(5);
    expect(await service('db1')).toMatchObject({ code: 'ER0023' });
    await call(onService('start', 'db1', 'up'));
    pass(5);
    expect(await service('db1')).toMatchObject({ holds: { up: true, replicating: false, routed: false } });
  });

  test('has a new run after each start of its server', async () => {
    const { call, service, pass } = stage(onMachine());
    const first = (await service('db1'))?.runId;
    await call(onService('restart', 'db1', 'restart'));
    expect(await service('db1')).not.toHaveProperty('runId');
    pass(5);
    const second = (await service('db1'))?.runId;
    expect(new Set([undefined, first, second]).size).toBe(3);
  });

  test('restarts once per token', async () => {
    const { call, service, pass } = stage(onMachine());
    await call(onService('restart', 'db1', 'restart'), 'mine');
    pass(5);
    const once = await service('db1');
    await call(onService('restart', 'db1', 'restart'), 'mine');
    expect({ ...(await service('db1')), readAt: 0 }).toEqual({ ...once, readAt: 0 });
  });

  test('that is removed is uninstalled', async () => {
    const { call, service, pass } = stage(onMachine());
    await call(onService('remove', 'db1', 'remove'));
    pass(5);
    expect(await service('db1')).toMatchObject({ code: 'ER0024', holds: { installed: false } });
  });

  test('that crashes is stopped; one that hangs is failing with the code of its kind until it is started again', async () => {
    const { call, service, world, pass } = stage(onMachine({ mode: 'memcache' }));
    world.crash('db1');
    expect(await service('db1')).toMatchObject({ code: 'ER0023' });
    await call(onService('start', 'db1', 'up'));
    pass(5);
    world.hang('db1');
    expect(await service('db1')).toMatchObject({ code: 'ER0005', holds: { installed: true, up: false } });
    await call(onService('start', 'db1', 'up'));
    pass(5);
    expect(await service('db1')).toMatchObject({ code: '000000' });
  });

  test('is unknown while its host does not answer', async () => {
    const { call, service, world } = stage(onMachine());
    world.setSsh(IP, 'timeout');
    expect(await service('db1')).toEqual({
      name: 'db1',
      readAt: 0,
      code: 'ER0200',
      holds: {},
      reason: 'host does not answer',
      ip: IP,
      mode: 'mariadb',
    });
    expect(await call(onService('stop', 'db1', 'stop'))).toMatchObject({ code: 'ER0002' });
    world.setSsh(IP, 'up');
    expect(await service('db1')).toMatchObject({ holds: { routed: true } });
  });

  test('is stopped when its host has been off', async () => {
    const { service, world, pass } = stage(onMachine());
    world.power(IP, 'off');
    expect(await service('db1')).toMatchObject({ code: 'ER0200' });
    world.power(IP, 'on');
    pass(30);
    expect(await service('db1')).toMatchObject({ code: 'ER0023', holds: { installed: true, up: false } });
  });

  test('does not come up when its host goes off while it starts', async () => {
    const { call, world, pass } = stage(onMachine({ state: 'stopped' }));
    await call(onService('start', 'db1', 'up'));
    world.power(IP, 'off');
    pass(100);
    expect(world.stateOf('db1')).toBe('stopped');
  });

  test('is uninstalled on the machine that replaces a terminated one', async () => {
    const { call, service, pass } = stage(onMachine());
    await call(onIp('terminate', IP));
    pass(30);
    await call(onIp('launch', IP));
    pass(30);
    expect(await service('db1')).toMatchObject({ code: 'ER0024' });
  });

  test('cannot be installed before its host is at the rung of its kind', async () => {
    const { call, service, pass } = stage({
      ...onMachine({ state: 'uninstalled' }),
      instances: [{ id: 'i-1', ip: IP, state: 'running', rung: 'bootstrapped' }],
    });
    expect(await call(onService('install', 'db1', 'installed'))).toMatchObject({ code: 'ER0218' });
    await call(onIp('bootstrap', IP, 'managed'));
    pass(5);
    expect(await call(onService('install', 'db1', 'installed'))).toBeNull();
    pass(10);
    expect(await service('db1')).toMatchObject({ code: 'ER0023' });
  });

  test('follows a ladder of its own where its kind is given', async () => {
    const { call, service, pass } = stage({
      ...onMachine({ mode: 'redis', state: 'stopped' }),
      instances: [{ id: 'i-1', ip: IP, state: 'running', rung: 'ssh-up' }],
      kinds: { redis: { host: 'ssh-up', ladder: ['installed', 'up', 'routed'] } },
    });
    expect(await call(onService('start', 'db1', 'up'))).toBeNull();
    pass(5);
    await call(onService('start', 'db1', 'routed'));
    pass(5);
    expect((await service('db1'))?.holds).toEqual({ installed: true, up: true, routed: true });
  });
});

describe('a simulated replica', () => {
  const replica = () =>
    stage({
      instances: [
        { id: 'i-1', ip: IP, state: 'running' },
        { id: 'i-2', ip: '10.0.0.6', state: 'running' },
      ],
      services: [
        { name: 'db1', ip: IP, mode: 'mariadb', status: 'master', cluster: 'shop' },
        { name: 'db2', ip: '10.0.0.6', mode: 'mariadb', status: 'slave', cluster: 'shop' },
        { name: 'lb1', ip: '10.0.0.6', mode: 'haproxy', status: 'master', cluster: 'shop' },
      ],
    });

  test('replicates while its master is up, and again once it is back', async () => {
    const { call, service, world, pass } = replica();
    expect(await service('db2')).toMatchObject({ holds: { replicating: true, routed: true }, lagMs: 0 });
    world.crash('db1');
    expect(await service('db2')).toMatchObject({ holds: { up: true, replicating: false, routed: false } });
    expect(await service('db2')).not.toHaveProperty('lagMs');
    await call(onService('start', 'db1', 'up'));
    pass(5);
    expect(await service('db2')).toMatchObject({ holds: { replicating: true, routed: true } });
  });
});

describe('bind', () => {
  const bound = (name: string, status: 'master' | 'slave') => {
    const ip = parseIp(IP);
    if (ip === null) throw new Error('no address');
    return { name, ip, mode: 'mariadb', status, settings: {} };
  };

  test('adds configured services, uninstalled, and takes the roles of those that are there', async () => {
    const { services, service } = stage(onMachine());
    services.bind([bound('db1', 'slave'), bound('db2', 'master')]);
    expect(await service('db1')).toMatchObject({ role: 'slave', holds: { up: true } });
    expect(await service('db2')).toMatchObject({ role: 'master', code: 'ER0024' });
  });
});

describe('a simulated fleet refuses', () => {
  test.each([
    ['a mode that is not known', { mode: 'oracle' }, 'ER0204', /'oracle'; known are mariadb/],
    ['a mode that an object happens to have', { mode: 'constructor' }, 'ER0204', /'constructor'/],
    ['a name that is none', { name: '../db' }, 'ER0230', /'\.\.\/db' is no name/],
    ['an ip that is none', { ip: 'localhost' }, 'ER0230', /'localhost'/],
    ['a rung that the kind has not', { mode: 'memcache', state: 'routed' as const }, 'ER0230', /installed, up/],
  ])('%s', (_, service, code, message) => {
    expect(() => stage(onMachine(service))).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });
});

describe('the seed fleet', () => {
  test('reads as the sample heartbeat of the seed', async () => {
    const { readInstances, readServices } = stage(SEED_FLEET);
    const sampleInstances = sample.instances_status.instances.flatMap((entry) => Object.values(entry));
    const instances = (await readInstances()).items.map(({ id, ip, power }) => ({ id, ip, state: power?.state }));
    expect(instances).toEqual(sampleInstances);
    const sampleServices = sample.services_status.services
      .flatMap((entry) => Object.values(entry))
      .map(({ name, ip, mode, status, code }) => ({ name, ip, mode, status, code }));
    const services = (await readServices()).items.map(({ name, ip, mode, role, code }) => ({
      name,
      ip,
      mode,
      status: role,
      code,
    }));
    expect(services).toEqual(sampleServices);
  });
});
