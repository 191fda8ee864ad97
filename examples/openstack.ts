/**
 * The servers of an OpenStack project as a fleet sees them; the one at an ip, if one is said, is stopped.
 *
 *   OS_AUTH_URL=https://keystone.example.com:5000/v3 OS_USERNAME=… OS_PASSWORD=… OS_PROJECT_NAME=… npx tsx examples/openstack.ts [ip]
 *
 * A cloud on this machine, or without TLS, has to be listed: CLOUD_ALLOW=127.0.0.1:5000,127.0.0.1:8774.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { cached, createFleet } from 'fleetbeat';
import { openstack, secret } from 'fleetbeat/adapters/libcloud';
import { memory } from 'fleetbeat/adapters/memory';

const { OS_AUTH_URL = '', OS_USERNAME = '', OS_PASSWORD, OS_PROJECT_NAME = '', OS_REGION_NAME, CLOUD_ALLOW } = process.env;
const store = memory();
const cloud = openstack({
  authUrl: OS_AUTH_URL,
  auth: { username: OS_USERNAME, password: secret(OS_PASSWORD), project: OS_PROJECT_NAME },
  ...(OS_REGION_NAME && { region: OS_REGION_NAME }),
  ...(CLOUD_ALLOW && { allow: CLOUD_ALLOW.split(',') }),
});

await using fleet = createFleet({ drivers: { instances: [cached(cloud, store, { ttlMs: 1000 })] }, store });
fleet.on('changed', ({ to }) => console.log(`${to.ip} ${to.state} (${to.raw})`));
await fleet.beat();

const [ip] = process.argv.slice(2);
if (ip !== undefined) {
  const reply = await fleet.dispatch({ level: 'instances', action: 'stop', group: ip });
  const id = reply.started[0]?.id;
  if (id === undefined) throw new Error(`nothing was stopped: ${reply.code}`);
  const stopping = { isOver: false };
  const settled = fleet.settled(id).finally(() => {
    stopping.isOver = true;
  });
  while (!stopping.isOver) {
    await fleet.beat();
    await pause(100);
  }
  console.log(`stop ${ip}: ${(await settled).status}`);
}
