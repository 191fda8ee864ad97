import { asInstant, asToken, type Driver, type InstanceFacts, type PermittedCall } from 'fleetbeat';
import { ec2, secret } from 'fleetbeat/adapters/ec2';
import {
  type CloudDriverOptions,
  type CloudUnderTest,
  cloudScenarios,
  type SimulatedCloud,
  type SimulatedCloudOptions,
  simulatedCloud,
  simulatedFleet,
} from 'fleetbeat/testing';
import { describe, expect, test } from 'vitest';
import { isThorough } from '../properties/runs.ts';

const START = 1_700_000_000_000;
const IPS = { running: '10.0.0.1', stopped: '10.0.0.2', free: '10.0.0.7', nowhere: '10.0.0.99' } as const;
const MACHINES = [
  { id: 'i-1', ip: IPS.running, state: 'running' },
  { id: 'i-2', ip: IPS.stopped, state: 'stopped' },
] as const;

/** A clock that goes on where somebody waits. */
function handClock() {
  let now = START;
  return {
    now: () => asInstant(now),
    pass(ms: number) {
      now += ms;
    },
    async sleep(ms: number) {
      now += ms;
    },
  };
}

const cloudOn = ({ now, sleep }: ReturnType<typeof handClock>, options: SimulatedCloudOptions) =>
  simulatedCloud({ now, sleep, instances: MACHINES, ...options });

const hooksOf = (cloud: SimulatedCloud, { now, pass }: ReturnType<typeof handClock>): Omit<CloudUnderTest, 'driver'> => ({
  now,
  ips: IPS,
  advance: pass,
  everyMs: 10_000,
  patienceMs: 150_000,
  loseReply: () => cloud.strike('RunInstances', 'replyLost'),
  loseRequest: () => cloud.strike('RunInstances', 'requestLost'),
  throttle: (times) => cloud.faults.once('throttled', times),
  refuseCapacity: () => cloud.strike('RunInstances', 'noCapacity'),
  interrupt: (ip) => cloud.interrupt(ip),
  launchedAt: (ip) => cloud.instances().filter((instance) => instance.ip === ip).length,
});

const MANY = Array.from({ length: 30 }, (_, i) => ({ id: `i-1${i}`, ip: `10.0.1.${i + 1}`, state: 'stopped' as const }));

/** Straight on the simulated cloud, in pages of ten. */
const simulated =
  (options: SimulatedCloudOptions, driven: CloudDriverOptions = {}) =>
  async (): Promise<CloudUnderTest> => {
    const clock = handClock();
    const cloud = cloudOn(clock, { instances: [...MACHINES, ...MANY], ...options });
    return { driver: cloud.driver({ pageSize: 10, ...driven }), ...hooksOf(cloud, clock), fill: () => {} };
  };

/** By HTTP, with the AWS SDK. */
const overHttp = (options: SimulatedCloudOptions) => async (): Promise<CloudUnderTest> => {
  const clock = handClock();
  const cloud = cloudOn(clock, { instances: [...MACHINES, ...MANY], ...options });
  const endpoint = await cloud.listen();
  const driver = ec2({
    region: 'eu-west-1',
    endpoint: endpoint.url,
    allow: [new URL(endpoint.url).host],
    credentials: { accessKeyId: 'AKIDSIMULATED', secretAccessKey: secret('simulated') },
    launch: { imageId: 'ami-1' },
    clock,
    random: () => 0.5,
  });
  return { driver, ...hooksOf(cloud, clock), fill: () => {}, close: endpoint.close };
};

/** The cloud of the simulated fleet. */
const ofAFleet = async (): Promise<CloudUnderTest> => {
  const { now, pass } = handClock();
  const { instances: driver, faults } = simulatedFleet({ now, instances: MACHINES, services: [] });
  return {
    driver,
    now,
    ips: IPS,
    advance: pass,
    loseReply: () => faults.once('callLost'),
    loseRequest: () => faults.once('callDropped'),
    throttle: (times) => faults.once('throttled', times),
    refuseCapacity: () => faults.once('callRefused'),
  };
};

const LATE: SimulatedCloudOptions = { eventualConsistency: 0.5, overlappingIps: true };

describe.each([
  ...(isThorough ? ([['the driver of EC2 on the simulated EC2', overHttp({})]] as const) : []),
  ['the simulated cloud', simulated({})],
  ['a simulated cloud that is consistent only eventually', simulated(LATE)],
  ['a simulated cloud without client tokens', simulated(LATE, { launchedOnceBy: 'tag' })],
  ['the cloud of a simulated fleet', ofAFleet],
  ['the driver of EC2 on a simulated EC2 that is consistent only eventually', overHttp(LATE)],
] as const)('%s', (_, open) => {
  for (const { name, run } of cloudScenarios) test(name, () => run(open));
});

describe('a scenario is played to the end', () => {
  test.each(cloudScenarios)('$name: needs only what a simulated cloud has', async ({ needs }) => {
    const cloud = await simulated({})();
    expect(needs.filter((hook) => cloud[hook] === undefined)).toEqual([]);
  });
});

describe('a scenario fails for a driver', () => {
  type D = Driver<InstanceFacts>;
  type Reading = Awaited<ReturnType<D['observe']>>;
  type Answers = Awaited<ReturnType<D['perform']>>;

  const reading =
    (alter: (reading: Reading, cloud: CloudUnderTest) => Partial<Reading>) =>
    (cloud: CloudUnderTest): Partial<D> => ({
      observe: async (want, signal) => {
        const read = await cloud.driver.observe(want, signal);
        return { ...read, ...alter(read, cloud) };
      },
    });

  const calls =
    (alter: (calls: readonly PermittedCall[]) => readonly PermittedCall[]) =>
    ({ driver }: CloudUnderTest): Partial<D> => ({ perform: (asked, signal) => driver.perform(alter(asked), signal) });

  const answers =
    (alter: (answers: Answers, calls: readonly PermittedCall[]) => Answers) =>
    ({ driver }: CloudUnderTest): Partial<D> => ({
      perform: async (asked, signal) => alter(await driver.perform(asked, signal), asked),
    });

  const verbOf = ({ call }: PermittedCall) => call.do.verb;
  const asVerb = (verb: 'launch', one: PermittedCall): PermittedCall => ({
    ...one,
    call: { ...one.call, do: { ...one.call.do, level: 'instances', verb } as PermittedCall['call']['do'] },
  });

  let tokens = 0;
  const newToken = (one: PermittedCall): PermittedCall => ({
    ...one,
    permit: { ...one.permit, token: asToken(`${one.permit.token}-${++tokens}`) },
  });

  const rows: readonly (readonly [how: string, what: string, broken: (cloud: CloudUnderTest) => Partial<D>])[] = [
    [
      'that accepts starts and makes none',
      'a stopped instance that is started is running',
      calls((asked) => asked.filter((one) => verbOf(one) !== 'start')),
    ],
    [
      'that accepts stops and makes none',
      'a running instance that is stopped is stopped, and runs when it is started again',
      calls((asked) => asked.filter((one) => verbOf(one) !== 'stop')),
    ],
    [
      'that accepts launches and makes none',
      'an instance that is launched at an ip runs there',
      calls((asked) => asked.filter((one) => verbOf(one) !== 'launch')),
    ],
    [
      'that accepts terminations and makes none',
      'an instance that is terminated is gone',
      calls((asked) => asked.filter((one) => verbOf(one) !== 'terminate')),
    ],
    [
      'that refuses what is so already',
      'a start that changes nothing is accepted',
      answers((all, asked) =>
        all.map((answer, i) => {
          const what = asked[i]?.call.do;
          const isHeld =
            what?.verb === 'start' && what.level === 'instances' && 'ip' in what.subject && what.subject.ip === IPS.running;
          return isHeld ? { subject: 'i-1', code: 'ER0206', message: 'it runs' } : answer;
        }),
      ),
    ],
    [
      'that makes a token of its own each time',
      'a launch that comes twice under one token is one instance',
      calls((asked) => asked.map(newToken)),
    ],
    [
      'that repeats what was lost under another token',
      'a launch whose reply is lost, and that is repeated, is one instance',
      calls((asked) => asked.map((one) => (one.permit.isRepeated ? newToken(one) : one))),
    ],
    [
      'that takes what was lost for accepted',
      'a launch whose request is lost, and that is repeated, is one instance',
      answers((all, asked) =>
        all.map((answer, i) => (asked[i]?.permit.isRepeated ? null : answer && { ...answer, code: 'ER0221' })),
      ),
    ],
    [
      'that accepts a launch where something is',
      'a launch where something is already is refused',
      answers((all, asked) => all.map((answer, i) => (asked[i]?.call.do.verb === 'launch' ? null : answer))),
    ],
    [
      'that launches what it is to start',
      'what does not exist is not stopped, started, rebooted or terminated, nor launched by it',
      calls((asked) => asked.map((one) => (verbOf(one) === 'start' ? asVerb('launch', one) : one))),
    ],
    [
      'that tells of a new instance as terminated',
      'an instance that was just launched is never told to be gone',
      reading(({ items }) => ({
        items: items.map((item) =>
          item.power?.state === 'pending' ? { ...item, power: { state: 'terminated', raw: 'NotFound' } } : item,
        ),
      })),
    ],
    [
      'that never stops what it has launched',
      'what was just launched can be acted on once it is listed',
      calls((asked) => asked.filter((one) => verbOf(one) !== 'stop')),
    ],
    [
      'that ends for good when it is throttled',
      'reads that are throttled recover',
      ({ driver }) => ({
        observe: async (want, signal) => {
          const read = await driver.observe(want, signal).catch(() => null);
          if (!read?.complete) throw new Error('throttled');
          return read;
        },
      }),
    ],
    ['that takes a throttled call for accepted', 'calls that are throttled are not lost', answers((all) => all.map(() => null))],
    [
      'that takes a call without capacity for accepted',
      'a launch that finds no capacity goes through under the same token once there is some',
      (cloud) => {
        const accepted = new Set<string>();
        return {
          perform: async (asked, signal) => {
            const fresh = asked.filter(({ permit }) => !accepted.has(permit.token));
            for (const { permit } of fresh) accepted.add(permit.token);
            await cloud.driver.perform(fresh, signal);
            return asked.map(() => null);
          },
        };
      },
    ],
    [
      'that goes on telling of what was taken back',
      'what the provider takes back is gone, and can be launched again at its ip',
      (cloud) => {
        let first: Reading | undefined;
        return { observe: async (want, signal) => (first ??= await cloud.driver.observe(want, signal)) };
      },
    ],
    [
      'that reads one page',
      'many instances are read page by page, each once',
      reading(({ items }) => ({ items: items.slice(0, 10) })),
    ],
    [
      'that answers a batch with its first refusal',
      'of many calls, the one that cannot be does not spoil the others',
      answers((all) => {
        const refusal = all.find((answer) => answer !== null) ?? null;
        return all.map(() => refusal);
      }),
    ],
  ];

  test('each scenario has one', () => {
    expect(rows.map(([, what]) => what).sort()).toEqual(cloudScenarios.map(({ name }) => name).sort());
  });

  test.each(rows)('%s: %s', async (_, what, broken) => {
    const { run } = cloudScenarios.find(({ name }) => name === what) ?? {};
    const open = async () => {
      const cloud = await simulated(LATE)();
      return { ...cloud, driver: { ...cloud.driver, ...broken(cloud) } };
    };
    await expect(run?.(open)).rejects.toMatchObject({ name: 'AssertionError' });
  });
});
