import { afterEach, beforeEach, expect, test } from 'vitest';
import { asToken } from '../../../src/domain/identity.ts';
import { callTo, never, want } from '../../support/clouds/calls.ts';
import { type FakeHetzner, fakeHetzner, NETWORK } from '../../support/clouds/fake-hetzner.ts';

let cloud: FakeHetzner;
beforeEach(async () => {
  cloud = await fakeHetzner();
});
afterEach(() => cloud.close());

const posts = () => cloud.api.received.filter(({ method }) => method === 'POST');

test.each([
  ['running', 'running'],
  ['initializing', 'pending'],
  ['starting', 'pending'],
  ['stopping', 'stopping'],
  ['off', 'stopped'],
  ['deleting', 'shutting-down'],
  ['migrating', 'pending'],
  ['rebuilding', 'pending'],
  ['unknown', 'unknown'],
])('the status %s is %s', async (status, power) => {
  cloud.add({ state: status });
  const { items } = await cloud.driver().observe(want, never);
  expect(items.map((item) => item.power)).toEqual([{ state: power, raw: status }]);
});

test('the address is that of the network, or the public one where none is said', async () => {
  const machine = cloud.add({ ip: '10.0.0.1' });
  const ipOf = async (network: number | undefined) => (await cloud.driver({ network }).observe(want, never)).items[0]?.ip;
  expect(await ipOf(NETWORK)).toBe('10.0.0.1');
  expect(await ipOf(NETWORK + 1)).toBeNull();
  expect(await ipOf(undefined)).toBe(`192.0.2.${Number(machine.id) % 250}`);
});

test('launches, and attaches the server to the network at its address once it is not locked', async () => {
  cloud.locked = 2;
  expect(await cloud.driver({ lookMs: 10_000 }).perform([callTo('10.0.0.5', 'launch')], never)).toEqual([null]);
  expect(cloud.machines).toMatchObject([{ ip: '10.0.0.5' }]);
  const [created, ...attached] = posts();
  expect(JSON.parse(created?.body ?? '')).toEqual({
    name: 'fleetbeat-10-0-0-5',
    server_type: 'cx22',
    image: 'debian-12',
    labels: { fleetbeat: expect.stringMatching(/^fleetbeat-[0-9a-f]{24}$/) },
  });
  expect(attached.map(({ body }) => JSON.parse(body))).toEqual(Array(3).fill({ network: NETWORK, ip: '10.0.0.5' }));
});

test('says that what it launched has no address where that is another’s', async () => {
  cloud.add({ ip: '10.0.0.5', state: 'deleting' });
  cloud.api.intercept((request, _, answer) => {
    // The list does not show whose it is.
    if (request.method !== 'GET') return null;
    const good = answer();
    return { ...good, body: { servers: [], meta: {} } };
  });
  const [answer] = await cloud.driver({ lookMs: 60_000 }).perform([callTo('10.0.0.5', 'launch')], never);
  expect(answer).toMatchObject({ code: 'ER0220', message: expect.stringContaining('IP is not available') });
});

test('without a network it launches at a primary ip of the settings', async () => {
  const launch = { server_type: 'cx22', image: 'debian-12', byIp: { '192.0.2.9': { public_net: { ipv4: 42 } } } };
  expect(await cloud.driver({ network: undefined, launch }).perform([callTo('192.0.2.9', 'launch')], never)).toEqual([null]);
  expect(posts().map(({ body }) => JSON.parse(body).public_net)).toEqual([{ ipv4: 42 }]);
});

test('tells a limit of the account from a lack of rights', async () => {
  const launch = { server_type: 'cx22', image: 'too many' };
  const [answer] = await cloud.driver({ launch }).perform([callTo('10.0.0.5', 'launch')], never);
  expect(answer).toMatchObject({ code: 'ER0221', message: expect.stringContaining('server limit reached') });
});

test('shuts down and reboots by the button, or as a power cut by force, and asks only for its labels', async () => {
  cloud.add({ ip: '10.0.0.1' });
  for (const force of [false, true]) {
    const driver = cloud.driver({ force, labels: 'role=db' });
    for (const verb of ['reboot', 'stop'] as const)
      await driver.perform([callTo('10.0.0.1', verb, { token: asToken(verb) })], never);
  }
  expect(posts().map(({ path }) => path.split('/').at(-1))).toEqual(['reboot', 'shutdown', 'reset', 'poweroff']);
  expect(cloud.api.received[0]?.query.get('label_selector')).toBe('role=db');
});

test('waits for a lock that another action holds', async () => {
  cloud.add({ ip: '10.0.0.1', state: 'running' });
  cloud.api.intercept(({ method }) =>
    method === 'POST' ? { status: 423, body: { error: { code: 'locked', message: 'server is locked' } } } : null,
  );
  const answers = await cloud.driver().perform([callTo('10.0.0.1', 'stop')], never);
  expect(answers).toMatchObject([{ code: 'ER0206', message: expect.stringContaining('server is locked') }]);
});
