import { afterEach, expect, test, vi } from 'vitest';
import { CANARY, type FakeCloud } from '../../support/clouds/fake-cloud.ts';
import { fakeDigitalocean } from '../../support/clouds/fake-digitalocean.ts';
import { fakeHetzner, NETWORK } from '../../support/clouds/fake-hetzner.ts';
import { fakeOpenstack } from '../../support/clouds/fake-openstack.ts';
import { fakeVcloud } from '../../support/clouds/fake-vcloud.ts';
import { runExample } from '../../support/run-example.ts';

const opened: FakeCloud[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(opened.splice(0).map((cloud) => cloud.close()));
});

/** What an example prints of a cloud with two machines. */
async function run(file: string, cloud: FakeCloud, env: Readonly<Record<string, string>>, ...args: readonly string[]) {
  opened.push(cloud);
  cloud.add({ ip: '10.0.0.101', state: cloud.words.running });
  cloud.add({ ip: '10.0.0.102', state: cloud.words.stopped });
  for (const [name, value] of Object.entries({ ...env, CLOUD_ALLOW: cloud.api.host })) vi.stubEnv(name, value);
  return (await runExample(file, ...args)).trim().split('\n');
}

test('openstack.ts shows the servers, and stops one', async () => {
  const cloud = await fakeOpenstack();
  const env = { OS_AUTH_URL: `${cloud.api.url}/v3`, OS_USERNAME: 'demo', OS_PASSWORD: CANARY, OS_PROJECT_NAME: 'demo' };
  expect(await run('openstack.ts', cloud, env, '10.0.0.101')).toEqual([
    '10.0.0.101 pending (ACTIVE)',
    '10.0.0.102 stopped (SHUTOFF)',
    '10.0.0.101 stopped (SHUTOFF)',
    'stop 10.0.0.101: done',
  ]);
});

test('digitalocean.ts shows the droplets', async () => {
  const cloud = await fakeDigitalocean();
  const env = { DIGITALOCEAN_TOKEN: CANARY, DIGITALOCEAN_URL: `${cloud.api.url}/v2` };
  expect(await run('digitalocean.ts', cloud, env)).toEqual(['10.0.0.101 pending (active)', '10.0.0.102 stopped (off)']);
});

test('hetzner.ts shows the servers', async () => {
  const cloud = await fakeHetzner();
  const env = { HCLOUD_TOKEN: CANARY, HCLOUD_URL: `${cloud.api.url}/v1`, HCLOUD_NETWORK: String(NETWORK) };
  expect(await run('hetzner.ts', cloud, env)).toEqual(['10.0.0.101 pending (running)', '10.0.0.102 stopped (off)']);
});

test('vcloud.ts shows the machines', async () => {
  const cloud = await fakeVcloud();
  const env = { VCLOUD_URL: `${cloud.api.url}/api`, VCLOUD_USER: 'admin', VCLOUD_ORG: 'shop', VCLOUD_PASSWORD: CANARY };
  expect(await run('vcloud.ts', cloud, env)).toEqual(['10.0.0.101 pending (POWERED_ON)', '10.0.0.102 stopped (POWERED_OFF)']);
});

test('own-cloud.ts shows what its table makes of a cloud of its own', async () => {
  expect((await runExample('own-cloud.ts')).trim().split('\n')).toEqual([
    'instances/attic/1 at 10.0.0.101: pending (awake)',
    'instances/attic/2 at 10.0.0.102: stopped (asleep)',
    'instances/attic/3 at 10.0.0.103: unknown (grumpy)',
  ]);
});
