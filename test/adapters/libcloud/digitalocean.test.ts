import { afterEach, beforeEach, expect, test } from 'vitest';
import { asToken } from '../../../src/domain/identity.ts';
import { callTo, never, want } from '../../support/clouds/calls.ts';
import { type FakeDigitalocean, fakeDigitalocean } from '../../support/clouds/fake-digitalocean.ts';

let cloud: FakeDigitalocean;
beforeEach(async () => {
  cloud = await fakeDigitalocean();
});
afterEach(() => cloud.close());

const sent = (path: RegExp) =>
  cloud.api.received.filter((one) => one.method === 'POST' && path.test(one.path)).map(({ body }) => JSON.parse(body));

const droplet = (status: unknown) => ({
  id: 3164444,
  status,
  networks: {
    v4: [
      { ip_address: '10.124.0.2', type: 'private' },
      { ip_address: '192.0.2.13', type: 'public' },
    ],
    v6: [{ ip_address: '2001:db8::9000', type: 'public' }],
  },
  tags: [],
});

async function read(droplets: readonly unknown[], options = {}) {
  cloud.api.intercept(() => ({ body: { droplets, links: {} } }));
  return (await cloud.driver({ address: 'private', ...options }).observe(want, never)).items;
}

test.each([
  ['new', 'pending'],
  ['active', 'running'],
  ['off', 'stopped'],
  ['archive', 'terminated'],
])('the status %s is %s', async (status, power) => {
  expect((await read([droplet(status)])).map((item) => item.power)).toEqual([{ state: power, raw: status }]);
});

test('the address is the private one, or the public one, and the other where there is but one', async () => {
  expect((await read([droplet('active')]))[0]?.ip).toBe('10.124.0.2');
  expect((await read([droplet('active')], { address: 'public' }))[0]?.ip).toBe('192.0.2.13');
  const { networks } = droplet('active');
  const lone = { ...droplet('active'), networks: { v4: networks.v4.slice(1) } };
  expect((await read([lone]))[0]?.ip).toBe('192.0.2.13');
});

test('launches at a reserved ip, once the droplet can take it, and only there', async () => {
  cloud.pending = 3;
  expect(await cloud.driver({ tag: 'databases', lookMs: 10_000 }).perform([callTo('10.0.0.5', 'launch')], never)).toEqual([null]);
  expect(cloud.machines).toMatchObject([{ ip: '10.0.0.5' }]);
  expect(sent(/droplets$/)).toMatchObject([
    { name: 'fleetbeat-10-0-0-5', region: 'nyc3', tags: ['databases', expect.stringMatching(/^fleetbeat-/)] },
  ]);
  expect(sent(/reserved_ips/)).toHaveLength(4);
  const [refused] = await cloud.driver({ address: 'private' }).perform([callTo('10.0.0.6', 'launch')], never);
  expect(refused).toMatchObject({ code: 'ER0229' });
});

test('a droplet that has no address yet is looked for and given it, by whoever comes next', async () => {
  cloud.pending = 1000;
  const [first] = await cloud.driver({ lookMs: 20 }).perform([callTo('10.0.0.5', 'launch')], never);
  expect(first).toMatchObject({ code: 'ER0220', message: expect.stringContaining('no address yet') });
  cloud.pending = 0;
  expect(await cloud.driver().perform([callTo('10.0.0.5', 'launch', { isRepeated: true })], never)).toEqual([null]);
  expect(cloud.machines).toMatchObject([{ ip: '10.0.0.5' }]);
});

test('shuts down and reboots by the button, or as a power cut by force', async () => {
  const machine = cloud.add({ ip: '10.0.0.1' });
  for (const force of [false, true]) {
    const driver = cloud.driver({ force });
    for (const verb of ['reboot', 'stop', 'start'] as const)
      await driver.perform([callTo('10.0.0.1', verb, { token: asToken(verb) })], never);
  }
  expect(sent(new RegExp(`droplets/${machine.id}/actions`)).map(({ type }) => type)).toEqual([
    'reboot',
    'shutdown',
    'power_on',
    'power_cycle',
    'power_off',
    'power_on',
  ]);
});

test('only droplets with a tag are asked for', async () => {
  await cloud.driver({ tag: 'databases' }).observe(want, never);
  expect(cloud.api.received[0]?.query.get('tag_name')).toBe('databases');
});

test.each([
  ['You specified an invalid image for Droplet creation.', 'ER0221'],
  ['creating this/these droplet(s) will exceed your droplet limit', 'ER0221'],
])('a launch refused with "%s" is not repeated by itself', async (message, code) => {
  cloud.api.intercept(({ method }) =>
    method === 'POST' ? { status: 422, body: { id: 'unprocessable_entity', message } } : null,
  );
  const [answer] = await cloud.driver().perform([callTo('10.0.0.5', 'launch')], never);
  expect(answer).toMatchObject({ code, message: expect.stringContaining(message) });
  expect(sent(/droplets$/)).toHaveLength(1);
});

test('reserved ips whose pages lead in a circle are no list, and asked for no further', async () => {
  cloud.add({ ip: '10.0.0.1' });
  const links = { pages: { next: 'https://elsewhere.example/v2/reserved_ips?page=2' } };
  cloud.api.intercept(({ path }) => (path === '/v2/reserved_ips' ? { body: { reserved_ips: [], links } } : null));
  await expect(cloud.driver().observe(want, never)).rejects.toMatchObject({
    code: 'ER0235',
    detail: expect.stringContaining('circle'),
  });
  expect(cloud.api.received.filter(({ path }) => path === '/v2/reserved_ips')).toHaveLength(2);
});
