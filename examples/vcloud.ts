/**
 * The machines of a vCloud organization as a fleet sees them.
 *
 *   VCLOUD_URL=https://vcloud.example.com/api VCLOUD_USER=… VCLOUD_ORG=… VCLOUD_PASSWORD=… npx tsx examples/vcloud.ts
 */
import { createFleet } from 'fleetbeat';
import { secret, vcloud } from 'fleetbeat/adapters/libcloud/vcloud';
import { memory } from 'fleetbeat/adapters/memory';

const { VCLOUD_URL = '', VCLOUD_USER = '', VCLOUD_ORG = '', VCLOUD_PASSWORD, CLOUD_ALLOW } = process.env;
const cloud = vcloud({
  url: VCLOUD_URL,
  user: VCLOUD_USER,
  org: VCLOUD_ORG,
  password: secret(VCLOUD_PASSWORD),
  ...(CLOUD_ALLOW && { allow: CLOUD_ALLOW.split(',') }),
});

await using fleet = createFleet({ drivers: { instances: [cloud] }, store: memory() });
fleet.on('changed', ({ to }) => console.log(`${to.ip} ${to.state} (${to.raw})`));
await fleet.beat();
