import { type CloudDriver, openstack, secret } from 'fleetbeat/adapters/libcloud';
import { driverContract } from 'fleetbeat/testing';
import { describe, expect, test } from 'vitest';
import type { ApiCall } from '../../src/contracts.ts';
import { asInstant, asToken, instanceKey } from '../../src/domain/identity.ts';
import type { InstanceVerb, Power } from '../../src/domain/instance.ts';
import { callTo, never, want } from '../support/clouds/calls.ts';
import { addressesOf, crowd, revoke } from '../support/openstack/cloud.ts';
import { requiresOpenstack } from '../support/requires.ts';

/** A server needs some seconds, and more on a machine that is busy. */
const PATIENT = { timeout: 180_000, interval: 500 };
const TEST_MS = 400_000;

/** One to start and one to stop, for the checks of the contract in turn. */
const PAIRS = [
  ['10.0.0.150', '10.0.0.151'],
  ['10.0.0.152', '10.0.0.153'],
  ['10.0.0.154', '10.0.0.155'],
] as const;

requiresOpenstack('a real OpenStack', (cloud) => {
  const driverFor = (user: 'demo' | 'narrow', options: Partial<Parameters<typeof openstack>[0]> = {}) =>
    openstack({
      authUrl: cloud.authUrl,
      auth: { username: user, password: secret(user), project: user },
      allow: addressesOf(cloud),
      deadlineMs: 120_000,
      launch: { imageRef: cloud.imageRef, flavorRef: cloud.flavorRef, network: cloud.network },
      ...options,
    });
  const driverOf = (options = {}) => driverFor('demo', options);

  let tokens = 0;
  const one = async (driver: CloudDriver, subject: string, verb: InstanceVerb) =>
    (await driver.perform([callTo(subject, verb, { token: asToken(`t${++tokens}`) })], never))[0];

  const factsAt = async (driver: CloudDriver, ip: string) =>
    (await driver.observe(want, never)).items.find((item) => item.ip === ip);
  const becomes = (driver: CloudDriver, ip: string, power: Power | undefined) =>
    expect.poll(async () => (await factsAt(driver, ip))?.power?.state, PATIENT).toBe(power);

  async function launched(driver: CloudDriver, ...ips: readonly string[]): Promise<void> {
    const calls = ips.map((ip) => callTo(ip, 'launch', { token: asToken(`t${++tokens}`) }));
    expect(await driver.perform(calls, never)).toEqual(ips.map(() => null));
    const running = async () => {
      const { items } = await driver.observe(want, never);
      return ips.filter((ip) => items.some((item) => item.ip === ip && item.power?.state === 'running')).length;
    };
    await expect.poll(running, PATIENT).toBe(ips.length);
  }

  test('launches at a chosen address, stops, starts, reboots and terminates', { timeout: TEST_MS }, async () => {
    const driver = driverOf();
    await launched(driver, '10.0.0.102');
    expect(await factsAt(driver, '10.0.0.102')).toMatchObject({ name: 'fleetbeat-10-0-0-102', power: { raw: 'ACTIVE' } });
    expect(await one(driver, '10.0.0.102', 'stop')).toBeNull();
    await becomes(driver, '10.0.0.102', 'stopped');
    expect(await one(driver, '10.0.0.102', 'start')).toBeNull();
    await becomes(driver, '10.0.0.102', 'running');
    expect(await one(driver, '10.0.0.102', 'reboot')).toBeNull();
    await becomes(driver, '10.0.0.102', 'running');
    expect(await one(driverOf({ force: true }), '10.0.0.102', 'reboot')).toBeNull();
    await becomes(driver, '10.0.0.102', 'running');
    expect(await one(driver, '10.0.0.102', 'terminate')).toBeNull();
    await becomes(driver, '10.0.0.102', undefined);
  });

  test('takes a 409 of what is so already as accepted, and any other for what it is', { timeout: TEST_MS }, async () => {
    const driver = driverOf();
    await launched(driver, '10.0.0.103');
    expect(await one(driver, '10.0.0.103', 'start')).toBeNull();
    expect(await one(driver, '10.0.0.103', 'stop')).toBeNull();
    await becomes(driver, '10.0.0.103', 'stopped');
    expect(await one(driver, '10.0.0.103', 'stop')).toBeNull();
    expect(await one(driver, '10.0.0.103', 'reboot')).toMatchObject({ code: 'ER0206', message: expect.stringContaining('409') });
  });

  test('refuses what does not exist', async () => {
    const unknown = instanceKey('openstack', '00000000-0000-4000-8000-000000000000');
    expect(await one(driverOf(), unknown, 'stop')).toMatchObject({ code: 'ER0205', message: expect.stringContaining('404') });
    expect(await one(driverOf(), '10.0.0.250', 'terminate')).toMatchObject({ code: 'ER0205' });
  });

  test('launches once for a token, and nothing at an address that is taken', { timeout: TEST_MS }, async () => {
    const call = callTo('10.0.0.104', 'launch', { token: asToken('twice') });
    expect(await driverOf().perform([call], never)).toEqual([null]);
    // Another process with the same token finds it by its metadata.
    const again = callTo('10.0.0.104', 'launch', { token: asToken('twice'), isRepeated: true });
    expect(await driverOf().perform([again], never)).toEqual([null]);
    await becomes(driverOf(), '10.0.0.104', 'running');
    expect(await one(driverOf(), '10.0.0.104', 'launch')).toMatchObject({ code: 'ER0208' });
    const { items } = await driverOf().observe(want, never);
    expect(items.filter(({ ip }) => ip === '10.0.0.104')).toHaveLength(1);
  });

  test('logs in again where its token was revoked', { timeout: TEST_MS }, async () => {
    const driver = driverOf();
    await driver.observe(want, never);
    const calls: ApiCall[] = [];
    driver.onCall((call) => calls.push(call));
    await revoke(cloud, 'demo');
    // What is issued within the second of the revocation is revoked as well.
    const isReading = () =>
      driver.observe(want, never).then(
        () => true,
        () => false,
      );
    await expect.poll(isReading, PATIENT).toBe(true);
    const verbs = calls.map(({ verb, outcome }) => `${verb} ${outcome}`);
    expect(verbs.slice(0, 2)).toEqual(['GET /servers/detail refused', 'POST /auth/tokens ok']);
    expect(verbs.at(-1)).toBe('GET /servers/detail ok');
  });

  test('is told of a wrong password, and where there is no such region', async () => {
    const auth = { username: 'demo', password: secret('wrong'), project: 'demo' };
    await expect(driverOf({ auth }).observe(want, never)).rejects.toMatchObject({ code: 'ER0224', retryable: false });
    await expect(driverOf({ region: 'nowhere' }).observe(want, never)).rejects.toMatchObject({ code: 'ER0230' });
  });

  test('tells a full quota, and a server that came to nothing, with the fault', { timeout: TEST_MS }, async () => {
    const narrow = driverFor('narrow', {
      launch: { imageRef: cloud.imageRef, flavorRef: cloud.flavorRef, network: cloud.narrowNetwork },
    });
    await launched(narrow, '10.1.0.5');
    expect(await one(narrow, '10.1.0.6', 'launch')).toMatchObject({
      code: 'ER0221',
      message: expect.stringMatching(/403.*[Qq]uota/),
    });
    const huge = driverOf({
      launch: { imageRef: cloud.imageRef, flavorRef: cloud.hugeFlavorRef, network: cloud.network, name: 'huge' },
    });
    expect(await one(huge, '10.0.0.105', 'launch')).toBeNull();
    const fault = async () => (await huge.observe(want, never)).problems.map(({ message }) => message).join();
    await expect.poll(fault, PATIENT).toContain('No valid host was found');
    const { items } = await huge.observe(want, never);
    expect(items.find(({ name }) => name === 'huge')?.power).toEqual({ state: 'unknown', raw: 'ERROR' });
  });

  test('refuses settings that Nova refuses', async () => {
    const launch = { imageRef: cloud.imageRef, flavorRef: 'none', network: cloud.network };
    expect(await one(driverOf({ launch }), '10.0.0.106', 'launch')).toMatchObject({
      code: 'ER0221',
      message: expect.stringContaining('400'),
    });
  });

  test('launches many in one turn', { timeout: TEST_MS }, () => launched(driverOf(), ...PAIRS.flat()));

  describe('keeps the contract of a driver', () => {
    /** Waits for what the check before did to a pair, and sees to it that one of them is off, and one on. */
    async function oneOfEach(driver: CloudDriver, pair: readonly [string, string]) {
      const powers = async () => {
        const { items } = await driver.observe(want, never);
        return pair.map((ip) => items.find((item) => item.ip === ip)?.power?.state);
      };
      await expect
        .poll(async () => (await powers()).every((power) => power === 'running' || power === 'stopped'), PATIENT)
        .toBe(true);
      const [first, second] = await powers();
      const [left, right] = pair;
      if (first !== second) return first === 'stopped' ? { off: left, on: right } : { off: right, on: left };
      expect(await one(driver, left, first === 'stopped' ? 'start' : 'stop')).toBeNull();
      await becomes(driver, left, first === 'stopped' ? 'running' : 'stopped');
      return first === 'stopped' ? { off: right, on: left } : { off: left, on: right };
    }

    /** One for all checks: it asks each server in ERROR only once. */
    let checked: CloudDriver | undefined;

    for (const [n, { name, run }] of driverContract.entries()) {
      test(name, { timeout: TEST_MS }, async () => {
        checked ??= driverOf();
        const driver = checked;
        const { off, on } = await oneOfEach(driver, PAIRS[n % PAIRS.length] ?? PAIRS[0]);
        let now = 1000;
        await run(async () => ({
          driver,
          now: () => asInstant(now),
          advance: (ms) => {
            now += ms;
          },
          subjects: {
            legal: [callTo(off, 'start').call, callTo(on, 'stop').call],
            unknown: callTo('10.0.0.250', 'start').call,
          },
        }));
      });
    }
  });

  test('reads thirty servers over pages', { timeout: TEST_MS }, async () => {
    await crowd(cloud, 24);
    const driver = driverOf({ pageSize: 7 });
    // While Nova moves a new server from one of its databases to another, pages may miss it.
    const howMany = async () => new Set((await driver.observe(want, never)).items.map(({ id }) => id)).size;
    await expect.poll(howMany, PATIENT).toBeGreaterThanOrEqual(30);
    const calls: ApiCall[] = [];
    driver.onCall((call) => calls.push(call));
    const { items, complete } = await driver.observe(want, never);
    expect(items.flatMap(({ ip }) => ip ?? [])).toEqual(expect.arrayContaining(PAIRS.flat()));
    expect(complete).toBe(true);
    const pages = calls.filter(({ verb }) => verb === 'GET /servers/detail').length;
    expect(pages).toBe(Math.floor(items.length / 7) + 1);
  });

  test('goes on when its tokens expire, again and again', { timeout: TEST_MS }, async () => {
    const driver = driverOf({ authUrl: cloud.shortAuthUrl });
    const calls: ApiCall[] = [];
    driver.onCall((call) => calls.push(call));
    const logins = () => calls.filter(({ verb }) => verb === 'POST /auth/tokens').length;
    const loginsAfterAnother = async () => {
      await driver.observe(want, never);
      return logins();
    };
    await expect.poll(loginsAfterAnother, { timeout: 120_000, interval: 1000 }).toBeGreaterThan(2);
    // One that ends while a request is under way costs a 401, and the reading goes on.
    expect(calls.filter(({ outcome }) => outcome === 'failed' || outcome === 'throttled')).toEqual([]);
  });
});
