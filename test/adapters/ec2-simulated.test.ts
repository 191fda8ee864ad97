import type { Ec2Options } from 'fleetbeat/adapters/ec2';
import { driverContract, type SimulatedCloudOptions, simulatedCloud } from 'fleetbeat/testing';
import { describe, expect, test } from 'vitest';
import { asInstant } from '../../src/domain/identity.ts';
import { isThorough } from '../properties/runs.ts';
import { callTo, driverFor } from '../support/aws-mock-scripted.ts';
import { FIXED_MS } from '../support/simulated-ec2.ts';

const never = new AbortController().signal;
/** Launches under loss. */
const COUNT = isThorough ? 200 : 12;
const TWO = [
  { id: 'i-1', ip: '10.0.0.1', state: 'stopped' },
  { id: 'i-2', ip: '10.0.0.2', state: 'running' },
] as const;

/** A driver over HTTP to a simulated EC2, on one clock, which passes only when somebody waits or the test says so. */
async function stage(options: SimulatedCloudOptions = {}, driven: Partial<Ec2Options> = {}) {
  let now = 1_000_000;
  const sleep = async (ms: number, signal: AbortSignal) => {
    signal.throwIfAborted();
    now += ms;
  };
  const cloud = simulatedCloud({ now: () => asInstant(now), sleep, latency: { ms: FIXED_MS }, instances: TWO, ...options });
  const endpoint = await cloud.listen();
  const make = () =>
    driverFor(
      { endpoint: endpoint.url },
      { clock: { now: () => now, sleep }, launch: { imageId: 'ami-1', instanceType: 't3.small' }, ...driven },
    );
  const driver = make();
  return {
    cloud,
    driver,
    /** One of another process, which remembers nothing. */
    another: make,
    now: () => asInstant(now),
    pass: (ms: number) => {
      now += ms;
    },
    read: () => driver.observe({ now: asInstant(now), maxAgeMs: 0 }, never),
    close: () => endpoint.close(),
    [Symbol.asyncDispose]: () => endpoint.close(),
  };
}

describe('the driver of EC2 keeps the contract of a driver, over HTTP to a simulated EC2', () => {
  const subjects = [callTo('10.0.0.1', 'start'), callTo('10.0.0.2', 'reboot'), callTo('10.0.0.7', 'launch')];
  const legal = subjects.map(({ call }) => call) as [(typeof subjects)[0]['call'], (typeof subjects)[0]['call']];
  const effects = { start: ['StartInstances', 'i-1'], reboot: ['RebootInstances', 'i-2'] } as const;

  for (const { name, run } of driverContract) {
    test(name, () =>
      run(async () => {
        const { cloud, driver, now, pass, close } = await stage();
        const verbs = new Map<string, string>();
        return {
          driver: {
            ...driver,
            perform(calls, signal) {
              for (const { call, permit } of calls) verbs.set(permit.token, call.do.verb);
              return driver.perform(calls, signal);
            },
          },
          now,
          advance: pass,
          close,
          subjects: { legal, unknown: callTo('10.0.0.99', 'stop').call },
          applied(token) {
            const verb = verbs.get(token);
            if (verb !== 'start' && verb !== 'reboot') return cloud.instances().filter(({ ip }) => ip === '10.0.0.7').length;
            const [action, id] = effects[verb];
            return cloud.effects().filter((effect) => effect.action === action && effect.id === id).length;
          },
        };
      }),
    );
  }
});

describe('the driver of EC2 on a simulated EC2', () => {
  test('follows an instance from its launch to its end', async () => {
    await using account = await stage();
    const { driver, cloud, read, pass } = account;
    const powerAt = async (ip: string) => (await read()).items.find((item) => item.ip === ip)?.power?.state;
    expect(await driver.perform([callTo('10.0.0.7', 'launch')], never)).toEqual([null]);
    expect(await powerAt('10.0.0.7')).toBe('pending');
    pass(1000);
    expect(await powerAt('10.0.0.7')).toBe('running');
    expect(await driver.perform([callTo('10.0.0.7', 'stop')], never)).toEqual([null]);
    expect(await powerAt('10.0.0.7')).toBe('stopping');
    pass(1000);
    expect(await powerAt('10.0.0.7')).toBe('stopped');
    expect(await driver.perform([callTo('10.0.0.7', 'terminate')], never)).toEqual([null]);
    pass(50);
    const ended = cloud.instances().find(({ ip }) => ip === '10.0.0.7')?.id;
    expect((await read()).items.find(({ id }) => id === ended)?.power?.state).toBe('terminated');
  });

  test('reads an account of many pages whole', async () => {
    const instances = Array.from({ length: 1050 }, (_, i) => ({
      id: `i-${i}`,
      ip: `10.1.${i >> 8}.${i & 255}`,
      state: 'running' as const,
    }));
    await using account = await stage({ instances });
    const { items, complete } = await account.read();
    expect([new Set(items.map(({ id }) => id)).size, complete]).toEqual([1050, true]);
    expect(account.cloud.calls().DescribeInstances).toEqual({ ok: 2 });
  });

  test('starts two hundred with one request, and launches thirty at the pace of the buckets: nothing is throttled', async () => {
    const instances = Array.from({ length: 200 }, (_, i) => ({ id: `i-${i}`, ip: `10.1.0.${i}`, state: 'stopped' as const }));
    await using account = await stage({ instances });
    const { driver, cloud, read, now } = account;
    await read();
    const starts = await driver.perform(
      instances.map(({ ip }) => callTo(ip, 'start')),
      never,
    );
    expect(new Set(starts)).toEqual(new Set([null]));
    const before = now();
    const launches = await driver.perform(
      Array.from({ length: 30 }, (_, i) => callTo(`10.2.0.${i}`, 'launch')),
      never,
    );
    expect(new Set(launches)).toEqual(new Set([null]));
    expect(cloud.calls()).toEqual({ DescribeInstances: { ok: 1 }, StartInstances: { ok: 1 }, RunInstances: { ok: 30 } });
    // 5 at once, then 2 a second.
    expect(now() - before).toBeGreaterThanOrEqual(12_500);
  });

  test('slows down where somebody else draws on the same buckets, and gets its turn', async () => {
    await using account = await stage();
    const { driver, another, cloud } = account;
    const ips = Array.from({ length: 5 }, (_, i) => `10.2.0.${i}`);
    const other = another();
    expect(
      await other.perform(
        ips.map((ip) => callTo(ip, 'launch')),
        never,
      ),
    ).toEqual(ips.map(() => null));
    expect(await driver.perform([callTo('10.3.0.1', 'launch')], never)).toEqual([null]);
    expect(cloud.calls().RunInstances).toMatchObject({ ok: 6, RequestLimitExceeded: expect.any(Number) });
    expect(driver.calls.filter(({ verb }) => verb === 'RunInstances').map(({ outcome }) => outcome)).toContain('throttled');
  });

  test('launches once for one intent, though the answer is lost, another process repeats it, and EC2 shows it late', async () => {
    await using account = await stage({ errors: { replyLost: 0.5 }, eventualConsistency: 0.7, seed: 11 });
    const { cloud, another, pass } = account;
    const ips = Array.from({ length: COUNT }, (_, i) => `10.2.0.${i}`);
    const lost: string[] = [];
    for (const ip of ips) {
      for (let attempt = 0; ; attempt++) {
        const [answer] = await another().perform([callTo(ip, 'launch', attempt > 0 ? { isRepeated: true } : {})], never);
        pass(1000);
        if (answer === null) break;
        // A lookup before the launch may be lost too: nothing was called then.
        expect(['ER0220', 'ER0221']).toContain(answer?.code);
        lost.push(ip);
      }
    }
    expect(lost.length).toBeGreaterThan(COUNT / 4);
    expect(cloud.instances().filter(({ ip }) => ip !== null && ips.includes(ip)).length).toBe(COUNT);
  });

  test('does the others of a batch with an instance that does not exist, and one that cannot', async () => {
    await using account = await stage({ instances: [...TWO, { id: 'i-3', ip: '10.0.0.3', state: 'terminated' }] });
    const { driver, cloud, read, pass } = account;
    const answers = await driver.perform(
      ['i-1', 'i-0000000000000009f', 'i-3'].map((id) => callTo(id, 'start')),
      never,
    );
    expect(answers.map((answer) => answer?.code ?? null)).toEqual([null, 'ER0205', 'ER0206']);
    pass(1000);
    expect((await read()).items.find(({ id }) => id === 'i-1')?.power?.state).toBe('running');
    expect(cloud.calls().StartInstances?.ok).toBe(1);
  });

  test('moves elastic and virtual ips', async () => {
    await using account = await stage({ elasticIps: ['198.51.100.1'] });
    const { addresses } = account.driver;
    expect(await addresses.associate('198.51.100.1', { id: 'i-2' })).toMatchObject({ instanceId: 'i-2', privateIp: '10.0.0.2' });
    expect(await addresses.associateVip('10.0.0.100', { ip: '10.0.0.2' })).toMatchObject({ instanceId: 'i-2' });
    expect(await addresses.associateVip('10.0.0.100', { id: 'i-1' })).toMatchObject({ instanceId: 'i-1' });
    expect(await addresses.disassociate('10.0.0.100')).toMatchObject({ instanceId: null });
    expect(await addresses.disassociate('198.51.100.1')).toMatchObject({ instanceId: null });
    expect(await addresses.statusEip()).toMatchObject([{ ip: '198.51.100.1', associationId: null }]);
  });
});

test('an instance carries the name that its tag gives it, in one line, and none where it has no such tag', async () => {
  await using world = await stage({
    instances: [
      { ...TWO[0], tags: { Name: 'shop db\u001b[2J\n1' } },
      { ...TWO[1], tags: { name: 'not this' } },
    ],
  });
  const { items } = await world.read();
  expect(items.map(({ name }) => name)).toEqual(['shop db\ufffd[2J 1', undefined]);
});
