import { type ApiCall, asInstant, type Call, type PermittedCall, type Problem } from 'fleetbeat';
import { type CloudDriverOptions, driverContract, type SimulatedCloudOptions, simulatedCloud } from 'fleetbeat/testing';
import { describe, expect, test } from 'vitest';
import { FIXED_MS } from '../support/simulated-ec2.ts';
import { onIp, onKey, onService, permitted } from '../support/simulated-stage.ts';

const MACHINES = [
  { id: 'i-1', ip: '10.0.0.1', state: 'stopped' },
  { id: 'i-2', ip: '10.0.0.2', state: 'running' },
  { id: 'i-3', ip: '10.0.0.3', state: 'running' },
] as const;

const never = new AbortController().signal;

/** A driver on a simulated cloud, with its clock in the test's hand. */
function stage(options: SimulatedCloudOptions = {}, driven: CloudDriverOptions = {}) {
  let now = 0;
  const cloud = simulatedCloud({
    now: () => asInstant(now),
    sleep: async (ms) => {
      now += ms;
    },
    instances: MACHINES,
    latency: { ms: FIXED_MS },
    ...options,
  });
  const driver = cloud.driver(driven);
  let tokens = 0;
  return {
    cloud,
    driver,
    now: () => asInstant(now),
    pass(ms: number) {
      now += ms;
    },
    read: (caller?: 'waiting') => driver.observe({ now: asInstant(now), maxAgeMs: 0, ...(caller && { caller }) }, never),
    perform: (...calls: readonly PermittedCall[]) => driver.perform(calls, never),
    async call(call: Call, token = `token-${++tokens}`): Promise<Problem | null> {
      const [answer] = await driver.perform([permitted(call, token)], never);
      return answer ?? null;
    },
  };
}

describe.each(['clientToken', 'tag'] as const)('the driver of a simulated cloud that launches once by %s', (launchedOnceBy) => {
  for (const { name, run } of driverContract) {
    test(name, () =>
      run(async () => {
        const { cloud, driver, now, pass } = stage({ throttling: false }, { launchedOnceBy });
        const legal = [onIp('launch', '10.0.0.7'), onIp('reboot', '10.0.0.2'), onIp('start', '10.0.0.1')] as const;
        const subjects = { legal, unknown: onIp('stop', '10.0.0.99') };
        return { driver, now, subjects, advance: pass, applied: cloud.applied };
      }),
    );
  }
});

describe('the driver of a simulated cloud', () => {
  test('knows power and address, and nothing of what is inside', async () => {
    const { read } = stage();
    expect((await read()).items).toEqual([
      { cloud: 'simulated', id: 'i-1', ip: '10.0.0.1', readAt: 0, power: { state: 'stopped', raw: 'stopped' } },
      { cloud: 'simulated', id: 'i-2', ip: '10.0.0.2', readAt: 0, power: { state: 'running', raw: 'running' } },
      { cloud: 'simulated', id: 'i-3', ip: '10.0.0.3', readAt: 0, power: { state: 'running', raw: 'running' } },
    ]);
  });

  test('sends all calls of one verb in one request, and those that cannot be spoil no other', async () => {
    const { perform, cloud, read, pass } = stage({
      instances: [...MACHINES, { id: 'i-4', ip: '10.0.0.4', state: 'stopping' }],
    });
    await read();
    const answers = await perform(
      permitted(onKey('start', 'instances/simulated/i-1'), 'a'),
      permitted(onKey('start', 'instances/simulated/i-404'), 'b'),
      permitted(onIp('start', '10.0.0.4'), 'c'),
      permitted(onIp('stop', '10.0.0.3'), 'd'),
      permitted(onIp('start', '10.0.0.2'), 'e'),
    );
    expect(answers).toMatchObject([null, { subject: 'i-404', code: 'ER0205' }, { subject: 'i-4', code: 'ER0206' }, null, null]);
    expect(cloud.calls()).toMatchObject({
      StartInstances: { ok: 1, 'InvalidInstanceID.NotFound': 1, IncorrectInstanceState: 1 },
      StopInstances: { ok: 1 },
    });
    pass(30);
    expect(cloud.instances().map(({ power }) => power)).toEqual(['running', 'running', 'stopped', 'stopped']);
  });

  test.each(['stop', 'start', 'reboot', 'terminate'] as const)('refuses to %s what does not exist', async (verb) => {
    const { call, cloud } = stage();
    expect(await call(onIp(verb, '10.0.0.99'))).toMatchObject({ subject: '10.0.0.99', code: 'ER0205' });
    expect(await call(onKey(verb, 'instances/simulated/wanted/10.0.0.99'))).toMatchObject({ code: 'ER0205' });
    expect(await call(onKey(verb, 'instances/elsewhere/i-1'))).toMatchObject({ code: 'ER0205' });
    expect(cloud.instances()).toHaveLength(3);
    expect(cloud.effects()).toEqual([]);
  });

  test('refuses to launch at an address that is taken, and what is not its own', async () => {
    const { call } = stage();
    expect(await call(onIp('launch', '10.0.0.1'))).toMatchObject({ code: 'ER0208' });
    expect(await call(onKey('launch', 'instances/simulated/i-404'))).toMatchObject({ code: 'ER0205' });
    expect(await call(onIp('bootstrap', '10.0.0.2'))).toMatchObject({ code: 'ER0229' });
    expect(await call(onService('start', 'node1'))).toMatchObject({ code: 'ER0229' });
  });

  test('launches again what was terminated, by its id', async () => {
    const { call, read, pass, cloud } = stage();
    await read();
    await call(onIp('terminate', '10.0.0.2'));
    pass(30);
    await read();
    expect(await call(onKey('launch', 'instances/simulated/i-2'))).toBeNull();
    expect(cloud.instances().map(({ ip, power }) => [ip, power])).toContainEqual(['10.0.0.2', 'pending']);
  });

  test('reboots once for a token', async () => {
    const { call, cloud, pass } = stage();
    expect([await call(onIp('reboot', '10.0.0.2'), 'mine'), await call(onIp('reboot', '10.0.0.2'), 'mine')]).toEqual([
      null,
      null,
    ]);
    pass(20);
    expect(await call(onIp('reboot', '10.0.0.2'), 'mine')).toBeNull();
    expect(await call(onIp('reboot', '10.0.0.2'), 'other')).toBeNull();
    expect(cloud.instances().find(({ id }) => id === 'i-2')?.boots).toBe(3);
  });

  test('reads page by page, and tells of each until nobody listens any more', async () => {
    const instances = Array.from({ length: 12 }, (_, i) => ({ id: `i-${i}`, ip: `10.0.0.${i + 1}`, state: 'running' as const }));
    const { read, cloud, driver } = stage({ instances }, { pageSize: 5 });
    expect(await read()).toMatchObject({ complete: true, items: { length: 12 } });
    expect(cloud.calls().DescribeInstances).toEqual({ ok: 3 });
    const told: ApiCall[] = [];
    const end = driver.onCall((call) => told.push(call));
    await read();
    end();
    await read();
    expect(told).toHaveLength(3);
  });

  test('a read whose later page is throttled is incomplete; one whose first is, fails retryably', async () => {
    const instances = Array.from({ length: 12 }, (_, i) => ({ id: `i-${i}`, ip: `10.0.0.${i + 1}`, state: 'running' as const }));
    const { read, cloud, driver } = stage({ instances }, { pageSize: 5 });
    const end = driver.onCall(() => {
      cloud.faults.once('throttled');
      end();
    });
    expect(await read()).toMatchObject({
      complete: false,
      items: { length: 5 },
      problems: [{ subject: 'simulated', code: 'ER0235' }],
    });
    await expect(read()).resolves.toMatchObject({ complete: true });
    cloud.faults.once('throttled');
    await expect(read()).rejects.toMatchObject({ code: 'ER0235', retryable: true });
  });

  test('tells of each request, on whose behalf and how it ended', async () => {
    const { read, call, driver, cloud } = stage();
    const told: ApiCall[] = [];
    driver.onCall((call) => told.push(call));
    await read('waiting');
    await call(onIp('start', '10.0.0.1'));
    cloud.faults.once('throttled');
    await call(onIp('stop', '10.0.0.2'));
    await call(onKey('stop', 'instances/simulated/i-0404'));
    cloud.faults.once('replyLost');
    await call(onIp('stop', '10.0.0.3'));
    expect(told.map(({ verb, caller, outcome }) => `${verb} ${caller} ${outcome}`)).toEqual([
      'DescribeInstances waiting ok',
      'StartInstances action ok',
      'StopInstances action throttled',
      'StopInstances action refused',
      'StopInstances action failed',
    ]);
  });

  test.each([
    ['throttled', 'ER0221', 'running'],
    ['unavailable', 'ER0221', 'running'],
    ['requestLost', 'ER0220', 'running'],
    ['replyLost', 'ER0220', 'stopping'],
  ] as const)('a call whose request meets %s is answered with %s, and the instance is %s', async (fault, code, power) => {
    const { read, call, cloud } = stage();
    await read();
    cloud.faults.once(fault);
    expect(await call(onIp('stop', '10.0.0.2'))).toMatchObject({ code });
    expect(cloud.instances()[1]?.power).toBe(power);
  });

  test.each(['requestLost', 'replyLost', 'throttled', 'unavailable', 'noCapacity'] as const)(
    'a fault that is to strike a launch strikes that, and nothing else: %s',
    async (fault) => {
      const { cloud, call, read } = stage();
      cloud.strike('RunInstances', fault);
      await read();
      expect(await call(onIp('start', '10.0.0.1'))).toBeNull();
      expect(await call(onIp('launch', '10.0.0.7'), 'mine')).not.toBeNull();
      expect(await call(onIp('launch', '10.0.0.7'), 'mine')).toBeNull();
      expect(cloud.instances()).toHaveLength(4);
    },
  );

  test('a launch or a start without capacity is refused, and goes through later', async () => {
    const { call, cloud } = stage({ errors: { noCapacity: 1 } });
    expect(await call(onIp('launch', '10.0.0.7'), 'mine')).toMatchObject({ code: 'ER0221' });
    expect(await call(onIp('start', '10.0.0.1'))).toMatchObject({ code: 'ER0221' });
    cloud.faults.clear();
    expect(await call(onIp('launch', '10.0.0.7'), 'mine')).toBeNull();
    expect(await call(onIp('start', '10.0.0.1'))).toBeNull();
    expect(cloud.instances().map(({ power }) => power)).toEqual(['pending', 'running', 'running', 'pending']);
  });

  describe('that launches once by tag', () => {
    const repeated = (call: Call, token: string): PermittedCall => ({
      call,
      permit: { ...permitted(call, token).permit, isRepeated: true },
    });
    const driven = { launchedOnceBy: 'tag', lookMs: 20, lookEveryMs: 5 } as const;
    const launch = onIp('launch', '10.0.0.7');

    test('adopts what a repeated launch has made, though it shows only later', async () => {
      const { perform, cloud } = stage({ eventualConsistency: 1, overlappingIps: true }, driven);
      cloud.faults.once('replyLost');
      expect(await perform(permitted(launch, 'mine'))).toMatchObject([{ code: 'ER0220' }]);
      expect(await perform(repeated(launch, 'mine'))).toEqual([null]);
      expect(cloud.instances().filter(({ ip }) => ip === '10.0.0.7')).toHaveLength(1);
    });

    test('knows nothing of a repeated launch that it cannot look for', async () => {
      const { perform, cloud } = stage({ overlappingIps: true }, driven);
      cloud.strike('DescribeInstances', 'throttled');
      expect(await perform(repeated(launch, 'mine'))).toMatchObject([{ code: 'ER0220' }]);
      expect(cloud.calls()).toEqual({ DescribeInstances: { RequestLimitExceeded: 1 } });
    });

    test('launches nothing once its permit has ended while it looked', async () => {
      const { perform, cloud, now } = stage({ overlappingIps: true }, driven);
      const { permit } = repeated(launch, 'mine');
      const answers = await perform({ call: launch, permit: { ...permit, valid: () => now() < 20 } });
      expect(answers).toMatchObject([{ code: 'ER0217' }]);
      expect(cloud.calls()).toEqual({ DescribeInstances: { ok: 5 } });
    });

    test('launches where nothing of it shows for long enough', async () => {
      const { perform, cloud } = stage({ overlappingIps: true }, driven);
      cloud.faults.once('requestLost');
      expect(await perform(permitted(launch, 'mine'))).toMatchObject([{ code: 'ER0220' }]);
      expect(await perform(repeated(launch, 'mine'))).toEqual([null]);
      expect(cloud.instances().filter(({ ip }) => ip === '10.0.0.7')).toHaveLength(1);
      expect(cloud.calls().DescribeInstances).toEqual({ ok: 5 });
    });
  });
});

describe('the machines of a simulated cloud', () => {
  test('answer ssh some time after they run, with the id of their boot', async () => {
    const { cloud, call, pass } = stage();
    const shell = cloud.shell();
    const ip = '10.0.0.1' as Parameters<typeof shell.reachable>[0];
    const bootId = async () => (await shell.run(ip, ['cat', '/proc/sys/kernel/random/boot_id'], { deadlineMs: 1 }, never)).stdout;
    expect(await shell.reachable(ip, never)).toBe('timeout');
    await expect(bootId()).rejects.toMatchObject({ code: 'ER0241' });
    await call(onIp('start', '10.0.0.1'));
    pass(10);
    expect(await shell.reachable(ip, never)).toBe('refused');
    pass(20);
    expect(await shell.reachable(ip, never)).toBe('up');
    const boot = await bootId();
    await call(onIp('reboot', '10.0.0.1'));
    pass(20);
    expect(await bootId()).not.toBe(boot);
    cloud.setSsh('i-1', 'auth-failed');
    expect(await shell.reachable(ip, never)).toBe('auth-failed');
    expect(await shell.reachable('10.0.0.99' as typeof ip, never)).toBe('timeout');
  });

  test('run what a test has their commands come to', async () => {
    const { cloud } = stage();
    const shell = cloud.shell((ip, argv) => ({ exit: 3, stdout: `${ip} ${argv.join(' ')}`, stderr: '' }));
    const ip = '10.0.0.2' as Parameters<typeof shell.reachable>[0];
    expect(await shell.run(ip, ['uname'], { deadlineMs: 1 }, never)).toEqual({ exit: 3, stdout: '10.0.0.2 uname', stderr: '' });
  });

  test('lose their power, and get it back, past the provider', async () => {
    const { cloud, pass } = stage();
    cloud.power('10.0.0.2', 'off');
    expect(cloud.instances()[1]?.power).toBe('stopped');
    cloud.power('i-2', 'on');
    pass(10);
    expect(cloud.instances()[1]?.power).toBe('running');
    expect(() => cloud.power('10.0.0.99', 'off')).toThrow(expect.objectContaining({ code: 'ER0205' }));
  });
});

describe('a simulated cloud', () => {
  test.each([
    [{ instances: [{ id: 'i 1', ip: '10.0.0.1', state: 'running' }] }, "'i 1' is no provider's id"],
    [{ instances: [{ id: 'i-1', ip: '10.0.0', state: 'running' }] }, "has the ip '10.0.0'"],
    [{ instances: [MACHINES[0], MACHINES[0]] }, 'i-1 is there twice'],
    [{ instances: [MACHINES[0], { ...MACHINES[1], ip: '10.0.0.1' }] }, 'i-1 and i-2 both have the ip 10.0.0.1'],
    [{ elasticIps: ['203.0.113.5', '203.0.113.5'] }, 'is there twice'],
    [{ cloud: 'a b' }, "cloud is 'a b'"],
    [{ capacity: -1 }, 'capacity is -1'],
    [{ quota: Number.NaN }, 'quota is NaN'],
    [{ eventualConsistency: 2 }, 'eventualConsistency is 2'],
    [{ latency: { ms: { answer: [5, 1] } } }, "latency.ms['answer']"],
  ] as const)('that cannot be is refused: %j', (options, message) => {
    expect(() => simulatedCloud(options as SimulatedCloudOptions)).toThrow(
      expect.objectContaining({ code: 'ER0230', detail: expect.stringContaining(message) }),
    );
  });

  test('is the same for the same seed and the same history, and another for another seed', async () => {
    const story = async (seed: number) => {
      const { call, pass, cloud, read } = stage({
        seed,
        latency: {},
        errors: { replyLost: 0.3, requestLost: 0.2, throttled: 0.1, interrupted: 0.3 },
        eventualConsistency: 0.5,
      });
      const told: unknown[] = [];
      for (let i = 0; i < 20; i++) {
        told.push(await call(onIp('launch', `10.0.1.${i}`)));
        pass(5000);
        told.push(await read().catch((error: unknown) => String(error)));
      }
      return [told, cloud.instances(), cloud.calls(), cloud.effects(), cloud.nextAt()];
    };
    expect(await story(7)).toEqual(await story(7));
    expect(await story(8)).not.toEqual(await story(7));
  });

  test('says when something happens next, so that a clock may jump', async () => {
    const { cloud, call } = stage();
    expect(cloud.nextAt()).toBeNull();
    await call(onIp('stop', '10.0.0.2'));
    expect(cloud.nextAt()).toBe(30);
  });

  test('remembers a client token for a day', async () => {
    const { pass, cloud } = stage({ overlappingIps: true });
    // Each time by another process, which has nothing but the token.
    const launch = () => cloud.driver().perform([permitted(onIp('launch', '10.0.0.7'), 'mine')], never);
    await launch();
    pass(86_399_999);
    await launch();
    expect(cloud.instances()).toHaveLength(4);
    pass(1);
    await launch();
    expect(cloud.instances()).toHaveLength(5);
  });
});
