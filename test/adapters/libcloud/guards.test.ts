import type { ServerResponse } from 'node:http';
import { digitalocean, openstack, secret } from 'fleetbeat/adapters/libcloud';
import { afterEach, describe, expect, test } from 'vitest';
import { instanceKey } from '../../../src/domain/identity.ts';
import { type ApiServer, apiServer } from '../../support/clouds/api-server.ts';
import { callTo, never, want } from '../../support/clouds/calls.ts';
import { CANARY, type FakeCloud } from '../../support/clouds/fake-cloud.ts';
import { fakeDigitalocean } from '../../support/clouds/fake-digitalocean.ts';
import { type FakeOpenstack, fakeOpenstack } from '../../support/clouds/fake-openstack.ts';
import { FAKES } from '../../support/clouds/fakes.ts';
import { SELF_SIGNED } from '../../support/clouds/self-signed.ts';

const opened: Pick<ApiServer, 'close'>[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
});

async function keep<T extends Pick<ApiServer, 'close'>>(opening: Promise<T>): Promise<T> {
  const made = await opening;
  opened.push(made);
  return made;
}

describe.each(FAKES)('%s', (_, open) => {
  const start = (cloud: FakeCloud) => callTo(instanceKey(cloud.name, cloud.machines[0]?.id ?? ''), 'start');
  const withMachine = async () => {
    const cloud = await keep(open());
    cloud.add({ ip: '10.0.0.1', state: cloud.words.stopped });
    return cloud;
  };

  test('follows no redirect, least of all to the metadata service', async () => {
    const cloud = await withMachine();
    const elsewhere = await keep(apiServer(() => ({ body: {} })));
    const driver = cloud.driver();
    for (const location of [elsewhere.url, 'http://169.254.169.254/latest/meta-data']) {
      cloud.api.intercept(({ path }) => (/tokens|sessions/.test(path) ? null : { status: 302, headers: { location } }));
      await expect(driver.observe(want, never)).rejects.toMatchObject({ code: 'ER0224', retryable: false });
      expect(await driver.perform([start(cloud)], never)).toMatchObject([{ code: 'ER0224' }]);
    }
    expect(elsewhere.received).toEqual([]);
  });

  test('gives an endless answer up', async () => {
    const cloud = await withMachine();
    cloud.api.intercept((_request, response, answer) => {
      const good = answer();
      response.writeHead(good?.status ?? 200, good?.headers).end(' '.repeat(100_000));
      return undefined;
    });
    await expect(cloud.driver({ mostBytes: 50_000, retries: 0 }).observe(want, never)).rejects.toMatchObject({
      code: expect.stringMatching(/ER0223|ER0235/),
      detail: expect.stringContaining('more than 50000 bytes'),
    });
  });

  test('does not believe a page of HTML, neither as a list nor as the answer to a call', async () => {
    const cloud = await withMachine();
    const driver = cloud.driver();
    cloud.api.intercept(({ path }) =>
      /tokens|sessions/.test(path) ? null : { body: '<html><body>Please log in</body></html>' },
    );
    await expect(driver.observe(want, never)).rejects.toMatchObject({ code: 'ER0235', retryable: true });
    expect(await driver.perform([start(cloud)], never)).toMatchObject([{ code: 'ER0220' }]);
  });

  test('does not take an empty answer for a launch', async () => {
    const cloud = await keep(open());
    cloud.api.intercept(({ method, path }) => (method === 'GET' || /tokens|sessions/.test(path) ? null : { body: '' }));
    expect(await cloud.driver().perform([callTo('10.0.0.5', 'launch')], never)).toMatchObject([{ code: 'ER0220' }]);
  });

  test('asks for nothing outside of its instances, whatever an id says', async () => {
    const cloud = await withMachine();
    const ids = ['..', '.', '../../admin', 'a/../../b', '%2e%2e'];
    const calls = ids.map((id) => callTo(instanceKey(cloud.name, id), 'terminate'));
    const answers = await cloud.driver().perform(calls, never);
    expect(answers.every((answer) => answer !== null)).toBe(true);
    const paths = cloud.api.received.filter(({ method }) => method === 'DELETE').map(({ path }) => path);
    expect(paths.every((path) => /\/(?:servers|droplets|vApp)\/[^/]+$/.test(path))).toBe(true);
  });

  test('asks for a login once, and not again for a while where it is refused', async () => {
    const cloud = await withMachine();
    const driver = cloud.driver();
    cloud.api.intercept(() => ({ status: 401 }));
    for (let beat = 0; beat < 5; beat++) await expect(driver.observe(want, never)).rejects.toMatchObject({ code: 'ER0224' });
    expect(cloud.api.received.filter(({ path }) => /tokens|sessions/.test(path)).length).toBeLessThanOrEqual(1);
  });

  test('is asked no second time with a token that was refused', async () => {
    const cloud = await withMachine();
    const driver = cloud.driver();
    cloud.api.intercept(({ path }) => (/tokens|sessions/.test(path) ? null : { status: 401 }));
    await expect(driver.observe(want, never)).rejects.toMatchObject({ code: 'ER0224' });
    const sent = cloud.api.received.filter(({ path }) => !/tokens|sessions/.test(path));
    const tokens = sent.map(
      ({ headers }) => headers.authorization ?? headers['x-auth-token'] ?? headers['x-vcloud-authorization'],
    );
    expect(new Set(tokens).size).toBe(tokens.length);
  });

  test('tells of an instance that makes no sense, and shows the others', async () => {
    const cloud = await withMachine();
    cloud.add({ ip: 'not an address', state: cloud.words.running });
    cloud.add({ ip: '10.0.0.3', state: 7 });
    const good = cloud.machines[0];
    if (good) cloud.machines.push({ ...good });
    const { items, problems, complete } = await cloud.driver().observe(want, never);
    expect(items.map(({ ip, power }) => [ip, power?.state])).toEqual([
      ['10.0.0.1', 'stopped'],
      [null, 'running'],
      ['10.0.0.3', 'unknown'],
    ]);
    expect(problems.map(({ subject }) => subject).sort()).toEqual(
      cloud.machines
        .slice(1)
        .map(({ id }) => id)
        .sort(),
    );
    expect(problems.every(({ code }) => code === 'ER0222')).toBe(true);
    expect(complete).toBe(true);
  });

  test('believes no absence where the list has an instance that cannot be told', async () => {
    const cloud = await withMachine();
    cloud.add({ id: cloud.name === 'vcloud' ? 'vm-../x' : '__proto__', ip: '10.0.0.2' });
    const { items, problems, complete } = await cloud.driver().observe(want, never);
    expect(items.map(({ ip }) => ip)).toEqual(['10.0.0.1']);
    expect(problems).toMatchObject([{ subject: cloud.name, code: 'ER0222' }]);
    expect(complete).toBe(false);
  });
});

describe('the address policy of a cloud', () => {
  const password = { username: 'u', password: secret(CANARY), project: 'p' };

  test.each([
    'http://keystone.example.com:5000/v3',
    'http://10.0.0.1:5000/v3',
    'https://127.0.0.1:5000/v3',
    'https://[::1]/v3',
    'https://169.254.169.254/v3',
    'https://[fd00:ec2::254]/v3',
    `https://user:${CANARY}@keystone.example.com/v3`,
    'ftp://keystone.example.com/',
    'keystone',
  ])('refuses %s', (authUrl) => {
    const make = () => openstack({ authUrl, auth: password });
    expect(make).toThrow(expect.objectContaining({ code: 'ER0230' }));
    expect(make).not.toThrow(CANARY);
  });

  test('refuses the metadata service also where it is listed', () => {
    const make = () => openstack({ authUrl: 'http://169.254.169.254/v3', auth: password, allow: ['169.254.169.254'] });
    expect(make).toThrow(expect.objectContaining({ code: 'ER0230' }));
  });

  test('allows a listed host with its port, or with all of them', () => {
    for (const allow of ['127.0.0.1', '127.0.0.1:5000', 'localhost']) {
      const host = allow === 'localhost' ? 'localhost:5000' : '127.0.0.1:5000';
      expect(() => openstack({ authUrl: `http://${host}/v3`, auth: password, allow: [allow] })).not.toThrow();
    }
    const other = () => openstack({ authUrl: 'http://127.0.0.1:5000/v3', auth: password, allow: ['127.0.0.1:5001'] });
    expect(other).toThrow(expect.objectContaining({ code: 'ER0230' }));
  });

  test.each(['http://169.254.169.254/v2.1', 'http://127.0.0.1:1/v2.1', 'http://10.0.0.9/v2.1', 'https://[fe80::1]/v2.1'])(
    'holds for the catalog too: %s',
    async (novaUrl) => {
      const cloud: FakeOpenstack = await keep(fakeOpenstack());
      cloud.novaUrl = novaUrl;
      await expect(cloud.driver().observe(want, never)).rejects.toMatchObject({ code: 'ER0224', retryable: false });
      expect(await cloud.driver().perform([callTo('10.0.0.1', 'start')], never)).toMatchObject([{ code: 'ER0224' }]);
    },
  );
});

test.each([
  ['never comes', () => {}],
  ['never ends', (response: ServerResponse) => void response.write('{"droplets":[')],
])('an answer that %s is waited for as long as the deadline says', async (_, begin) => {
  const cloud = await keep(fakeDigitalocean());
  cloud.api.intercept((_request, response) => {
    begin(response);
    return undefined;
  });
  const driver = cloud.driver({ deadlineMs: 50 });
  await expect(driver.observe(want, never)).rejects.toMatchObject({ code: 'ER0212', retryable: true });
  const [answer] = await driver.perform([callTo(instanceKey('digitalocean', '1'), 'start')], never);
  expect(answer).toMatchObject({ code: 'ER0212' });
});

describe('a server that cannot prove who it is', () => {
  const droplets = { droplets: [{ id: 1, status: 'active', networks: { v4: [] }, tags: [] }], links: {} };
  const serve = () => keep(apiServer(() => ({ body: droplets }), SELF_SIGNED));
  const driverOf = (api: ApiServer, ca?: string) =>
    digitalocean({ url: `${api.url}/v2`, token: secret(CANARY), allow: [api.host], retryMs: 1, ...(ca !== undefined && { ca }) });

  test('is told nothing, and the call was certainly not made', async () => {
    const api = await serve();
    const driver = driverOf(api);
    await expect(driver.observe(want, never)).rejects.toMatchObject({
      code: 'ER0235',
      detail: expect.stringContaining('SELF_SIGNED'),
    });
    const answers = await driver.perform([callTo(instanceKey('digitalocean', '1'), 'start')], never);
    expect(answers).toMatchObject([{ code: 'ER0018' }]);
    expect(api.received).toEqual([]);
  });

  test('is trusted by its own authority where that is given', async () => {
    const api = await serve();
    expect((await driverOf(api, SELF_SIGNED.cert).observe(want, never)).items).toHaveLength(1);
  });
});
