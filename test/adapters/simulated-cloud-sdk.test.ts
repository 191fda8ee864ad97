import {
  AssignPrivateIpAddressesCommand,
  AssociateAddressCommand,
  CreateTagsCommand,
  DescribeAddressesCommand,
  DescribeInstanceStatusCommand,
  DescribeInstancesCommand,
  type DescribeInstancesCommandInput,
  DescribeNetworkInterfacesCommand,
  DescribeRegionsCommand,
  DisassociateAddressCommand,
  EC2Client,
  type EC2ServiceException,
  paginateDescribeInstances,
  RebootInstancesCommand,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
  UnassignPrivateIpAddressesCommand,
  waitUntilInstanceRunning,
} from '@aws-sdk/client-ec2';
import { type CloudInstanceInput, simulatedCloud } from 'fleetbeat/testing';
import { describe, expect, test } from 'vitest';
import { asInstant } from '../../src/domain/identity.ts';
import { type Ec2Stage, ec2Stage } from '../support/simulated-ec2.ts';

const LAUNCH: RunInstancesCommandInput = { MinCount: 1, MaxCount: 1, ImageId: 'ami-1', InstanceType: 't3.micro' };

const launch = ({ client }: Ec2Stage, input: Partial<RunInstancesCommandInput> = {}) =>
  client.send(new RunInstancesCommand({ ...LAUNCH, ...input }));

async function described({ client }: Ec2Stage, input: DescribeInstancesCommandInput = {}) {
  const { Reservations = [] } = await client.send(new DescribeInstancesCommand(input));
  return Reservations.flatMap(({ Instances = [] }) => Instances);
}

const machines = (...states: readonly CloudInstanceInput['state'][]): readonly CloudInstanceInput[] =>
  states.map((state, index) => ({ id: `i-${index + 1}`, ip: `10.0.0.${index + 1}`, state }));

/** How the SDK reports a refusal. */
const refusedWith = (name: string, status = 400) =>
  expect.objectContaining({ name, $metadata: expect.objectContaining({ httpStatusCode: status }) }) as EC2ServiceException;

describe('the AWS SDK on a simulated EC2', () => {
  test('launches an instance at an address, and reads all that it gave', async () => {
    await using stage = await ec2Stage();
    const { Instances = [], ReservationId } = await launch(stage, {
      ClientToken: 'mine',
      KeyName: 'key & <lock>',
      UserData: 'eA==',
      Placement: { AvailabilityZone: 'eu-west-1b' },
      NetworkInterfaces: [{ DeviceIndex: 0, SubnetId: 'subnet-1', PrivateIpAddress: '10.0.0.7', Groups: ['sg-1', 'sg-2'] }],
      TagSpecifications: [
        { ResourceType: 'volume', Tags: [{ Key: 'Name', Value: 'a disk' }] },
        {
          ResourceType: 'instance',
          Tags: [
            { Key: 'Name', Value: '"näme"' },
            { Key: '__proto__', Value: 'x' },
          ],
        },
      ],
    });
    expect(Instances).toMatchObject([{ PrivateIpAddress: '10.0.0.7', State: { Name: 'pending', Code: 0 } }]);
    const [instance] = await described(stage);
    expect(instance).toMatchObject({
      InstanceId: Instances[0]?.InstanceId,
      ClientToken: 'mine',
      KeyName: 'key & <lock>',
      ImageId: 'ami-1',
      InstanceType: 't3.micro',
      SubnetId: 'subnet-1',
      PrivateIpAddress: '10.0.0.7',
      Placement: { AvailabilityZone: 'eu-west-1b' },
      SecurityGroups: [{ GroupId: 'sg-1' }, { GroupId: 'sg-2' }],
      NetworkInterfaces: [{ PrivateIpAddress: '10.0.0.7' }],
      LaunchTime: new Date(1_700_000_000_000),
    });
    expect(instance?.Tags).toEqual([
      { Key: 'Name', Value: '"näme"' },
      { Key: '__proto__', Value: 'x' },
    ]);
    expect(instance?.InstanceId).toMatch(/^i-[0-9a-f]{17}$/);
    expect(ReservationId).toMatch(/^r-/);
  });

  test('launches once for a client token, also after the instance was stopped', async () => {
    await using stage = await ec2Stage();
    const first = await launch(stage, { ClientToken: 'mine', PrivateIpAddress: '10.0.0.7' });
    stage.pass(50);
    await stage.client.send(new StopInstancesCommand({ InstanceIds: [first.Instances?.[0]?.InstanceId ?? ''] }));
    const second = await launch(stage, { ClientToken: 'mine', PrivateIpAddress: '10.0.0.7' });
    expect(second).toMatchObject({
      ReservationId: first.ReservationId,
      Instances: [{ InstanceId: first.Instances?.[0]?.InstanceId, State: { Name: 'stopping' } }],
    });
    expect(stage.cloud.instances()).toMatchObject([{ clientToken: 'mine', ip: '10.0.0.7' }]);
  });

  test('is refused a client token that comes with other parameters, and one that is too long', async () => {
    await using stage = await ec2Stage();
    await launch(stage, { ClientToken: 'mine', PrivateIpAddress: '10.0.0.7' });
    await expect(launch(stage, { ClientToken: 'mine', PrivateIpAddress: '10.0.0.8' })).rejects.toEqual(
      refusedWith('IdempotentParameterMismatch'),
    );
    await expect(launch(stage, { ClientToken: 'x'.repeat(65) })).rejects.toEqual(refusedWith('InvalidParameterValue'));
    expect(stage.cloud.instances()).toHaveLength(1);
  });

  test('is refused an address that is in use, until its instance is terminated', async () => {
    await using stage = await ec2Stage({ instances: machines('running') });
    const again = () => launch(stage, { PrivateIpAddress: '10.0.0.1' });
    await expect(again()).rejects.toEqual(refusedWith('InvalidIPAddress.InUse'));
    await stage.client.send(new TerminateInstancesCommand({ InstanceIds: ['i-1'] }));
    await expect(again()).rejects.toEqual(refusedWith('InvalidIPAddress.InUse'));
    stage.pass(30);
    expect(await described(stage)).toMatchObject([{ InstanceId: 'i-1', State: { Name: 'terminated' } }]);
    expect((await described(stage))[0]).not.toHaveProperty('PrivateIpAddress');
    await again();
    stage.pass(100);
    expect(await described(stage)).toMatchObject([{ PrivateIpAddress: '10.0.0.1', State: { Name: 'running' } }]);
  });

  test('starts, stops, reboots and terminates many in one request', async () => {
    await using stage = await ec2Stage({ instances: machines('stopped', 'running', 'pending') });
    const both = { InstanceIds: ['i-1', 'i-2', 'i-3'] };
    const started = await stage.client.send(new StartInstancesCommand(both));
    expect(started.StartingInstances).toMatchObject([
      { InstanceId: 'i-1', PreviousState: { Name: 'stopped', Code: 80 }, CurrentState: { Name: 'pending', Code: 0 } },
      { InstanceId: 'i-2', PreviousState: { Name: 'running' }, CurrentState: { Name: 'running', Code: 16 } },
      { InstanceId: 'i-3', CurrentState: { Name: 'pending' } },
    ]);
    stage.pass(50);
    await stage.client.send(new RebootInstancesCommand(both));
    expect(stage.cloud.instances().map(({ boots }) => boots)).toEqual([2, 2, 2]);
    const stopped = await stage.client.send(new StopInstancesCommand(both));
    expect(stopped.StoppingInstances?.map(({ CurrentState }) => CurrentState?.Name)).toEqual([
      'stopping',
      'stopping',
      'stopping',
    ]);
    const gone = await stage.client.send(new TerminateInstancesCommand(both));
    expect(gone.TerminatingInstances?.map(({ CurrentState }) => CurrentState?.Name)).toEqual(Array(3).fill('shutting-down'));
    expect((await described(stage)).map(({ StateReason }) => StateReason?.Code)).toEqual(
      Array(3).fill('Client.UserInitiatedShutdown'),
    );
  });

  test('is refused a whole batch for one that does not exist or is in the wrong state', async () => {
    await using stage = await ec2Stage({ instances: machines('stopped', 'stopping') });
    const start = (...ids: string[]) => stage.client.send(new StartInstancesCommand({ InstanceIds: ids }));
    await expect(start('i-1', 'i-0badbad')).rejects.toMatchObject({
      name: 'InvalidInstanceID.NotFound',
      message: "The instance ID 'i-0badbad' does not exist",
    });
    await expect(start('i-1', 'i-2')).rejects.toEqual(refusedWith('IncorrectInstanceState'));
    await expect(start('i-1', 'not an id')).rejects.toEqual(refusedWith('InvalidInstanceID.Malformed'));
    await expect(start()).rejects.toEqual(refusedWith('MissingParameter'));
    expect(stage.cloud.instances().map(({ power }) => power)).toEqual(['stopped', 'stopping']);
    expect(stage.cloud.effects()).toEqual([]);
  });

  test('pages through all instances, each once, though some come and go meanwhile', async () => {
    await using stage = await ec2Stage({ instances: machines(...Array<'stopped'>(23).fill('stopped')), throttling: false });
    const pages: string[][] = [];
    for await (const page of paginateDescribeInstances({ client: stage.client, pageSize: 5 }, {})) {
      pages.push((page.Reservations ?? []).flatMap(({ Instances = [] }) => Instances.map(({ InstanceId = '' }) => InstanceId)));
      if (pages.length !== 1) continue;
      await stage.client.send(new TerminateInstancesCommand({ InstanceIds: ['i-2', 'i-7'] }));
      stage.pass(30);
      stage.pass(100);
      await launch(stage, { PrivateIpAddress: '10.0.0.99' });
    }
    expect(pages.map((page) => page.length)).toEqual([5, 5, 5, 5, 3]);
    const ids = pages.flat();
    expect(ids.slice(0, 22)).toEqual(Array.from({ length: 23 }, (_, i) => `i-${i + 1}`).filter((id) => id !== 'i-7'));
    expect(ids).toHaveLength(23);
    expect(stage.cloud.calls().DescribeInstances).toEqual({ ok: 5 });
  });

  test('is refused page sizes, tokens and combinations that EC2 refuses', async () => {
    await using stage = await ec2Stage({ instances: machines('running') });
    const describeInput = (input: DescribeInstancesCommandInput) => described(stage, input);
    await expect(describeInput({ MaxResults: 4 })).rejects.toEqual(refusedWith('InvalidParameterValue'));
    await expect(describeInput({ MaxResults: 1001 })).rejects.toEqual(refusedWith('InvalidParameterValue'));
    await expect(describeInput({ NextToken: 'nonsense' })).rejects.toEqual(refusedWith('InvalidNextToken'));
    await expect(describeInput({ MaxResults: 5, InstanceIds: ['i-1'] })).rejects.toEqual(
      refusedWith('InvalidParameterCombination'),
    );
    await expect(describeInput({ Filters: [{ Name: 'colour', Values: ['red'] }] })).rejects.toEqual(
      refusedWith('InvalidParameterValue'),
    );
    await expect(launch(stage, { MaxCount: 2, PrivateIpAddress: '10.0.0.9' })).rejects.toEqual(
      refusedWith('InvalidParameterCombination'),
    );
    await expect(stage.client.send(new DescribeRegionsCommand({}))).rejects.toEqual(refusedWith('InvalidAction'));
  });

  test('filters by what is asked, with wildcards', async () => {
    await using stage = await ec2Stage({ instances: machines('running', 'stopped', 'running') });
    await launch(stage, { ClientToken: 'mine', PrivateIpAddress: '10.1.0.1' });
    await stage.client.send(new CreateTagsCommand({ Resources: ['i-1', 'i-3'], Tags: [{ Key: 'role', Value: 'db-1' }] }));
    const ids = async (...filters: readonly (readonly [name: string, ...values: string[]])[]) => {
      const Filters = filters.map(([Name, ...Values]) => ({ Name, Values }));
      return (await described(stage, { Filters })).map(({ InstanceId = '', ClientToken }) => ClientToken || InstanceId);
    };
    expect(await ids(['instance-state-name', 'running'])).toEqual(['i-1', 'i-3']);
    expect(await ids(['instance-state-name', 'stopped', 'pending'])).toEqual(['i-2', 'mine']);
    expect(await ids(['tag:role', 'db-?'])).toEqual(['i-1', 'i-3']);
    expect(await ids(['tag:role', 'db-1'], ['instance-id', 'i-3'])).toEqual(['i-3']);
    expect(await ids(['tag-key', 'rol*'])).toEqual(['i-1', 'i-3']);
    expect(await ids(['client-token', 'mine'])).toEqual(['mine']);
    expect(await ids(['private-ip-address', '10.0.*.2'])).toEqual(['i-2']);
    expect(await ids(['private-ip-address', '10.0.0'])).toEqual([]);
    expect(await ids(['tag:constructor', '*'])).toEqual([]);
  });

  test('waits with waitUntilInstanceRunning until it runs', async () => {
    const cloud = simulatedCloud({ latency: { ms: { pending: [200, 200], stale: [100, 100] } }, eventualConsistency: 1 });
    await using endpoint = await cloud.listen();
    const credentials = { accessKeyId: 'any', secretAccessKey: 'any' };
    const client = new EC2Client({ endpoint: endpoint.url, region: 'eu-west-1', credentials });
    const { Instances = [] } = await client.send(new RunInstancesCommand(LAUNCH));
    const waiting = { client, maxWaitTime: 30, minDelay: 0.05, maxDelay: 0.1 };
    const { state } = await waitUntilInstanceRunning(waiting, { InstanceIds: [Instances[0]?.InstanceId ?? ''] });
    client.destroy();
    expect(state).toBe('SUCCESS');
    expect(cloud.instances()).toMatchObject([{ power: 'running' }]);
    expect(cloud.calls().DescribeInstances?.ok).toBeGreaterThan(1);
  });

  test('reads the status of what runs, or of all', async () => {
    await using stage = await ec2Stage({ instances: machines('running', 'stopped') });
    const statuses = async (IncludeAllInstances: boolean) => {
      const answer = await stage.client.send(new DescribeInstanceStatusCommand({ IncludeAllInstances }));
      return answer.InstanceStatuses?.map(({ InstanceId, InstanceState, InstanceStatus }) => [
        InstanceId,
        InstanceState?.Name,
        InstanceStatus?.Status,
      ]);
    };
    expect(await statuses(false)).toEqual([['i-1', 'running', 'ok']]);
    expect(await statuses(true)).toEqual([
      ['i-1', 'running', 'ok'],
      ['i-2', 'stopped', 'not-applicable'],
    ]);
  });

  test('is refused without the right access key', async () => {
    await using stage = await ec2Stage();
    const credentials = { accessKeyId: 'AKIDOTHER', secretAccessKey: 'any' };
    const stranger = new EC2Client({ endpoint: stage.url, region: 'eu-west-1', credentials, maxAttempts: 1 });
    await expect(stranger.send(new DescribeInstancesCommand({}))).rejects.toEqual(refusedWith('AuthFailure', 401));
    stranger.destroy();
    const { status } = await fetch(`${stage.url}/?Action=DescribeInstances`);
    expect(status).toBe(401);
    expect(stage.cloud.calls()).toEqual({});
  });
});

describe('elastic and secondary addresses', () => {
  const allocations = async ({ client }: Ec2Stage) =>
    (await client.send(new DescribeAddressesCommand({}))).Addresses?.map(({ PublicIp, InstanceId, PrivateIpAddress }) => [
      PublicIp,
      InstanceId,
      PrivateIpAddress,
    ]);

  test('an elastic address moves from instance to instance, and leaves one that is terminated', async () => {
    await using stage = await ec2Stage({ instances: machines('running', 'running'), elasticIps: ['203.0.113.5', '203.0.113.6'] });
    const { client } = stage;
    const [first] = (await client.send(new DescribeAddressesCommand({ PublicIps: ['203.0.113.5'] }))).Addresses ?? [];
    const AllocationId = first?.AllocationId ?? '';
    const associate = (InstanceId: string, more: object = {}) =>
      client.send(new AssociateAddressCommand({ AllocationId, InstanceId, ...more }));
    const { AssociationId } = await associate('i-1');
    expect((await associate('i-1')).AssociationId).toBe(AssociationId);
    expect((await described(stage, { InstanceIds: ['i-1'] }))[0]?.PublicIpAddress).toBe('203.0.113.5');
    await expect(associate('i-2', { AllowReassociation: false })).rejects.toEqual(refusedWith('Resource.AlreadyAssociated'));
    await associate('i-2');
    expect(await allocations(stage)).toEqual([
      ['203.0.113.5', 'i-2', '10.0.0.2'],
      ['203.0.113.6', undefined, undefined],
    ]);
    await client.send(new TerminateInstancesCommand({ InstanceIds: ['i-2'] }));
    await expect(associate('i-2')).rejects.toEqual(refusedWith('IncorrectInstanceState'));
    stage.pass(30);
    expect((await allocations(stage))?.[0]).toEqual(['203.0.113.5', undefined, undefined]);
  });

  test('an elastic address is set free, and refusals name what is not there', async () => {
    await using stage = await ec2Stage({ instances: machines('running'), elasticIps: ['203.0.113.5'] });
    const { client } = stage;
    const { AssociationId } = await client.send(new AssociateAddressCommand({ PublicIp: '203.0.113.5', InstanceId: 'i-1' }));
    await client.send(new DisassociateAddressCommand({ AssociationId }));
    expect(await allocations(stage)).toEqual([['203.0.113.5', undefined, undefined]]);
    await expect(client.send(new DisassociateAddressCommand({ AssociationId }))).rejects.toEqual(
      refusedWith('InvalidAssociationID.NotFound'),
    );
    await expect(client.send(new DescribeAddressesCommand({ PublicIps: ['203.0.113.9'] }))).rejects.toEqual(
      refusedWith('InvalidAddress.NotFound'),
    );
    await expect(client.send(new AssociateAddressCommand({ AllocationId: 'eipalloc-9', InstanceId: 'i-1' }))).rejects.toEqual(
      refusedWith('InvalidAllocationID.NotFound'),
    );
  });

  test('a secondary private address moves from interface to interface where it is allowed to', async () => {
    await using stage = await ec2Stage({ instances: machines('running', 'running') });
    const { client } = stage;
    const interfaces = async () => {
      const { NetworkInterfaces = [] } = await client.send(new DescribeNetworkInterfacesCommand({}));
      return NetworkInterfaces.map(({ NetworkInterfaceId = '', PrivateIpAddresses = [] }) => ({
        id: NetworkInterfaceId,
        ips: PrivateIpAddresses.map(({ PrivateIpAddress }) => PrivateIpAddress),
      }));
    };
    const [one, other] = await interfaces();
    const assign = (NetworkInterfaceId: string | undefined, ip: string, AllowReassignment = false) =>
      client.send(new AssignPrivateIpAddressesCommand({ NetworkInterfaceId, PrivateIpAddresses: [ip], AllowReassignment }));
    const answer = await assign(one?.id, '10.0.0.100');
    expect(answer.AssignedPrivateIpAddresses).toEqual([{ PrivateIpAddress: '10.0.0.100' }]);
    await assign(one?.id, '10.0.0.100');
    await expect(assign(other?.id, '10.0.0.100')).rejects.toEqual(refusedWith('InvalidParameterValue'));
    await assign(other?.id, '10.0.0.100', true);
    expect((await interfaces()).map(({ ips }) => ips)).toEqual([['10.0.0.1'], ['10.0.0.2', '10.0.0.100']]);
    await expect(assign(other?.id, '10.0.0.1', true)).rejects.toEqual(refusedWith('InvalidParameterValue'));
    const unassign = (NetworkInterfaceId: string | undefined, ip: string) =>
      client.send(new UnassignPrivateIpAddressesCommand({ NetworkInterfaceId, PrivateIpAddresses: [ip] }));
    await expect(unassign(one?.id, '10.0.0.100')).rejects.toEqual(refusedWith('InvalidParameterValue'));
    await expect(unassign('eni-9', '10.0.0.100')).rejects.toEqual(refusedWith('InvalidNetworkInterfaceID.NotFound'));
    await unassign(other?.id, '10.0.0.100');
    expect((await interfaces()).map(({ ips }) => ips)).toEqual([['10.0.0.1'], ['10.0.0.2']]);
    const given = await client.send(
      new AssignPrivateIpAddressesCommand({ NetworkInterfaceId: one?.id, SecondaryPrivateIpAddressCount: 2 }),
    );
    expect(new Set(given.AssignedPrivateIpAddresses?.map(({ PrivateIpAddress }) => PrivateIpAddress)).size).toBe(2);
  });
});

describe('what goes wrong on the way reaches the SDK as it does from EC2', () => {
  test('a request over its bucket is refused with 503 RequestLimitExceeded, and goes through once the bucket has filled', async () => {
    await using stage = await ec2Stage();
    for (let i = 0; i < 5; i++) await launch(stage);
    await expect(launch(stage)).rejects.toEqual(refusedWith('RequestLimitExceeded', 503));
    stage.pass(1000);
    await launch(stage);
    await launch(stage);
    await expect(launch(stage)).rejects.toEqual(refusedWith('RequestLimitExceeded', 503));
    expect(stage.cloud.calls().RunInstances).toEqual({ ok: 7, RequestLimitExceeded: 2 });
    expect(stage.cloud.instances()).toHaveLength(7);
  });

  test('an unavailable service, missing capacity and a full quota are refusals', async () => {
    await using stage = await ec2Stage({ quota: 2, capacity: 1 });
    stage.cloud.faults.once('unavailable');
    await expect(launch(stage)).rejects.toEqual(refusedWith('Unavailable', 503));
    await launch(stage);
    await expect(launch(stage)).rejects.toEqual(refusedWith('InsufficientInstanceCapacity', 500));
    await expect(launch(stage, { MinCount: 2, MaxCount: 2 })).rejects.toEqual(refusedWith('InstanceLimitExceeded'));
    expect(stage.cloud.instances()).toHaveLength(1);
  });

  test('a lost reply is a broken connection, and its launch has happened', async () => {
    await using stage = await ec2Stage();
    stage.cloud.faults.once('replyLost');
    await expect(launch(stage, { ClientToken: 'mine' })).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(stage.cloud.instances()).toMatchObject([{ clientToken: 'mine' }]);
    await launch(stage, { ClientToken: 'mine' });
    expect(stage.cloud.instances()).toHaveLength(1);
    expect(stage.cloud.calls().RunInstances).toEqual({ replyLost: 1, ok: 1 });
  });

  test('a lost request is a broken connection, and nothing has happened', async () => {
    await using stage = await ec2Stage();
    stage.cloud.faults.once('requestLost');
    await expect(launch(stage)).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(stage.cloud.instances()).toEqual([]);
    expect(stage.cloud.calls().RunInstances).toEqual({ requestLost: 1 });
  });

  test('a new instance is not found for a while, and a new state is not shown', async () => {
    await using stage = await ec2Stage({ eventualConsistency: 1 });
    const { Instances = [] } = await launch(stage);
    const InstanceIds = [Instances[0]?.InstanceId ?? ''];
    await expect(described(stage, { InstanceIds })).rejects.toEqual(refusedWith('InvalidInstanceID.NotFound'));
    expect(await described(stage)).toEqual([]);
    stage.pass(7);
    expect(await described(stage, { InstanceIds })).toMatchObject([{ State: { Name: 'pending' } }]);
    stage.pass(3);
    expect(stage.cloud.instances()).toMatchObject([{ power: 'running' }]);
    expect(await described(stage, { InstanceIds })).toMatchObject([{ State: { Name: 'pending' } }]);
    stage.pass(7);
    expect(await described(stage, { InstanceIds })).toMatchObject([{ State: { Name: 'running' } }]);
  });

  test('an instance that the provider takes back says why', async () => {
    await using stage = await ec2Stage({ errors: { interrupted: 1 }, instances: machines('running') });
    await launch(stage);
    stage.pass(50);
    stage.cloud.interrupt('10.0.0.1', 'stop');
    expect(await described(stage)).toMatchObject([
      { InstanceId: 'i-1', State: { Name: 'stopping' }, StateReason: { Code: 'Server.SpotInstanceTermination' } },
      { State: { Name: 'shutting-down' }, StateReason: { Code: 'Server.SpotInstanceTermination' } },
    ]);
  });

  test('an answer takes its time', async () => {
    const slept: number[] = [];
    const sleep = async (ms: number) => void slept.push(ms);
    await using stage = await ec2Stage({ latency: { ms: { answer: [80, 80] } }, sleep });
    await described(stage);
    expect(slept).toEqual([40, 40]);
  });
});

test('a simulated cloud listens on a loopback address only', async () => {
  const cloud = simulatedCloud({ now: () => asInstant(0) });
  await expect(cloud.listen({ host: '0.0.0.0' })).rejects.toMatchObject({ code: 'ER0224' });
});
