import type { ServerResponse } from 'node:http';
import { EC2_ERROR_CODES, EC2_STATES, type Ec2Options, ec2 } from 'fleetbeat/adapters/ec2';
import { afterEach, describe, expect, test } from 'vitest';
import { CODE_TEXTS } from '../../src/domain/codes.ts';
import { asInstant } from '../../src/domain/identity.ts';
import {
  answerOf,
  type CallOptions,
  callTo,
  changesAnswer,
  describeAnswer,
  driverFor,
  filterOf,
  instanceXml,
  type QueryRequest,
  refuse,
  type Script,
  type ScriptedEc2,
  type ScriptedInstance,
  scriptedEc2,
  valuesOf,
  virtualClock,
  want,
} from '../support/aws-mock-scripted.ts';

const MINUTE_MS = 60_000;
const never = new AbortController().signal;
const servers: ScriptedEc2[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** A driver for an EC2 with this script, on a clock that waits for nothing. */
async function serving(script: Script, options: Partial<Ec2Options> = {}) {
  const server = await scriptedEc2(script);
  servers.push(server);
  return { server, driver: driverFor(server, { clock: virtualClock(), ...options }) };
}

/** Lists these instances, as the filters want them, and accepts every verb. */
const having =
  (...instances: readonly ScriptedInstance[]): Script =>
  ({ action, form }) => {
    if (action !== 'DescribeInstances') return changesAnswer(action, valuesOf(form, 'InstanceId'));
    const ips = filterOf(form, 'private-ip-address');
    const tokens = filterOf(form, 'client-token');
    return describeAnswer(
      instances.filter(
        ({ ip, clientToken }) => (ips?.includes(ip ?? '') ?? true) && (tokens?.includes(clientToken ?? '') ?? true),
      ),
    );
  };

const TWO: readonly ScriptedInstance[] = [
  { id: 'i-1', ip: '10.0.0.1', state: 'stopped' },
  { id: 'i-2', ip: '10.0.0.2', state: 'running' },
];
const LAUNCH = { imageId: 'ami-1', instanceType: 't3.small' };
const codes = (answers: readonly ({ readonly code: string } | null)[]) => answers.map((answer) => answer?.code ?? null);
const actions = (server: ScriptedEc2) => server.requests.map(({ action }) => action);

describe('a reading of EC2', () => {
  test('shows each instance with its private ip, its state and the word of EC2', async () => {
    const states = [...Object.keys(EC2_STATES), 'hibernating'];
    const all = states.map((state, i) => ({ id: `i-${i}`, ip: `10.0.0.${i + 1}`, state }));
    const { driver } = await serving(having(...all));
    const reading = await driver.observe({ now: asInstant(7), maxAgeMs: 0 }, never);
    expect(reading).toMatchObject({ readAt: 7, complete: true, problems: [] });
    expect(reading.items[0]).toEqual({
      cloud: 'ec2',
      id: 'i-0',
      ip: '10.0.0.1',
      readAt: 7,
      power: { state: 'pending', raw: 'pending' },
    });
    expect(reading.items.map(({ power }) => power)).toEqual([
      ...Object.keys(EC2_STATES).map((state) => ({ state, raw: state })),
      { state: 'unknown', raw: 'hibernating' },
    ]);
  });

  test('is one read of all pages, in the large bucket of paged reads, on behalf of whoever wants it', async () => {
    const pages: Readonly<Record<string, string>> = {
      '': describeAnswer([TWO[0] as ScriptedInstance], 'page two'),
      'page two': describeAnswer([TWO[1] as ScriptedInstance], 'page three'),
      'page three': describeAnswer([]),
    };
    const { server, driver } = await serving(({ form }) => pages[form.get('NextToken') ?? '']);
    const reading = await driver.observe({ ...want, caller: 'waiting' }, never);
    expect(reading.items.map(({ id }) => id)).toEqual(['i-1', 'i-2']);
    expect(reading.complete).toBe(true);
    expect(server.requests.map(({ form }) => form.get('MaxResults'))).toEqual(['1000', '1000', '1000']);
    const call = { driver: 'ec2', verb: 'DescribeInstances', caller: 'waiting', outcome: 'ok', isRetry: false };
    expect(driver.calls).toEqual([call, call, call]);
  });

  test('is not complete where a later page fails, and says why; what was read is shown', async () => {
    const { driver } = await serving(({ form }, response) =>
      form.has('NextToken') ? refuse(response, 'InvalidPaginationToken', 'it has expired') : describeAnswer(TWO, 'more'),
    );
    const { items, complete, problems } = await driver.observe(want, never);
    expect([items.length, complete]).toEqual([2, false]);
    expect(problems).toEqual([
      { subject: 'ec2', code: 'ER0221', message: expect.stringContaining('InvalidPaginationToken: it has expired') },
    ]);
  });

  test('ends where a page leads back to itself', async () => {
    const { server, driver } = await serving(() => describeAnswer(TWO, 'again'));
    const { complete, problems } = await driver.observe(want, never);
    expect([complete, problems[0]?.code, server.requests.length]).toEqual([false, 'ER0235', 2]);
  });

  test('is of the instances that the filters choose', async () => {
    const { server, driver } = await serving(having(), { filters: { 'tag:fleet': ['shop', 'lab'] } });
    await driver.observe(want, never);
    expect(filterOf((server.requests[0] as QueryRequest).form, 'tag:fleet')).toEqual(['shop', 'lab']);
  });

  test('goes by public addresses where that is wanted', async () => {
    const xml = instanceXml({ id: 'i-1', ip: '10.0.0.1' }).replace('</item>', '<ipAddress>198.51.100.7</ipAddress></item>');
    const body = describeAnswer([]).replace('<instancesSet>', `<instancesSet>${xml}`);
    const { driver } = await serving(() => body, { address: 'public' });
    expect((await driver.observe(want, never)).items.map(({ ip }) => ip)).toEqual(['198.51.100.7']);
  });

  test('tells of an instance whose id or address is none, and hides no other', async () => {
    const { driver } = await serving(
      having({ id: 'i 1', ip: '10.0.0.1' }, { id: 'i-2', ip: '10.0.0.999' }, { id: '__proto__', ip: '10.0.0.3' }, { id: 'i-4' }),
    );
    const { items, problems, complete } = await driver.observe(want, never);
    expect(items.map(({ id, ip }) => [id, ip])).toEqual([
      ['i-2', null],
      ['i-4', null],
    ]);
    expect(problems.map(({ subject, code }) => [subject, code])).toEqual([
      ['an instance', 'ER0235'],
      ['i-2', 'ER0235'],
      ['an instance', 'ER0235'],
    ]);
    expect(complete).toBe(true);
  });

  test.each([
    ['AuthFailure', 401, 'ER0224', false],
    ['UnauthorizedOperation', 403, 'ER0224', false],
    ['InvalidParameterValue', 400, 'ER0230', false],
    ['SomethingNew', 400, 'ER0221', true],
  ])('that EC2 refuses with %s fails with its code', async (code, status, ours, retryable) => {
    const { driver, server } = await serving((_, response) => refuse(response, code, 'because', status));
    await expect(driver.observe(want, never)).rejects.toMatchObject({ name: 'FleetError', code: ours, retryable });
    expect(server.requests.length).toBe(1);
    expect(driver.calls.map(({ outcome }) => outcome)).toEqual(['refused']);
  });

  test('is tried again where EC2 fails for a moment', async () => {
    let failures = 2;
    const { driver } = await serving((_, response) =>
      failures-- > 0 ? refuse(response, 'InternalError', 'An internal error has occurred', 500) : describeAnswer(TWO),
    );
    expect((await driver.observe(want, never)).items.length).toBe(2);
    expect(driver.calls.map(({ outcome, isRetry }) => [outcome, isRetry])).toEqual([
      ['failed', false],
      ['failed', true],
      ['ok', true],
    ]);
  });

  test('waits and is tried again where it was throttled, and gives up before its deadline', async () => {
    let throttles = 2;
    const throttled: Script = (_, response) =>
      throttles-- > 0 ? refuse(response, 'RequestLimitExceeded', 'Request limit exceeded.', 503) : describeAnswer(TWO);
    const { driver } = await serving(throttled);
    expect((await driver.observe(want, never)).complete).toBe(true);
    expect(driver.calls.map(({ outcome, isRetry }) => [outcome, isRetry])).toEqual([
      ['throttled', false],
      ['throttled', true],
      ['ok', true],
    ]);

    throttles = Number.POSITIVE_INFINITY;
    const clock = virtualClock();
    const busy = await serving(throttled, { clock, deadlineMs: 10_000 });
    await expect(busy.driver.observe(want, never)).rejects.toMatchObject({ code: 'ER0221', retryable: true });
    expect(clock.now()).toBeLessThan(10_000);
    expect(busy.driver.calls.length).toBeGreaterThan(2);
  });

  test('ends at its deadline, also where nothing comes', async () => {
    const { driver } = await serving(() => undefined, { deadlineMs: 100 });
    await expect(driver.observe(want, never)).rejects.toMatchObject({ code: 'ER0212', retryable: true });
    expect(driver.calls.map(({ outcome }) => outcome)).toEqual(['failed']);
  });

  test('ends as soon as its caller gives up', async () => {
    const caller = new AbortController();
    const { driver } = await serving(() => {
      caller.abort();
      return undefined;
    });
    await expect(driver.observe(want, caller.signal)).rejects.toMatchObject({ code: 'ER0217' });
  });

  test('of an EC2 that is not there is a failure of the observation', async () => {
    const { server, driver } = await serving(having());
    await server.close();
    servers.length = 0;
    await expect(driver.observe(want, never)).rejects.toMatchObject({ code: 'ER0235', message: expect.stringMatching(/ECONN/) });
    expect(driver.calls).toEqual([]);
  });
});

describe('calls of one batch', () => {
  test('are one request for each verb, however many instances they are about', async () => {
    const all = Array.from({ length: 300 }, (_, i) => ({ id: `i-${i}`, ip: `10.0.${i >> 8}.${i & 255 || 256 - 1}` }));
    const { server, driver } = await serving(having(...all));
    const answers = await driver.perform(
      [...all.slice(0, 200).map(({ id }) => callTo(id, 'start')), callTo('i-200', 'stop'), callTo('i-201', 'terminate')],
      never,
    );
    expect(answers).toEqual(Array(202).fill(null));
    expect(actions(server).sort()).toEqual(['StartInstances', 'StopInstances', 'TerminateInstances']);
    expect(server.ids('StartInstances')[0]?.length).toBe(200);
    expect(driver.calls.map(({ caller }) => caller)).toEqual(['action', 'action', 'action']);
  });

  test('are as many requests as the resource bucket asks for, and wait for its tokens', async () => {
    const clock = virtualClock();
    const { server, driver } = await serving(having(), {
      clock,
      buckets: { StopInstances: { resource: { capacity: 100, perSecond: 20 } } },
    });
    await driver.perform(
      Array.from({ length: 250 }, (_, i) => callTo(`i-${i}`, 'stop')),
      never,
    );
    expect(server.ids('StopInstances').map((ids) => ids.length)).toEqual([100, 100, 50]);
    expect(clock.now()).toBeGreaterThanOrEqual(7000);
  });

  test('come one a second once EC2 has throttled such a request, though there were tokens left', async () => {
    const clock = virtualClock();
    let throttles = 1;
    const { driver } = await serving(
      ({ action, form }, response) =>
        throttles-- > 0
          ? refuse(response, 'RequestLimitExceeded', 'Request limit exceeded.', 503)
          : changesAnswer(action, valuesOf(form, 'InstanceId')),
      { clock },
    );
    for (const id of ['i-1', 'i-2', 'i-3', 'i-4']) expect(await driver.perform([callTo(id, 'start')], never)).toEqual([null]);
    expect(clock.now()).toBe(4000);
    expect(await driver.perform([callTo('i-5', 'stop')], never)).toEqual([null]);
    expect(clock.now()).toBe(4000);
  });

  test('go to ids that the last reading showed, and one read finds the ips that it did not', async () => {
    const { server, driver } = await serving(having(...TWO));
    await driver.observe(want, never);
    expect(await driver.perform([callTo('10.0.0.1', 'start'), callTo('10.0.0.2', 'stop')], never)).toEqual([null, null]);
    expect(actions(server)).toEqual(['DescribeInstances', 'StartInstances', 'StopInstances']);

    const fresh = driverFor(server, { clock: virtualClock() });
    const answers = await fresh.perform(
      [callTo('10.0.0.1', 'start'), callTo('10.0.0.2', 'stop'), callTo('10.0.0.3', 'stop')],
      never,
    );
    expect(codes(answers)).toEqual([null, null, 'ER0205']);
    expect(fresh.calls.map(({ verb }) => verb)).toEqual(['DescribeInstances', 'StartInstances', 'StopInstances']);
    expect(server.ids('StartInstances')).toEqual([['i-1'], ['i-1']]);
  });

  test('go by what was seen before a reading that was not complete', async () => {
    let isWhole = true;
    const { server, driver } = await serving((request, response) => {
      if (request.action !== 'DescribeInstances' || isWhole) return having(...TWO)(request, response);
      if (request.form.has('NextToken')) return refuse(response, 'InvalidPaginationToken', 'it has expired');
      return describeAnswer(TWO.slice(1), 'more');
    });
    await driver.observe(want, never);
    isWhole = false;
    expect((await driver.observe(want, never)).complete).toBe(false);
    expect(await driver.perform([callTo('10.0.0.1', 'start')], never)).toEqual([null]);
    expect(actions(server)).toEqual(['DescribeInstances', 'DescribeInstances', 'DescribeInstances', 'StartInstances']);
  });

  test('do not go by what was seen long ago', async () => {
    const clock = virtualClock();
    let instances = TWO;
    const { server, driver } = await serving((...request) => having(...instances)(...request), { clock, everyMs: 10_000 });
    await driver.observe(want, never);
    await clock.sleep(10_001, never);
    instances = [
      { id: 'i-1', ip: '10.0.0.1', state: 'terminated' },
      { id: 'i-9', ip: '10.0.0.1' },
    ];
    expect(await driver.perform([callTo('10.0.0.1', 'stop')], never)).toEqual([null]);
    expect(server.ids('StopInstances')).toEqual([['i-9']]);
  });

  test('about an ip that two live instances have go to neither', async () => {
    const { server, driver } = await serving(having({ id: 'i-1', ip: '10.0.0.1' }, { id: 'i-2', ip: '10.0.0.1' }));
    expect(await driver.perform([callTo('10.0.0.1', 'terminate')], never)).toEqual([
      { subject: '10.0.0.1', code: 'ER0208', message: expect.stringMatching(/i-1 and i-2/) },
    ]);
    expect(actions(server)).toEqual(['DescribeInstances']);
  });

  test('about an instance that shows no address go by the address that it showed last', async () => {
    let instances: readonly ScriptedInstance[] = TWO;
    const { server, driver } = await serving((...request) => having(...instances)(...request));
    await driver.observe(want, never);
    instances = [{ id: 'i-1', state: 'stopped' }, TWO[1] as ScriptedInstance];
    await driver.observe(want, never);
    expect(await driver.perform([callTo('10.0.0.1', 'start')], never)).toEqual([null]);
    expect(server.ids('StartInstances')).toEqual([['i-1']]);
  });

  test('are refused for themselves where EC2 has no such thing', async () => {
    const { server, driver } = await serving(having(), { launch: LAUNCH });
    const service = { ...callTo('i-1', 'start'), call: { do: { level: 'services', name: 'node10', verb: 'start' } } } as const;
    const elsewhere = {
      ...callTo('i-1', 'start'),
      call: { do: { level: 'instances', subject: { key: 'instances/lab/i-1' }, verb: 'stop' } },
    };
    const answers = await driver.perform(
      [
        service,
        callTo('i-1', 'bootstrap'),
        callTo('i-1', 'launch'),
        elsewhere as never,
        callTo('i-1', 'stop', { valid: () => false }),
      ],
      never,
    );
    expect(codes(answers)).toEqual(['ER0229', 'ER0229', 'ER0206', 'ER0205', 'ER0217']);
    expect(actions(server)).toEqual([]);
  });

  test('whose permits end while they wait are not sent, the others are', async () => {
    let isValid = true;
    let throttles = 1;
    const { server, driver } = await serving(({ action, form }, response) => {
      if (throttles-- > 0) {
        isValid = false;
        return refuse(response, 'RequestLimitExceeded', 'Request limit exceeded.', 503);
      }
      return changesAnswer(action, valuesOf(form, 'InstanceId'));
    });
    const answers = await driver.perform([callTo('i-1', 'stop', { valid: () => isValid }), callTo('i-2', 'stop')], never);
    expect(codes(answers)).toEqual(['ER0217', null]);
    expect(server.ids('StopInstances')).toEqual([['i-1', 'i-2'], ['i-2']]);
  });
});

describe('a batch that EC2 refuses for the sake of one', () => {
  /** Refuses, as EC2 does, every request with one of these ids, and names those, or nobody. */
  const refusing =
    (bad: Readonly<Record<string, string>>, isNaming: boolean): Script =>
    ({ action, form }, response) => {
      const ids = valuesOf(form, 'InstanceId');
      const found = ids.filter((id) => Object.hasOwn(bad, id));
      const [first] = found;
      if (first === undefined) return changesAnswer(action, ids);
      const code = bad[first] ?? '';
      const named = found.filter((id) => bad[id] === code);
      return refuse(
        response,
        code,
        isNaming ? `The instance IDs '${named.join(', ')}' are the reason` : 'One of them is the reason',
      );
    };
  const TEN = Array.from({ length: 10 }, (_, i) => `i-${i}`);
  const BAD = { 'i-3': 'InvalidInstanceID.NotFound', 'i-7': 'IncorrectInstanceState', 'i-8': 'InvalidInstanceID.NotFound' };
  const EXPECTED = [null, null, null, 'ER0205', null, null, null, 'ER0206', 'ER0205', null];

  test('is sent again without those that EC2 names', async () => {
    const { server, driver } = await serving(refusing(BAD, true));
    expect(
      codes(
        await driver.perform(
          TEN.map((id) => callTo(id, 'start')),
          never,
        ),
      ),
    ).toEqual(EXPECTED);
    expect(server.ids('StartInstances').map((ids) => ids.length)).toEqual([10, 8, 7]);
  });

  test('is halved until it is found where EC2 names nobody', async () => {
    const { server, driver } = await serving(refusing(BAD, false));
    expect(
      codes(
        await driver.perform(
          TEN.map((id) => callTo(id, 'stop')),
          never,
        ),
      ),
    ).toEqual(EXPECTED);
    const accepted = server.ids('StopInstances').filter((ids) => !ids.some((id) => Object.hasOwn(BAD, id)));
    expect(accepted.flat().sort()).toEqual(TEN.filter((id) => !Object.hasOwn(BAD, id)));
  });

  test('is not halved for ever: what is left is refused, to be tried again', async () => {
    const many = Array.from({ length: 100 }, (_, i) => `i-${i}`);
    const bad = Object.fromEntries(many.map((id) => [id, 'InsufficientInstanceCapacity']));
    const { server, driver } = await serving(refusing(bad, false));
    const answers = await driver.perform(
      many.map((id) => callTo(id, 'start')),
      never,
    );
    expect(new Set(codes(answers))).toEqual(new Set(['ER0221']));
    expect(server.requests.length).toBeLessThan(70);
  });

  test('is not halved where all are refused alike', async () => {
    const { server, driver } = await serving((_, response) => refuse(response, 'UnauthorizedOperation', 'You are not', 403));
    expect(codes(await driver.perform([callTo('i-1', 'stop'), callTo('i-2', 'stop')], never))).toEqual(['ER0224', 'ER0224']);
    expect(server.requests.length).toBe(1);
  });

  test('says that an instance which was there a moment ago may come back, not that it is gone', async () => {
    const { driver } = await serving((request, response) =>
      request.action === 'DescribeInstances'
        ? having(...TWO)(request, response)
        : refusing({ 'i-1': 'InvalidInstanceID.NotFound' }, true)(request, response),
    );
    expect(codes(await driver.perform([callTo('i-1', 'start', { token: 'a' })], never))).toEqual(['ER0205']);
    await driver.observe(want, never);
    expect(codes(await driver.perform([callTo('i-1', 'start', { token: 'b' })], never))).toEqual(['ER0221']);
  });
});

describe('a launch', () => {
  const launching =
    (
      instances: readonly ScriptedInstance[],
      answer?: (request: QueryRequest, response: ServerResponse) => string | undefined,
    ): Script =>
    (request, response) =>
      request.action === 'RunInstances'
        ? (answer?.(request, response) ?? launched(request))
        : having(...instances)(request, response);
  const launched = ({ action, form }: QueryRequest) =>
    answerOf(
      action,
      `<instancesSet>${instanceXml({ id: 'i-new', ip: form.get('PrivateIpAddress') ?? '', state: 'pending' })}</instancesSet>`,
    );
  const runs = (server: ScriptedEc2) => server.requests.filter(({ action }) => action === 'RunInstances').map(({ form }) => form);

  test('is of one instance, at the ip, as it is configured for all and for this ip', async () => {
    const { server, driver } = await serving(launching([]), {
      launch: {
        ...LAUNCH,
        keyName: 'ops',
        subnetId: 'subnet-1',
        securityGroupIds: ['sg-1', 'sg-2'],
        availabilityZone: 'us-east-1b',
        tags: { fleet: 'shop', Name: 'some' },
        userData: '#cloud-config',
        request: { EbsOptimized: true },
        byIp: { '10.0.0.9': { instanceType: 'm7.large', tags: { Name: 'db' }, request: { IamInstanceProfile: { Name: 'db' } } } },
      },
    });
    expect(await driver.perform([callTo('10.0.0.9', 'launch'), callTo('10.0.0.8', 'launch')], never)).toEqual([null, null]);
    const [nine, eight] = runs(server).sort((a, b) => (a.get('InstanceType') ?? '').localeCompare(b.get('InstanceType') ?? ''));
    expect(Object.fromEntries(nine ?? [])).toEqual({
      Action: 'RunInstances',
      Version: '2016-11-15',
      MinCount: '1',
      MaxCount: '1',
      ClientToken: expect.stringMatching(/^[0-9a-f]{64}$/),
      PrivateIpAddress: '10.0.0.9',
      ImageId: 'ami-1',
      InstanceType: 'm7.large',
      KeyName: 'ops',
      SubnetId: 'subnet-1',
      'SecurityGroupId.1': 'sg-1',
      'SecurityGroupId.2': 'sg-2',
      'Placement.AvailabilityZone': 'us-east-1b',
      'TagSpecification.1.ResourceType': 'instance',
      'TagSpecification.1.Tag.1.Key': 'fleet',
      'TagSpecification.1.Tag.1.Value': 'shop',
      'TagSpecification.1.Tag.2.Key': 'Name',
      'TagSpecification.1.Tag.2.Value': 'db',
      'TagSpecification.2.ResourceType': 'volume',
      'TagSpecification.2.Tag.1.Key': 'fleet',
      'TagSpecification.2.Tag.1.Value': 'shop',
      'TagSpecification.2.Tag.2.Key': 'Name',
      'TagSpecification.2.Tag.2.Value': 'db',
      UserData: Buffer.from('#cloud-config').toString('base64'),
      EbsOptimized: 'true',
      'IamInstanceProfile.Name': 'db',
    });
    expect([eight?.get('PrivateIpAddress'), eight?.get('InstanceType')]).toEqual(['10.0.0.8', 't3.small']);
  });

  test('goes to the first of the interfaces that are described', async () => {
    const { server, driver } = await serving(launching([]), {
      launch: {
        ...LAUNCH,
        subnetId: 'subnet-1',
        securityGroupIds: ['sg-1'],
        request: { NetworkInterfaces: [{ AssociatePublicIpAddress: true }] },
      },
    });
    await driver.perform([callTo('10.0.0.9', 'launch')], never);
    const form = Object.fromEntries(runs(server)[0] ?? []);
    expect(form).toMatchObject({
      'NetworkInterface.1.DeviceIndex': '0',
      'NetworkInterface.1.PrivateIpAddress': '10.0.0.9',
      'NetworkInterface.1.SubnetId': 'subnet-1',
      'NetworkInterface.1.SecurityGroupId.1': 'sg-1',
      'NetworkInterface.1.AssociatePublicIpAddress': 'true',
    });
    expect(form).not.toHaveProperty('SubnetId');
    expect(form).not.toHaveProperty('PrivateIpAddress');
  });

  test('has one client token for one intent, also in another process, and another for another', async () => {
    const { server, driver } = await serving(launching([]), { launch: LAUNCH });
    const another = () => driverFor(server, { launch: LAUNCH, clock: virtualClock() });
    await driver.perform([callTo('10.0.0.9', 'launch', { token: 'a' })], never);
    await another().perform([callTo('10.0.0.9', 'launch', { token: 'a', isRepeated: true })], never);
    await another().perform([callTo('10.0.0.7', 'launch', { token: 'a' })], never);
    await another().perform([callTo('10.0.0.9', 'launch', { token: 'b' })], never);
    const [first, second, elsewhere, later] = runs(server).map((form) => form.get('ClientToken'));
    expect(second).toBe(first);
    expect(new Set([first, elsewhere, later]).size).toBe(3);
  });

  test('at the ip of a live instance is refused, but of what the same token made it is done', async () => {
    const { server, driver } = await serving(launching([]), { launch: LAUNCH });
    await driver.perform([callTo('10.0.0.9', 'launch', { token: 'a' })], never);
    const clientToken = runs(server)[0]?.get('ClientToken') ?? '';
    const later = await serving(launching([{ id: 'i-9', ip: '10.0.0.9', state: 'pending', clientToken }]), { launch: LAUNCH });
    await later.driver.observe(want, never);
    const answers = await later.driver.perform(
      [callTo('10.0.0.9', 'launch', { token: 'a', isRepeated: true }), callTo('10.0.0.9', 'launch', { token: 'b' })],
      never,
    );
    expect(codes(answers)).toEqual([null, 'ER0208']);
    expect(runs(later.server)).toEqual([]);
  });

  test('at an ip that a terminated instance had, or that nobody was seen with, needs no read before it', async () => {
    const { server, driver } = await serving(launching([{ id: 'i-1', ip: '10.0.0.1', state: 'terminated' }]), { launch: LAUNCH });
    await driver.observe(want, never);
    expect(await driver.perform([callTo('10.0.0.1', 'launch'), callTo('10.0.0.2', 'launch')], never)).toEqual([null, null]);
    expect(actions(server)).toEqual(['DescribeInstances', 'RunInstances', 'RunInstances']);
  });

  test('makes its instance known by ip before a reading shows it', async () => {
    const { server, driver } = await serving(launching([]), { launch: LAUNCH });
    await driver.perform([callTo('10.0.0.9', 'launch')], never);
    await driver.observe(want, never);
    expect(await driver.perform([callTo('10.0.0.9', 'stop')], never)).toEqual([null]);
    expect(server.ids('StopInstances')).toEqual([['i-new']]);
  });

  test('whose token EC2 knows with other settings adopts what it made, or is tried again', async () => {
    const mismatch = (_: QueryRequest, response: ServerResponse) =>
      refuse(response, 'IdempotentParameterMismatch', 'other parameters');
    const instances: ScriptedInstance[] = [];
    const { server, driver } = await serving(launching(instances, mismatch), { launch: LAUNCH });
    const call = () => driver.perform([callTo('10.0.0.9', 'launch', { isRepeated: true })], never);
    expect(codes(await call())).toEqual(['ER0220']);
    instances.push({ id: 'i-9', clientToken: runs(server)[0]?.get('ClientToken') ?? '' });
    expect(await call()).toEqual([null]);
  });

  test('whose token EC2 knows with other settings, and whose instance is gone again, is not adopted', async () => {
    const mismatch = (_: QueryRequest, response: ServerResponse) =>
      refuse(response, 'IdempotentParameterMismatch', 'other parameters');
    const instances: ScriptedInstance[] = [];
    const { server, driver } = await serving(launching(instances, mismatch), { launch: LAUNCH });
    const call = () => driver.perform([callTo('10.0.0.9', 'launch', { isRepeated: true })], never);
    expect(codes(await call())).toEqual(['ER0220']);
    instances.push({ id: 'i-9', state: 'terminated', clientToken: runs(server)[0]?.get('ClientToken') ?? '' });
    expect(codes(await call())).toEqual(['ER0215']);
  });

  test.each([
    ['InvalidIPAddress.InUse', 'ER0208'],
    ['InsufficientInstanceCapacity', 'ER0221'],
    ['InstanceLimitExceeded', 'ER0221'],
    ['IdempotentInstanceTerminated', 'ER0215'],
    ['InvalidAMIID.NotFound', 'ER0230'],
  ])('that EC2 refuses with %s is answered by %s', async (code, ours) => {
    const { driver } = await serving(
      launching([], (_, response) => refuse(response, code, 'because', code.startsWith('Insufficient') ? 500 : 400)),
      { launch: LAUNCH },
    );
    expect(await driver.perform([callTo('10.0.0.9', 'launch')], never)).toEqual([
      { subject: '10.0.0.9', code: ours, message: expect.stringContaining(code) },
    ]);
  });

  test('without an image, or by public addresses, is refused', async () => {
    const { server, driver } = await serving(launching([]));
    expect(codes(await driver.perform([callTo('10.0.0.9', 'launch')], never))).toEqual(['ER0229']);
    const open = driverFor(server, { launch: LAUNCH, address: 'public', clock: virtualClock() });
    expect(codes(await open.perform([callTo('198.51.100.9', 'launch')], never))).toEqual(['ER0229']);
    expect(runs(server)).toEqual([]);
  });

  test('is configured by ips only', () => {
    expect(() => ec2({ region: 'us-east-1', launch: { byIp: { 'node10.lab': {} } } })).toThrow(/'node10.lab', which is none/);
    expect(() => ec2({ region: 'us-east-1', launch: { byIp: { '::1': {}, '0:0:0:0:0:0:0:1': {} } } })).toThrow(/::1 twice/);
  });
});

describe('a token that comes twice', () => {
  const twice = async (verb: 'reboot' | 'stop', script: Script, options: CallOptions = {}) => {
    const { server, driver } = await serving(script);
    const call = callTo('i-1', verb, options);
    const answers = [...(await driver.perform([call, call], never)), ...(await driver.perform([call], never))];
    return { answers: codes(answers), sent: server.requests.length };
  };

  test('is one request, whether together or later', async () => {
    expect(await twice('reboot', having())).toEqual({ answers: [null, null, null], sent: 1 });
    expect(await twice('stop', having())).toEqual({ answers: [null, null, null], sent: 1 });
  });

  test('is sent again where it was refused', async () => {
    const refused: Script = (_, response) => refuse(response, 'IncorrectInstanceState', 'not now');
    expect(await twice('reboot', refused)).toEqual({ answers: ['ER0206', 'ER0206', 'ER0206'], sent: 2 });
  });

  test('of a reboot is not sent again where nobody knows what became of it; of a stop it is', async () => {
    const broken: Script = (_, response) => void response.destroy();
    expect(await twice('reboot', broken)).toEqual({ answers: ['ER0220', 'ER0220', 'ER0220'], sent: 1 });
    expect(await twice('stop', broken)).toEqual({ answers: ['ER0220', 'ER0220', 'ER0220'], sent: 2 });
  });

  test('of a reboot that another process may have sent is not sent', async () => {
    expect(await twice('reboot', having(), { isRepeated: true })).toEqual({ answers: ['ER0220', 'ER0220', 'ER0220'], sent: 0 });
    expect(await twice('stop', having(), { isRepeated: true })).toEqual({ answers: [null, null, null], sent: 1 });
  });
});

describe('what became of a call', () => {
  const answering = (script: Script, options: Partial<Ec2Options> = {}) =>
    serving(script, options).then(async ({ driver }) => codes(await driver.perform([callTo('i-1', 'stop')], never)));

  test('is unknown where the connection breaks once it was sent, where EC2 fails inside, and past the deadline', async () => {
    expect(await answering((_, response) => void response.destroy())).toEqual(['ER0220']);
    expect(await answering((_, response) => refuse(response, 'InternalError', 'oops', 500))).toEqual(['ER0220']);
    expect(await answering((_, response) => refuse(response, 'Unavailable', 'oops', 503))).toEqual(['ER0220']);
    expect(await answering(() => undefined, { deadlineMs: 500 })).toEqual(['ER0212']);
  });

  test('is unknown where the answer confirms something else', async () => {
    expect(await answering(({ action }) => changesAnswer(action, ['i-2']))).toEqual(['ER0220']);
    expect(await answering(() => changesAnswer('StartInstances', ['i-1']))).toEqual(['ER0220']);
    expect(await answering((_, response) => refuse(response, 'InternalError', 'with status 200', 200))).toEqual(['ER0220']);
  });

  test('is refused where it cannot have been sent, or was throttled until its deadline', async () => {
    const { server, driver } = await serving(having());
    await server.close();
    servers.length = 0;
    expect(codes(await driver.perform([callTo('i-1', 'stop')], never))).toEqual(['ER0221']);
    expect(await answering((_, response) => refuse(response, 'Throttling', 'Rate exceeded'))).toEqual(['ER0221']);
  });

  test('is refused where the credentials do not come in time: nothing was sent', async () => {
    const { server, driver } = await serving(having(), { credentials: () => new Promise(() => {}), deadlineMs: 100 });
    expect(codes(await driver.perform([callTo('i-1', 'stop')], never))).toEqual(['ER0221']);
    await expect(driver.observe(want, never)).rejects.toMatchObject({ code: 'ER0212' });
    expect([server.requests, driver.calls]).toEqual([[], []]);
  });

  test('names the host that does not exist: mostly it is the region that does not', async () => {
    const gone = Object.assign(new Error('getaddrinfo ENOTFOUND ec2.nowhere'), { code: 'ENOTFOUND', hostname: 'ec2.nowhere' });
    const driver = ec2({ region: 'nowhere', client: { send: () => Promise.reject(gone) } });
    await expect(driver.observe(want, never)).rejects.toMatchObject({
      detail: 'DescribeInstances was not answered: ENOTFOUND ec2.nowhere',
    });
  });

  test('is signed by the clock of EC2 once EC2 has said that ours is wrong', async () => {
    const theirs = Date.now() + 3_600_000;
    const { server, driver } = await serving((_, response) => {
      response.setHeader('date', new Date(theirs).toUTCString());
      return server.requests.length === 1 ? refuse(response, 'RequestTimeTooSkewed', 'too skewed', 403) : describeAnswer([]);
    });
    await expect(driver.observe(want, never)).rejects.toMatchObject({ code: 'ER0221', retryable: true });
    expect((await driver.observe(want, never)).complete).toBe(true);
    const signedAt = String(server.requests[1]?.headers['x-amz-date']);
    const at = Date.parse(signedAt.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
    expect(Math.abs(at - theirs)).toBeLessThan(MINUTE_MS);
  });

  test('is refused where there are no credentials', async () => {
    const none = () => Promise.reject(Object.assign(new Error('no profile'), { name: 'CredentialsProviderError' }));
    const { driver } = await serving(having(), { credentials: none });
    expect(codes(await driver.perform([callTo('i-1', 'stop')], never))).toEqual(['ER0224']);
    await expect(driver.observe(want, never)).rejects.toMatchObject({
      code: 'ER0224',
      message: expect.stringMatching(/no credentials/),
    });
  });

  test('is told for all where the caller gives up', async () => {
    const caller = new AbortController();
    const { driver } = await serving(() => {
      caller.abort();
      return undefined;
    });
    await expect(driver.perform([callTo('i-1', 'stop')], caller.signal)).rejects.toMatchObject({ code: 'ER0217' });
  });
});

describe('the codes of EC2', () => {
  test('are all codes of ours', () => {
    for (const [theirs, ours] of Object.entries(EC2_ERROR_CODES)) expect([theirs, CODE_TEXTS[ours]]).not.toContain(undefined);
  });
});

describe('where EC2 is', () => {
  test.each([
    ['http://169.254.169.254/', /link-local, metadata/],
    ['http://127.0.0.1:4566', /not listed as allowed/],
    ['http://ec2.lab', /http to ec2.lab, which is not listed/],
    ['https://ec2.lab', null],
    ['ftp://ec2.lab', /one of ftp:/],
    ['https://user:pass@ec2.lab', /a user or a password/],
    ['nowhere', /none/],
  ])('may it be %s?', (endpoint, message) => {
    const make = () => ec2({ region: 'us-east-1', endpoint });
    if (message === null) expect(make).not.toThrow();
    else expect(make).toThrow(message);
  });

  test('a name is judged when it is resolved: to this machine, unless it is listed, nothing is sent', async () => {
    const { server } = await serving(having());
    const { port } = new URL(server.endpoint);
    const driver = driverFor({ endpoint: `https://localhost:${port}` }, { allow: ['elsewhere'], clock: virtualClock() });
    await expect(driver.observe(want, never)).rejects.toMatchObject({
      code: 'ER0224',
      message: expect.stringMatching(/localhost resolves to/),
    });
    expect(server.requests).toEqual([]);
    expect(driver.calls).toEqual([]);
  });

  test.each([
    [{ region: 'US East' }, /small letters, digits and -/],
    [{ region: 'us-east-1', name: 'a b' }, /letters, digits/],
    [{ region: 'us-east-1', everyMs: 0 }, /everyMs .* more than 0/],
  ])('nor may it be configured as %j', (options, message) => {
    expect(() => ec2(options)).toThrow(message);
  });

  test('a listener that has ended hears nothing more', async () => {
    const { driver } = await serving(having());
    const heard: string[] = [];
    const end = driver.onCall(({ verb }) => heard.push(verb));
    await driver.observe(want, never);
    end();
    await driver.observe(want, never);
    expect(heard).toEqual(['DescribeInstances']);
  });
});
