import { openstack, secret } from 'fleetbeat/adapters/libcloud';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { asToken, instanceKey } from '../../../src/domain/identity.ts';
import { callTo, never, want } from '../../support/clouds/calls.ts';
import { CANARY, QUICK } from '../../support/clouds/fake-cloud.ts';
import { type FakeOpenstack, fakeOpenstack } from '../../support/clouds/fake-openstack.ts';

let cloud: FakeOpenstack;
beforeEach(async () => {
  cloud = await fakeOpenstack();
});
afterEach(() => cloud.close());

const logins = () => cloud.api.received.filter(({ path }) => path.endsWith('/auth/tokens'));
const bodies = (path: RegExp) => cloud.api.received.filter((one) => path.test(one.path)).map(({ body }) => JSON.parse(body));

/** What a driver makes of servers in Nova's words. */
async function read(servers: readonly unknown[], options = {}) {
  cloud.api.intercept(({ method }) => (method === 'GET' ? { body: { servers } } : null));
  return cloud.driver(options).observe(want, never);
}

test.each([
  ['ACTIVE', 'running'],
  ['BUILD', 'pending'],
  ['DELETED', 'terminated'],
  ['ERROR', 'unknown'],
  ['HARD_REBOOT', 'pending'],
  ['MIGRATING', 'running'],
  ['PASSWORD', 'running'],
  ['PAUSED', 'stopped'],
  ['REBOOT', 'pending'],
  ['REBUILD', 'pending'],
  ['RESCUE', 'unknown'],
  ['RESIZE', 'pending'],
  ['REVERT_RESIZE', 'pending'],
  ['SHELVED', 'stopped'],
  ['SHELVED_OFFLOADED', 'stopped'],
  ['SHUTOFF', 'stopped'],
  ['SOFT_DELETED', 'shutting-down'],
  ['SUSPENDED', 'stopped'],
  ['UNKNOWN', 'unknown'],
  ['VERIFY_RESIZE', 'running'],
])('the status %s is %s', async (status, power) => {
  const { items, problems } = await read([{ id: 'a', status, addresses: {} }]);
  expect(items.map((item) => item.power)).toEqual([{ state: power, raw: status }]);
  expect(problems).toEqual([]);
});

test.each([
  ['ACTIVE', 'powering-off', 'stopping'],
  ['SHUTOFF', 'powering-on', 'pending'],
  ['ACTIVE', 'deleting', 'shutting-down'],
  ['ACTIVE', 'image_snapshot', 'running'],
])('%s with the task %s is %s', async (status, task, power) => {
  const { items } = await read([{ id: 'a', status, 'OS-EXT-STS:task_state': task, addresses: {} }]);
  expect(items[0]?.power).toEqual({ state: power, raw: `${status}/${task}` });
});

test('an ERROR is told with its fault', async () => {
  const { problems } = await read([
    { id: 'a', status: 'ERROR', addresses: {}, fault: { code: 500, message: 'No valid host was found. ' } },
  ]);
  expect(problems).toEqual([{ subject: 'a', code: 'ER0221', message: 'No valid host was found.' }]);
});

test('a fault that the list leaves out is asked for once, and the list is as good without it', async () => {
  const server = { id: 'a', status: 'ERROR', addresses: {} };
  let isBroken = true;
  cloud.api.intercept(({ method, path }) => {
    if (method !== 'GET') return null;
    if (path.endsWith('/servers/detail')) return { body: { servers: [server] } };
    return isBroken ? { status: 404 } : { body: { server: { ...server, fault: { message: 'No valid host was found.' } } } };
  });
  const driver = cloud.driver();
  expect(await driver.observe(want, never)).toMatchObject({ items: [{ id: 'a' }], complete: true, problems: [] });
  isBroken = false;
  for (let beat = 0; beat < 3; beat++) {
    const { problems } = await driver.observe(want, never);
    expect(problems).toEqual([{ subject: 'a', code: 'ER0221', message: 'No valid host was found.' }]);
  }
  expect(cloud.api.received.filter(({ path }) => path.endsWith('/servers/a'))).toHaveLength(2);
});

test('the address is the first fixed IPv4, or that of the chosen network', async () => {
  const addresses = {
    one: [
      { version: 4, addr: '192.0.2.1', 'OS-EXT-IPS:type': 'floating' },
      { version: 6, addr: '2001:db8::1', 'OS-EXT-IPS:type': 'fixed' },
      { version: 4, addr: '10.0.0.1', 'OS-EXT-IPS:type': 'fixed' },
    ],
    two: [{ version: 4, addr: '10.1.0.1' }],
  };
  const servers = [{ id: 'a', status: 'ACTIVE', addresses }];
  expect((await read(servers)).items[0]?.ip).toBe('10.0.0.1');
  expect((await read(servers, { network: 'two' })).items[0]?.ip).toBe('10.1.0.1');
  expect((await read(servers, { network: 'three' })).items[0]?.ip).toBeNull();
});

test('one login serves many requests, and a token that has expired costs one more', async () => {
  cloud.add({ ip: '10.0.0.1', state: 'SHUTOFF' });
  const driver = cloud.driver();
  await Promise.all([driver.observe(want, never), driver.observe(want, never)]);
  expect(logins()).toHaveLength(1);
  cloud.expire();
  expect(await driver.perform([callTo('10.0.0.1', 'start')], never)).toEqual([null]);
  expect(logins()).toHaveLength(2);
});

test('a token is renewed before it ends, by the times of the server', async () => {
  cloud.api.intercept(({ path }, _, answer) => {
    const good = answer();
    if (!path.endsWith('/auth/tokens') || !good) return good ?? {};
    const { token } = good.body as { token: object };
    const times = { issued_at: '2001-01-01T00:00:00.000000Z', expires_at: '2001-01-01T00:00:00.001000Z' };
    return { ...good, body: { token: { ...token, ...times } } };
  });
  const driver = cloud.driver();
  await driver.observe(want, never);
  const loginsAfterAnother = async () => {
    await driver.observe(want, never);
    return logins().length;
  };
  await expect.poll(loginsAfterAnother).toBeGreaterThan(1);
});

test('logs in with a password and a project, or with an application credential that has its own', async () => {
  await cloud.driver().observe(want, never);
  await cloud.driver({ auth: { applicationCredentialId: 'c1', secret: secret(CANARY) } }).observe(want, never);
  const domain = { name: 'Default' };
  expect(bodies(/tokens$/)).toEqual([
    {
      auth: {
        identity: { methods: ['password'], password: { user: { name: 'demo', domain, password: CANARY } } },
        scope: { project: { name: 'demo', domain } },
      },
    },
    {
      auth: {
        identity: { methods: ['application_credential'], application_credential: { id: 'c1', secret: CANARY } },
      },
    },
  ]);
});

test('a wrong password is told in Keystone’s words', async () => {
  const driver = cloud.driver({ auth: { username: 'demo', password: secret('wrong'), project: 'demo' } });
  await expect(driver.observe(want, never)).rejects.toMatchObject({
    code: 'ER0224',
    detail: expect.stringContaining('requires authentication'),
  });
});

test('Nova is where the catalog says, by interface and region, or where the options say', async () => {
  await expect(cloud.driver({ region: 'Elsewhere' }).observe(want, never)).rejects.toMatchObject({ code: 'ER0230' });
  expect((await cloud.driver({ region: 'RegionOne' }).observe(want, never)).complete).toBe(true);
  cloud.novaUrl = 'https://[fe80::1]/';
  expect((await cloud.driver({ endpoint: `${cloud.api.url}/v2.1` }).observe(want, never)).complete).toBe(true);
});

test('a server that was paused, suspended or shelved is started as it was stopped', async () => {
  const machine = cloud.add({ ip: '10.0.0.1', state: 'PAUSED' });
  const driver = cloud.driver();
  await driver.observe(want, never);
  expect(await driver.perform([callTo('10.0.0.1', 'start')], never)).toEqual([null]);
  expect(machine.state).toBe('ACTIVE');
  expect(bodies(/action$/)).toEqual([{ unpause: null }]);
});

test('reboots softly, or hard by force', async () => {
  const machine = cloud.add({ ip: '10.0.0.1' });
  for (const force of [false, true]) {
    await cloud.driver({ force }).perform([callTo(instanceKey('openstack', machine.id), 'reboot')], never);
  }
  expect(bodies(/action$/)).toEqual([{ reboot: { type: 'SOFT' } }, { reboot: { type: 'HARD' } }]);
});

test('launches in Nova’s words, with what is different at single addresses', async () => {
  const launch = {
    imageRef: 'i',
    flavorRef: 'f',
    network: 'n',
    key_name: 'k',
    metadata: { a: 'b' },
    byIp: { '10.0.0.6': { flavorRef: 'big', name: 'db6' } },
  };
  const driver = cloud.driver({ launch });
  const calls = ['10.0.0.5', '10.0.0.6'].map((ip) => callTo(ip, 'launch', { token: asToken(ip) }));
  expect(await driver.perform(calls, never)).toEqual([null, null]);
  const metadata = { a: 'b', fleetbeat: expect.stringMatching(/^fleetbeat-/) };
  const sent = bodies(/\/servers$/).map(({ server }) => server);
  expect(sent.toSorted((a, b) => String(a.name).localeCompare(b.name))).toEqual([
    { name: 'db6', imageRef: 'i', flavorRef: 'big', key_name: 'k', networks: [{ uuid: 'n', fixed_ip: '10.0.0.6' }], metadata },
    {
      name: 'fleetbeat-10-0-0-5',
      imageRef: 'i',
      flavorRef: 'f',
      key_name: 'k',
      networks: [{ uuid: 'n', fixed_ip: '10.0.0.5' }],
      metadata,
    },
  ]);
});

describe('a refusal is told for what it is', () => {
  const refused = async (status: number, kind: string, message: string, verb: 'launch' | 'start' = 'launch') => {
    cloud.add({ ip: '10.0.0.1', state: 'SHUTOFF' });
    cloud.api.intercept(({ method, path }) =>
      method === 'POST' && /servers/.test(path) ? { status, body: { [kind]: { code: status, message } } } : null,
    );
    return (await cloud.driver({ retries: 0 }).perform([callTo(verb === 'start' ? '10.0.0.1' : '10.0.0.5', verb)], never))[0];
  };

  test.each([
    [403, 'forbidden', 'Quota exceeded for instances: Requested 1, but already used 10 of 10 instances', 'ER0221'],
    [403, 'forbidden', 'Policy does not allow os_compute_api:servers:create to be performed.', 'ER0224'],
    [413, 'overLimit', 'This request was rate-limited.', 'ER0221'],
    [400, 'badRequest', 'Fixed IP address 10.0.0.5 is already in use on instance x.', 'ER0208'],
    [400, 'badRequest', 'Can not find requested image', 'ER0221'],
    [404, 'itemNotFound', 'Flavor f could not be found.', 'ER0221'],
    [500, 'computeFault', 'Unexpected API Error.', 'ER0220'],
  ])('a launch answered by %i %s: %s', async (status, kind, message, code) => {
    expect(await refused(status, kind, message)).toEqual({
      subject: '10.0.0.5',
      code,
      message: `POST /servers was answered by ${status}: ${message}`,
    });
  });

  test('a start while something else goes on', async () => {
    const answer = await refused(
      409,
      'conflictingRequest',
      "Cannot 'start' instance while it is in task_state powering-off",
      'start',
    );
    expect(answer).toMatchObject({ code: 'ER0206', message: expect.stringContaining('powering-off') });
  });
});

test('a page size is asked for', async () => {
  for (let n = 1; n <= 5; n++) cloud.add({ ip: `10.0.0.${n}` });
  expect((await cloud.driver({ pageSize: 2 }).observe(want, never)).items).toHaveLength(5);
  expect(cloud.api.received.filter(({ path }) => path.endsWith('detail')).map(({ query }) => query.toString())).toEqual([
    'limit=2',
    expect.stringMatching(/^limit=2&marker=/),
    expect.stringMatching(/^limit=2&marker=/),
  ]);
});

test('pages that lead in a circle end', async () => {
  const links = { servers_links: [{ rel: 'next', href: 'http://x/?marker=a' }] };
  cloud.api.intercept(({ method }) =>
    method === 'GET' ? { body: { servers: [{ id: 'a', status: 'ACTIVE' }], ...links } } : null,
  );
  const { items, complete, problems } = await cloud.driver().observe(want, never);
  expect(items).toHaveLength(1);
  expect(complete).toBe(false);
  expect(problems.map(({ message }) => message)).toContainEqual(expect.stringContaining('circle'));
});

test('the name of a driver is the name of its cloud', () => {
  const auth = { username: 'u', password: secret('p'), project: 'p' };
  expect(openstack({ ...QUICK, authUrl: 'https://keystone.example.com/v3', auth, name: 'lab' }).name).toBe('lab');
});
