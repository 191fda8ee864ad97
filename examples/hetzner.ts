/**
 * The servers of a Hetzner project as a fleet sees them, by their addresses in a private network.
 *
 *   HCLOUD_TOKEN=… HCLOUD_NETWORK=… npx tsx examples/hetzner.ts
 */
import { createFleet } from 'fleetbeat';
import { hetzner, secret } from 'fleetbeat/adapters/libcloud';
import { memory } from 'fleetbeat/adapters/memory';

const { HCLOUD_TOKEN, HCLOUD_NETWORK, HCLOUD_URL, CLOUD_ALLOW } = process.env;
const cloud = hetzner({
  token: secret(HCLOUD_TOKEN),
  ...(HCLOUD_NETWORK && { network: Number(HCLOUD_NETWORK) }),
  launch: { server_type: 'cx22', image: 'debian-12', location: 'fsn1' },
  ...(HCLOUD_URL && { url: HCLOUD_URL }),
  ...(CLOUD_ALLOW && { allow: CLOUD_ALLOW.split(',') }),
});

await using fleet = createFleet({ drivers: { instances: [cloud] }, store: memory() });
fleet.on('changed', ({ to }) => console.log(`${to.ip} ${to.state} (${to.raw})`));
await fleet.beat();
