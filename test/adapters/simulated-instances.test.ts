import { describe, expect, test } from 'vitest';
import { onIp, onKey, stage } from '../support/simulated-stage.ts';

const IP = '10.0.0.5';
const machine = (
  state: 'running' | 'stopped' | 'pending' | 'stopping' | 'terminated',
  rung?: 'ssh-up' | 'bootstrapped' | 'managed',
) => ({
  instances: [{ id: 'i-1', ip: IP, state, ...(rung && { rung }) }],
});

describe('a simulated instance', () => {
  test('that is launched is pending, then running without ssh, then answers ssh', async () => {
    const { call, readInstances, pass } = stage();
    expect(await call(onIp('launch', IP))).toBeNull();
    const [launched] = (await readInstances()).items;
    expect(launched).toMatchObject({ cloud: 'simulated', ip: IP, power: { state: 'pending', raw: 'pending' } });
    expect(launched?.id).toMatch(/^i-[0-9a-f]{8}$/);
    pass(10);
    const [running] = (await readInstances()).items;
    expect(running).toMatchObject({ power: { state: 'running' }, ssh: 'refused' });
    expect(running).not.toHaveProperty('bootId');
    pass(20);
    expect((await readInstances()).items[0]).toMatchObject({ ssh: 'up', binaries: null, agent: false });
  });

  test('that is stopped is stopping, then stopped, and keeps its ip', async () => {
    const { call, instance, power, pass } = stage(machine('running'));
    await call(onIp('stop', IP));
    expect(await power('i-1')).toBe('stopping');
    pass(29);
    expect(await power('i-1')).toBe('stopping');
    pass(1);
    expect(await instance('i-1')).toMatchObject({ power: { state: 'stopped' }, ip: IP });
    expect(await instance('i-1')).not.toHaveProperty('ssh');
  });

  test('that is stopped hides its ip where the cloud is told so, and is still found by it', async () => {
    const { call, instance } = stage({ ...machine('stopped'), stoppedKeepsIp: false });
    expect(await instance('i-1')).toMatchObject({ ip: null });
    expect(await call(onIp('start', IP))).toBeNull();
    expect(await instance('i-1')).toMatchObject({ ip: IP, power: { state: 'pending' } });
  });

  test('that is started again has a new boot, its binaries, and no agent', async () => {
    const { call, instance, pass } = stage(machine('running'));
    const before = await instance('i-1');
    expect(before).toMatchObject({ ssh: 'up', agent: true });
    await call(onIp('stop', IP));
    pass(30);
    await call(onIp('start', IP));
    pass(30);
    const after = await instance('i-1');
    expect(after).toMatchObject({ ssh: 'up', binaries: before?.binaries, agent: false });
    expect(after?.bootId).not.toBe(before?.bootId);
  });

  test('brings its agent back after a boot where it is told to survive', async () => {
    const { call, instance, pass } = stage({ ...machine('running'), agentSurvives: true });
    await call(onIp('reboot', IP));
    pass(20);
    expect(await instance('i-1')).toMatchObject({ ssh: 'up', agent: true });
  });

  test('that is rebooted stays running, is silent meanwhile, and has a new boot', async () => {
    const { call, instance, pass } = stage(machine('running'));
    const before = await instance('i-1');
    await call(onIp('reboot', IP));
    expect(await instance('i-1')).toMatchObject({ power: { state: 'running' }, ssh: 'refused' });
    pass(20);
    const after = await instance('i-1');
    expect(after).toMatchObject({ ssh: 'up' });
    expect(after?.bootId).not.toBe(before?.bootId);
  });

  test('that is terminated is shutting down, then terminated without an ip, then gone', async () => {
    const { call, instance, power, pass } = stage(machine('running'));
    await call(onIp('terminate', IP));
    expect(await power('i-1')).toBe('shutting-down');
    pass(30);
    expect(await instance('i-1')).toMatchObject({ power: { state: 'terminated' }, ip: null });
    pass(100);
    expect(await instance('i-1')).toBeUndefined();
  });

  test('that is launched where another was terminated is a new, bare machine', async () => {
    const { call, readInstances, pass } = stage(machine('running'));
    await call(onIp('terminate', IP));
    pass(30);
    await call(onKey('launch', 'instances/simulated/i-1'));
    pass(30);
    const [, launched] = (await readInstances()).items;
    expect(launched).toMatchObject({ ip: IP, ssh: 'up', binaries: null, agent: false });
    expect(launched?.id).not.toBe('i-1');
  });

  test('without an ip gets one when it is started', async () => {
    const { call, instance, pass } = stage({ instances: [{ id: 'i-1', ip: null, state: 'stopped' }] });
    expect(await instance('i-1')).toMatchObject({ ip: null });
    await call(onKey('start', 'instances/simulated/i-1'));
    pass(30);
    expect(await instance('i-1')).toMatchObject({ ip: expect.stringMatching(/^198\.18\./), ssh: 'up' });
  });

  test('is bootstrapped rung by rung, and no further than asked', async () => {
    const { call, instance, pass } = stage(machine('running', 'ssh-up'));
    await call(onIp('bootstrap', IP, 'bootstrapped'));
    expect(await instance('i-1')).toMatchObject({ binaries: null });
    pass(40);
    expect(await instance('i-1')).toMatchObject({ binaries: expect.any(String), agent: false });
    pass(100);
    expect(await instance('i-1')).toMatchObject({ agent: false });
    await call(onIp('bootstrap', IP, 'managed'));
    pass(5);
    expect(await instance('i-1')).toMatchObject({ agent: true });
  });

  test('goes on with its bootstrap when it is asked for more meanwhile', async () => {
    const { call, instance, pass, log } = stage(machine('running', 'ssh-up'));
    await call(onIp('bootstrap', IP, 'bootstrapped'));
    pass(30);
    await call(onIp('bootstrap', IP, 'managed'));
    await call(onIp('bootstrap', IP, 'managed'));
    pass(15);
    expect(await instance('i-1')).toMatchObject({ binaries: expect.any(String), agent: true });
    expect(log.map(({ outcome }) => outcome)).toEqual(['applied', 'applied', 'held']);
  });

  test('that loses its power while it is bootstrapped has not got its binaries, until it is bootstrapped again', async () => {
    const { call, instance, world, pass } = stage(machine('running', 'ssh-up'));
    await call(onIp('bootstrap', IP));
    world.power(IP, 'off');
    world.power(IP, 'on');
    pass(100);
    expect(await instance('i-1')).toMatchObject({ ssh: 'up', binaries: null });
    await call(onIp('bootstrap', IP));
    pass(45);
    expect(await instance('i-1')).toMatchObject({ binaries: expect.any(String), agent: true });
  });

  test('whose plug is pulled is stopped at once, and boots when it is put back', async () => {
    const { power, world, pass } = stage(machine('running'));
    world.power(IP, 'off');
    expect(await power('i-1')).toBe('stopped');
    world.power(IP, 'on');
    pass(10);
    expect(await power('i-1')).toBe('running');
    expect(world.powerAt(IP)).toBe('running');
  });

  test('whose plug is pulled while it boots stays stopped', async () => {
    const { call, power, world, pass } = stage(machine('stopped'));
    await call(onIp('start', IP));
    pass(5);
    world.power(IP, 'off');
    pass(100);
    expect(await power('i-1')).toBe('stopped');
  });

  test('answers ssh as it is told to, until it gets its own answer back', async () => {
    const { call, instance, world } = stage(machine('running', 'ssh-up'));
    world.setSsh(IP, 'host-key-changed');
    expect(await instance('i-1')).toMatchObject({ ssh: 'host-key-changed' });
    expect(await instance('i-1')).not.toHaveProperty('agent');
    expect(await call(onIp('bootstrap', IP))).toMatchObject({ subject: IP, code: 'ER0244' });
    world.setSsh(IP, 'up');
    expect(await instance('i-1')).toMatchObject({ ssh: 'up' });
  });

  test('goes on from the state in which it was configured', async () => {
    const coming = stage(machine('pending'));
    coming.pass(10);
    expect(await coming.power('i-1')).toBe('running');
    const going = stage(machine('stopping'));
    going.pass(30);
    expect(await going.power('i-1')).toBe('stopped');
    const gone = stage(machine('terminated'));
    expect(await gone.instance('i-1')).toMatchObject({ ip: null });
    gone.pass(100);
    expect(await gone.instance('i-1')).toBeUndefined();
  });
});

describe('the simulated cloud refuses', () => {
  test.each([
    ['start', 'stopping'],
    ['start', 'terminated'],
    ['stop', 'pending'],
    ['stop', 'terminated'],
    ['reboot', 'stopped'],
    ['bootstrap', 'stopped'],
  ] as const)('%s of an instance that is %s', async (verb, state) => {
    const { call, power, log } = stage(machine(state));
    expect(await call(onKey(verb, 'instances/simulated/i-1'))).toMatchObject({ code: 'ER0206' });
    expect(await power('i-1')).toBe(state);
    expect(log).toEqual([]);
  });

  test('a launch at an address that is taken', async () => {
    const { call, readInstances } = stage(machine('stopped'));
    expect(await call(onIp('launch', IP))).toMatchObject({ subject: IP, code: 'ER0208' });
    expect((await readInstances()).items).toHaveLength(1);
  });

  test('a key of another cloud', async () => {
    const { call } = stage(machine('running'));
    expect(await call(onKey('stop', 'instances/elsewhere/i-1'))).toMatchObject({ code: 'ER0205' });
    expect(await call(onKey('stop', `instances/elsewhere/wanted/${IP}`))).toMatchObject({ code: 'ER0205' });
    expect(await call(onKey('stop', `instances/simulated/wanted/${IP}`))).toBeNull();
  });

  test.each([
    ['an id twice', [machine('running').instances[0], machine('running').instances[0]], /i-1 is there twice/],
    [
      'an ip twice',
      [machine('running').instances[0], { id: 'i-2', ip: IP, state: 'stopped' as const }],
      /i-1 and i-2 both have the ip/,
    ],
    ['no address', [{ id: 'i-1', ip: '10.0.0', state: 'running' as const }], /the ip '10\.0\.0'/],
    ['no id', [{ id: 'two words', ip: IP, state: 'running' as const }], /no provider's id/],
  ])('a fleet with %s', (_, instances, message) => {
    expect(() => stage({ instances: instances.filter((instance) => instance !== undefined) })).toThrow(message);
  });
});

describe('a call to the simulated cloud', () => {
  test('applies once when its token comes again', async () => {
    const { call, readInstances, log, pass, applied } = stage();
    for (let i = 0; i < 3; i++) {
      expect(await call(onIp('launch', IP), 'launch-1')).toBeNull();
      pass(1000);
    }
    expect((await readInstances()).items).toHaveLength(1);
    expect(log.map(({ token, verb, outcome }) => [token, verb, outcome])).toEqual([
      ['launch-1', 'launch', 'applied'],
      ['launch-1', 'launch', 'repeated'],
      ['launch-1', 'launch', 'repeated'],
    ]);
    expect(log.map(({ at }) => at)).toEqual([0, 1000, 2000]);
    expect(log.filter(({ token }) => applied(token) !== 1)).toEqual([]);
  });

  test('that asks for what is so already changes nothing', async () => {
    const { call, log, instance } = stage(machine('running'));
    const before = await instance('i-1');
    expect(await call(onIp('start', IP))).toBeNull();
    expect(await instance('i-1')).toEqual(before);
    expect(log).toMatchObject([{ subject: 'i-1', outcome: 'held' }]);
  });

  test('comes too late when its duplicate arrives after another call has changed the instance', async () => {
    const { call, power, pass } = stage(machine('stopped'));
    await call(onIp('start', IP), 'mine');
    pass(30);
    await call(onIp('stop', IP), 'theirs');
    pass(30);
    expect(await call(onIp('start', IP), 'mine')).toBeNull();
    expect(await power('i-1')).toBe('stopped');
  });

  test('regains under its own token what an accident has undone', async () => {
    const { call, power, world, pass } = stage(machine('stopped'));
    await call(onIp('start', IP), 'mine');
    pass(30);
    world.power(IP, 'off');
    await call(onIp('start', IP), 'mine');
    expect(await power('i-1')).toBe('pending');
  });

  test('reboots once per token, whatever happens', async () => {
    const { call, instance, pass } = stage(machine('running'));
    await call(onIp('reboot', IP), 'mine');
    pass(20);
    const once = await instance('i-1');
    await call(onIp('reboot', IP), 'mine');
    expect(await instance('i-1')).toEqual(once);
  });
});
