/**
 * Instances of EC2: one that is stopped is started, and one is launched at an ip of our choice. The EC2 here is a simulated one
 * behind HTTP, so that it costs nothing; for AWS's own, leave out `endpoint`, `allow` and `credentials`.
 *
 *   npx tsx examples/ec2.ts
 */
import { setTimeout as pause } from 'node:timers/promises';
import { createFleet, probed } from 'fleetbeat';
import { ec2, secret } from 'fleetbeat/adapters/ec2';
import { memory } from 'fleetbeat/adapters/memory';
import { simulatedCloud } from 'fleetbeat/testing';

const account = simulatedCloud({
  instances: [{ id: 'i-7fba6203', ip: '10.0.0.209', state: 'stopped' }],
  latency: { ms: { pending: [100, 100], 'ssh-up': [200, 200] } },
});
await using endpoint = await account.listen();

const cloud = ec2({
  region: 'us-east-1',
  endpoint: endpoint.url,
  allow: [new URL(endpoint.url).host],
  credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: secret('of nobody') },
  launch: { imageId: 'ami-cb23a0a2', instanceType: 't3.micro', subnetId: 'subnet-49326222', tags: { fleet: 'shop' } },
});
const requests = new Map<string, number>();
cloud.onCall(({ verb, outcome }) => requests.set(`${verb} ${outcome}`, (requests.get(`${verb} ${outcome}`) ?? 0) + 1));

await using fleet = createFleet({ drivers: { instances: [probed(cloud, account.shell())] }, store: memory() });
fleet.on('changed', ({ to }) => console.log(`${to.ip} is ${to.state}`));

for (const [action, group] of [
  ['start', '10.0.0.209'],
  ['launch', '10.0.0.102'],
] as const) {
  await fleet.beat();
  const reply = await fleet.dispatch({ level: 'instances', action, group });
  const id = reply.started[0]?.id ?? reply.deferred[0]?.id;
  if (id === undefined) throw new Error(`nothing was started: ${reply.code}`);
  const over = { isOver: false };
  const settled = fleet.settled(id).finally(() => {
    over.isOver = true;
  });
  while (!over.isOver) {
    await fleet.beat();
    await pause(20);
  }
  console.log(`${action} ${group}: ${(await settled).status}`);
}
for (const verb of ['StartInstances ok', 'RunInstances ok']) console.log(`${verb}: ${requests.get(verb)}`);
