/**
 * The droplets of an account as a fleet sees them.
 *
 *   DIGITALOCEAN_TOKEN=… npx tsx examples/digitalocean.ts
 */
import { createFleet } from 'fleetbeat';
import { digitalocean, secret } from 'fleetbeat/adapters/libcloud';
import { memory } from 'fleetbeat/adapters/memory';

const { DIGITALOCEAN_TOKEN, DIGITALOCEAN_URL, CLOUD_ALLOW } = process.env;
const cloud = digitalocean({
  token: secret(DIGITALOCEAN_TOKEN),
  // Reserved ips are the only ones that can be chosen: with them droplets can be launched too.
  address: 'reserved',
  launch: { region: 'ams3', size: 's-1vcpu-1gb', image: 'debian-12-x64' },
  ...(DIGITALOCEAN_URL && { url: DIGITALOCEAN_URL }),
  ...(CLOUD_ALLOW && { allow: CLOUD_ALLOW.split(',') }),
});

await using fleet = createFleet({ drivers: { instances: [cloud] }, store: memory() });
fleet.on('changed', ({ to }) => console.log(`${to.ip} ${to.state} (${to.raw})`));
await fleet.beat();
