import type { CloudDriver } from 'fleetbeat/adapters/libcloud';
import { afterEach, describe, expect, test } from 'vitest';
import type { ApiCall } from '../../../src/contracts.ts';
import { asToken, instanceKey, parseIp, wantedKey } from '../../../src/domain/identity.ts';
import { callTo, never, want } from '../../support/clouds/calls.ts';
import type { FakeCloud } from '../../support/clouds/fake-cloud.ts';
import { FAKES } from '../../support/clouds/fakes.ts';

const opened: FakeCloud[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((cloud) => cloud.close()));
});

const ipsOf = async (driver: CloudDriver) => (await driver.observe(want, never)).items.map(({ ip }) => ip);

describe.each(FAKES)('%s', (name, openFake) => {
  const open = async <C extends FakeCloud>() => {
    const cloud = (await openFake()) as C;
    opened.push(cloud);
    return cloud;
  };
  const one = async (driver: CloudDriver, ...call: Parameters<typeof callTo>) =>
    (await driver.perform([callTo(...call)], never))[0];

  test('shows each instance with its address, our word for its power and the provider’s own', async () => {
    const cloud = await open();
    cloud.add({ ip: '10.0.0.1', state: cloud.words.running });
    cloud.add({ ip: '10.0.0.2', state: cloud.words.stopped });
    cloud.add({ ip: '10.0.0.3', state: 'NEVER_HEARD_OF' });
    const { items, problems, complete } = await cloud.driver({ name: 'lab' }).observe(want, never);
    expect(items.map(({ cloud: name, ip, power, readAt }) => [name, ip, power?.state, power?.raw, readAt])).toEqual([
      ['lab', '10.0.0.1', 'running', cloud.words.running, 1000],
      ['lab', '10.0.0.2', 'stopped', cloud.words.stopped, 1000],
      ['lab', '10.0.0.3', 'unknown', 'NEVER_HEARD_OF', 1000],
    ]);
    expect(items.map(({ name }) => name)).toEqual(cloud.machines.map(({ id }) => `name of ${id}`));
    expect({ problems, complete }).toEqual({ problems: [], complete: true });
  });

  test('reads all pages, and says on the bill that each was a request', async () => {
    const cloud = await open<FakeCloud & { pageSize: number }>();
    cloud.pageSize = 7;
    for (let n = 1; n <= 30; n++) cloud.add({ ip: `10.0.1.${n}` });
    const driver = cloud.driver();
    const calls: ApiCall[] = [];
    driver.onCall((call) => calls.push(call));
    const { items, complete } = await driver.observe({ ...want, caller: 'waiting' }, never);
    expect(new Set(items.map(({ ip }) => ip)).size).toBe(30);
    expect(complete).toBe(true);
    const pages = calls.filter(({ verb }) => /detail|droplets|servers|query/.test(verb));
    expect(pages.length).toBe(5);
    expect(calls.every(({ caller, outcome, isRetry }) => caller === 'waiting' && outcome === 'ok' && !isRetry)).toBe(true);
    expect(pages.every(({ verb, driver: name }) => name === cloud.name && !/[?\d]/.test(verb.replace(/v\d/, '')))).toBe(true);
  });

  test('keeps what the first pages held where a later one fails, and does not call it complete', async () => {
    const cloud = await open<FakeCloud & { pageSize: number }>();
    cloud.pageSize = 2;
    for (let n = 1; n <= 5; n++) cloud.add({ ip: `10.0.1.${n}` });
    let pages = 0;
    cloud.api.intercept(({ method, path }) =>
      method === 'GET' && /detail|droplets|servers|query/.test(path) && ++pages > 1 ? { status: 500 } : null,
    );
    const { items, complete, problems } = await cloud.driver({ retries: 0 }).observe(want, never);
    expect(items).toHaveLength(2);
    expect(complete).toBe(false);
    expect(problems).toMatchObject([{ subject: cloud.name, code: 'ER0235' }]);
  });

  test('starts, stops, reboots and terminates, by address and by id', async () => {
    const cloud = await open();
    const machine = cloud.add({ ip: '10.0.0.1', state: cloud.words.stopped });
    const driver = cloud.driver();
    const key = instanceKey(cloud.name, machine.id);
    expect(await one(driver, '10.0.0.1', 'start', { token: asToken('a') })).toBeNull();
    expect(machine.state).toBe(cloud.words.running);
    expect(await one(driver, key, 'reboot', { token: asToken('b') })).toBeNull();
    expect(await one(driver, key, 'stop', { token: asToken('c') })).toBeNull();
    expect(machine.state).toBe(cloud.words.stopped);
    // What the driver has seen of it is old: it says no more than the id.
    await driver.observe(want, never);
    expect(await one(driver, '10.0.0.1', 'terminate', { token: asToken('d') })).toBeNull();
    expect(cloud.effects.map((effect) => effect.split(' ')[0])).toEqual(['start', 'reboot', 'stop', 'terminate']);
    expect(await ipsOf(driver)).toEqual([]);
  });

  test('takes a verb whose goal is reached already as accepted, and refuses what does not exist', async () => {
    const cloud = await open();
    cloud.add({ ip: '10.0.0.1', state: cloud.words.running });
    cloud.add({ ip: '10.0.0.2', state: cloud.words.stopped });
    const driver = cloud.driver();
    expect(await one(driver, '10.0.0.1', 'start')).toBeNull();
    expect(await one(driver, '10.0.0.2', 'stop')).toBeNull();
    expect(await one(driver, '10.0.0.9', 'stop')).toMatchObject({ subject: '10.0.0.9', code: 'ER0205' });
    expect(await one(driver, instanceKey(cloud.name, '999-none'), 'terminate')).toMatchObject({ code: 'ER0205' });
    expect(await one(driver, instanceKey('elsewhere', '1'), 'start')).toMatchObject({ code: 'ER0205' });
    expect(await one(driver, '10.0.0.1', 'bootstrap')).toMatchObject({ code: 'ER0229' });
    expect(cloud.machines).toHaveLength(2);
  });

  test('starts who has the address now, where another one had it when it was last seen', async () => {
    const cloud = await open();
    const before = cloud.add({ ip: '10.0.0.1', state: cloud.words.stopped });
    const driver = cloud.driver();
    await driver.observe(want, never);
    cloud.machines.splice(0);
    const after = cloud.add({ id: before.id.replace(/.$/, '7'), ip: '10.0.0.1', state: cloud.words.stopped });
    expect(await one(driver, '10.0.0.1', 'start')).toBeNull();
    expect(after.state).toBe(cloud.words.running);
  });

  test('acts on nobody where two live instances have the address', async () => {
    const cloud = await open();
    cloud.add({ ip: '10.0.0.1', state: cloud.words.stopped });
    cloud.add({ ip: '10.0.0.1', state: cloud.words.stopped });
    expect(await one(cloud.driver(), '10.0.0.1', 'start')).toMatchObject({ code: 'ER0208' });
    expect(cloud.effects).toEqual([]);
  });

  test('launches at an address, once for a token', async () => {
    const cloud = await open();
    const driver = cloud.driver();
    expect(await one(driver, '10.0.0.5', 'launch')).toBeNull();
    expect(await one(driver, '10.0.0.5', 'launch')).toBeNull();
    expect(cloud.machines).toMatchObject([{ ip: '10.0.0.5', tag: expect.stringMatching(/^fleetbeat-[0-9a-f]{24}$/) }]);
    expect(await ipsOf(driver)).toEqual(['10.0.0.5']);
  });

  test('launches at the address of a key that has no id yet', async () => {
    const cloud = await open();
    const ip = parseIp('10.0.0.6');
    if (!ip) throw new TypeError('no ip');
    expect(await one(cloud.driver(), wantedKey(cloud.name, ip), 'launch')).toBeNull();
    expect(await ipsOf(cloud.driver())).toEqual(['10.0.0.6']);
  });

  test('launches nothing at a live instance’s address, twice at one address, or without settings', async () => {
    const cloud = await open();
    cloud.add({ ip: '10.0.0.1', state: cloud.words.stopped });
    const driver = cloud.driver({ lookMs: 60_000 });
    expect(await one(driver, '10.0.0.1', 'launch')).toMatchObject({ subject: '10.0.0.1', code: 'ER0208' });
    const rivals = ['a', 'b'].map((token) => callTo('10.0.0.5', 'launch', { token: asToken(token) }));
    const answers = await driver.perform(rivals, never);
    expect(answers.map((answer) => answer?.code ?? 'accepted').sort()).toEqual(['ER0208', 'accepted']);
    expect(await one(cloud.driver({ launch: undefined }), '10.0.0.8', 'launch')).toMatchObject({ code: 'ER0229' });
    expect(cloud.machines).toHaveLength(2);
  });

  test('adopts what a launch has made whose answer was lost', async () => {
    const cloud = await open();
    cloud.api.intercept((request, response, answer) => {
      if (!isLaunch(request)) return null;
      answer();
      response.destroy();
      return undefined;
    });
    expect(await one(cloud.driver(), '10.0.0.5', 'launch')).toMatchObject({ code: 'ER0220' });
    cloud.api.intercept(null);
    // Another process, which has only the token.
    expect(await one(cloud.driver(), '10.0.0.5', 'launch', { isRepeated: true })).toBeNull();
    expect(cloud.machines).toMatchObject([{ ip: '10.0.0.5' }]);
  });

  test('looks for what a launch has made that shows only later', async () => {
    const cloud = await open();
    cloud.api.intercept((request, response, answer) => {
      if (!isLaunch(request)) return null;
      answer();
      response.destroy();
      return undefined;
    });
    await one(cloud.driver(), '10.0.0.5', 'launch');
    const hidden = cloud.machines.splice(0);
    let looks = 0;
    cloud.api.intercept(({ method, path }) => {
      if (method === 'GET' && /detail|droplets|servers|query/.test(path) && ++looks === 3) cloud.machines.push(...hidden);
      return null;
    });
    expect(await one(cloud.driver({ lookMs: 60_000 }), '10.0.0.5', 'launch', { isRepeated: true })).toBeNull();
    expect(cloud.effects.filter((effect) => effect.startsWith('launch'))).toHaveLength(1);
  });

  test('makes a launch again that was never received, once it has looked for it long enough', async () => {
    const cloud = await open();
    cloud.api.intercept((request, response) => {
      if (!isLaunch(request)) return null;
      response.destroy();
      return undefined;
    });
    expect(await one(cloud.driver(), '10.0.0.5', 'launch')).toMatchObject({ code: 'ER0220' });
    expect(cloud.api.received.filter(isLaunch)).toHaveLength(1);
    cloud.api.intercept(null);
    expect(await one(cloud.driver(), '10.0.0.5', 'launch', { isRepeated: true })).toBeNull();
    expect(cloud.machines).toMatchObject([{ ip: '10.0.0.5' }]);
  });

  test('does not forget that a launch was perhaps made, whatever fails while it looks for it', async () => {
    const cloud = await open();
    const driver = cloud.driver({ retries: 0 });
    cloud.api.intercept(({ method }) => (method === 'GET' ? { status: 403 } : null));
    expect(await one(driver, '10.0.0.5', 'launch', { isRepeated: true })).toMatchObject({ code: 'ER0220' });
    expect(await one(driver, '10.0.0.6', 'launch')).toMatchObject({ code: 'ER0224' });
    cloud.api.intercept(null);
    let asked = 0;
    const valid = () => ++asked < 2;
    expect(await one(driver, '10.0.0.5', 'launch', { isRepeated: true, valid })).toMatchObject({ code: 'ER0220' });
    expect(cloud.machines).toEqual([]);
  });

  test('takes what is gone as terminated where the answer of the try before was lost', async () => {
    const cloud = await open();
    cloud.add({ ip: '10.0.0.1', state: cloud.words.stopped });
    let losses = 1;
    cloud.api.intercept(({ method }, response, answer) => {
      if (method !== 'DELETE' || losses-- === 0) return null;
      answer();
      response.destroy();
      return undefined;
    });
    expect(await one(cloud.driver(), '10.0.0.1', 'terminate')).toBeNull();
    expect(cloud.effects).toHaveLength(1);
  });

  test('launches nothing where it cannot see all that is there, and calls nobody missing', async () => {
    const cloud = await open<FakeCloud & { pageSize: number }>();
    cloud.pageSize = 1;
    for (let n = 1; n <= 2; n++) cloud.add({ ip: `10.0.1.${n}` });
    let pages = 0;
    cloud.api.intercept(({ method, path }) =>
      method === 'GET' && /detail|droplets|servers|query/.test(path) && ++pages > 1 ? { status: 500 } : null,
    );
    expect(await one(cloud.driver({ retries: 0 }), '10.0.0.5', 'launch')).toMatchObject({ code: 'ER0235' });
    pages = 0;
    // It may be on a page that did not come.
    expect(await one(cloud.driver({ retries: 0 }), '10.0.0.9', 'stop')).toMatchObject({ code: 'ER0235' });
    expect(cloud.machines).toHaveLength(2);
  });

  test('reboots nothing a second time that was perhaps rebooted before', async () => {
    const cloud = await open();
    cloud.add({ ip: '10.0.0.1', state: cloud.words.running });
    expect(await one(cloud.driver(), '10.0.0.1', 'reboot', { isRepeated: true })).toMatchObject({ code: 'ER0220' });
    expect(cloud.effects).toEqual([]);
  });

  test('says of a 5xx that nobody knows, and repeats only what may be repeated', async () => {
    const cloud = await open();
    cloud.add({ ip: '10.0.0.1', state: cloud.words.stopped });
    const driver = cloud.driver({ retries: 2 });
    await driver.observe(want, never);
    const calls: ApiCall[] = [];
    driver.onCall((call) => calls.push(call));
    cloud.api.intercept(({ method, path }) => (method === 'POST' && !isLogin(path) ? { status: 502 } : null));
    for (const verb of ['reboot', 'launch', 'start'] as const) {
      const ip = verb === 'launch' ? '10.0.0.5' : '10.0.0.1';
      expect(await one(driver, ip, verb, { token: asToken(verb) })).toMatchObject({ code: 'ER0220' });
    }
    const sent = calls.filter(({ verb }) => verb.startsWith('POST')).map(({ outcome, isRetry }) => `${outcome} ${isRetry}`);
    expect(sent).toEqual(['failed false', 'failed false', 'failed false', 'failed true', 'failed true']);
  });

  test('does not believe for long who has an address', async () => {
    const cloud = await open();
    const first = cloud.add({ ip: '10.0.0.1' });
    const second = cloud.add({ ip: '10.0.0.2' });
    const driver = cloud.driver({ everyMs: 0.001 });
    await driver.observe(want, never);
    first.ip = '10.0.0.9';
    second.ip = '10.0.0.1';
    expect(await one(driver, '10.0.0.1', 'stop')).toBeNull();
    expect(cloud.effects).toEqual([`stop ${second.id}`]);
  });

  test('sends a throttled launch again when it is told to, and gives up where that is too long', async () => {
    const cloud = await open();
    const driver = cloud.driver({ retryAfterMostMs: 1000 });
    const calls: ApiCall[] = [];
    driver.onCall((call) => calls.push(call));
    let refusals = 2;
    cloud.api.intercept((request) =>
      isLaunch(request) && refusals-- > 0 ? { status: 429, headers: { 'retry-after': '0' } } : null,
    );
    expect(await one(driver, '10.0.0.5', 'launch')).toBeNull();
    expect(calls.filter(({ outcome }) => outcome === 'throttled')).toMatchObject([{ isRetry: false }, { isRetry: true }]);
    cloud.api.intercept((request) => (isLaunch(request) ? { status: 429, headers: { 'retry-after': '3600' } } : null));
    expect(await one(driver, '10.0.0.6', 'launch', { token: asToken('t2') })).toMatchObject({ code: 'ER0221' });
    expect(cloud.machines).toHaveLength(1);
  });

  test('logs in again after a 401, once, and tells a refused login from a call of unknown outcome', async () => {
    const cloud = await open();
    cloud.add({ ip: '10.0.0.1', state: cloud.words.stopped });
    const driver = cloud.driver();
    await driver.observe(want, never);
    let refusals = 1;
    cloud.api.intercept(({ method }) => (method === 'POST' && refusals-- > 0 ? { status: 401 } : null));
    const started = await one(driver, '10.0.0.1', 'start');
    // Where nobody logs in, the same token would be sent again.
    if (name === 'digitalocean' || name === 'hetzner') {
      expect(started).toMatchObject({ code: 'ER0224' });
      expect(await one(driver, '10.0.0.1', 'start', { token: asToken('again') })).toBeNull();
    } else expect(started).toBeNull();
    cloud.api.intercept(() => ({ status: 401 }));
    expect(await one(driver, '10.0.0.1', 'reboot')).toMatchObject({ code: 'ER0224' });
    await expect(driver.observe(want, never)).rejects.toMatchObject({ code: 'ER0224', retryable: false });
    expect(cloud.effects).toHaveLength(1);
  });

  test('is ended by its caller', async () => {
    const cloud = await open();
    const caller = new AbortController();
    cloud.api.intercept(() => {
      caller.abort();
      return undefined;
    });
    await expect(cloud.driver().observe(want, caller.signal)).rejects.toMatchObject({ code: 'ER0217' });
    await expect(cloud.driver().perform([callTo('10.0.0.1', 'start')], caller.signal)).rejects.toThrow();
  });

  test('is not made of what cannot be used', async () => {
    const cloud = await open();
    expect(() => cloud.driver({ name: 'a b' })).toThrow(expect.objectContaining({ code: 'ER0230' }));
    expect(() => cloud.driver({ allow: [] })).toThrow(expect.objectContaining({ code: 'ER0230' }));
    expect(() => cloud.driver({ allow: ['http://127.0.0.1'] })).toThrow(expect.objectContaining({ code: 'ER0230' }));
    expect(() => cloud.driver({ launch: { byIp: { 'node1.example': {} } } })).toThrow(
      expect.objectContaining({ code: 'ER0230' }),
    );
  });
});

const isLogin = (path: string) => /tokens|sessions/.test(path);
const isLaunch = ({ method, path }: { readonly method: string; readonly path: string }) =>
  method === 'POST' && /\/(?:servers|droplets|composeVApp)$/.test(path);
