/**
 * A cloud to test against: the same EC2 in memory behind a fleet, without HTTP, and behind the AWS SDK, with it.
 *
 *   npx tsx examples/simulated-cloud.ts
 */
import { DescribeInstancesCommand, EC2Client, RunInstancesCommand } from '@aws-sdk/client-ec2';
import { asInstant, createFleet, probed } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { simulatedCloud } from 'fleetbeat/testing';

let now = Date.UTC(2026, 0, 1);
const clock = () => asInstant(now);
const cloud = simulatedCloud({
  seed: 7,
  now: clock,
  instances: [{ id: 'i-0a', ip: '10.0.0.101', state: 'stopped' }],
  eventualConsistency: 0.5,
});

// The driver and the machines of the cloud in a fleet. The answer to its launch is lost; what it has launched is not.
await using fleet = createFleet({
  drivers: { instances: [probed(cloud.driver(), cloud.shell(), { fence: false })] },
  store: memory({ now: clock }),
  now: clock,
});
fleet.on('changed', ({ from, to }) => from?.state !== to.state && console.log(`fleet     ${to.ip} is ${to.state}`));
await fleet.beat();
cloud.strike('RunInstances', 'replyLost');
await fleet.dispatch({ level: 'instances', action: 'launch', group: '10.0.0.102' });
while (fleet.actions().length > 0) {
  now += 2_000;
  await fleet.beat();
  await new Promise((resolve) => setTimeout(resolve, 5));
}
const launched = cloud.instances().filter(({ ip }) => ip === '10.0.0.102');
console.log(`truth     ${launched.length} instance was launched, by ${JSON.stringify(cloud.calls().RunInstances)}`);

// The same cloud for whatever speaks EC2: no account, no network, and what goes wrong goes wrong when the test says so.
await using endpoint = await cloud.listen();
const credentials = { accessKeyId: 'any', secretAccessKey: 'any' };
const client = new EC2Client({ endpoint: endpoint.url, region: 'eu-west-1', credentials, maxAttempts: 1 });
const { Reservations = [] } = await client.send(new DescribeInstancesCommand({}));
for (const { PrivateIpAddress, State } of Reservations.flatMap(({ Instances = [] }) => Instances))
  console.log(`AWS SDK   ${PrivateIpAddress} is ${State?.Name}`);

cloud.strike('RunInstances', 'noCapacity');
const launch = new RunInstancesCommand({ MinCount: 1, MaxCount: 1, ImageId: 'ami-1' });
await client.send(launch).catch((error: Error) => console.log(`AWS SDK   ${error.name}`));
client.destroy();
