import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { sqlite } from 'fleetbeat/adapters/sqlite';
import { type CloudEndpoint, type SimulatedCloud, simulatedCloud } from 'fleetbeat/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CANARY, type FakeCloud } from '../support/clouds/fake-cloud.ts';
import { NETWORK } from '../support/clouds/fake-hetzner.ts';
import { FAKES } from '../support/clouds/fakes.ts';
import { loopback, makeSshKey, requires, type SshdServer, startSshd } from '../support/servers.ts';
import { FIXED_MS } from '../support/simulated-ec2.ts';
import { commandLine, documentsIn, folderWith } from './command-line.ts';

const SECRET = 'the-secret-of-the-account';
const ENV = { FLEET_KEY_ID: 'AKIDSIMULATED', FLEET_KEY: SECRET };
const key = makeSshKey();

requires('sshd')('a cloud that is configured by its name', () => {
  let sshd: SshdServer;
  let cloud: SimulatedCloud;
  let endpoint: CloudEndpoint;
  let cwd: string;

  beforeEach(async () => {
    sshd = await startSshd({ address: loopback(1), authorizedKeys: [key.publicKey] });
    cloud = simulatedCloud({
      instances: [{ id: 'i-0aa', ip: sshd.address, state: 'stopped' }],
      latency: { ms: FIXED_MS },
    });
    endpoint = await cloud.listen({ accessKeyId: ENV.FLEET_KEY_ID });
    cwd = folderWith(configurationOf());
    writeFileSync(join(cwd, 'id'), key.privateKey, { mode: 0o600 });
    writeFileSync(join(cwd, 'known_hosts'), `${sshd.knownHostsLine()}\n`);
  });

  afterEach(async () => {
    await endpoint.close();
    await sshd.stop();
  });

  const configurationOf = () => ({
    clouds: {
      aws: {
        driver: 'ec2',
        active: true,
        region: 'eu-west-1',
        endpoint: endpoint.url,
        allow: [new URL(endpoint.url).host],
        credentials: { accessKeyId: { env: 'FLEET_KEY_ID' }, secretAccessKey: { env: 'FLEET_KEY' } },
        launch: { imageId: 'ami-1', tags: { fleet: 'shop' }, byIp: { [loopback(2)]: { tags: { role: 'db' } } } },
        read: { every: '10m', stale: '10m' },
      },
    },
    ssh: { username: sshd.username, identityFile: 'id', knownHosts: 'known_hosts', port: sshd.port },
    bill: { prices: { aws: { StartInstances: 0.5, '*': 0.001 } }, currency: 'EUR', budgets: { aws: { perHour: { hard: 2 } } } },
    policy: { readMovingMs: 20, storeEveryMs: 20 },
    beatEvery: '20ms',
  });

  test('is read, acted on and billed', async () => {
    const asked = await commandLine(['instances', 'status'], { cwd, env: ENV });
    expect(asked).toMatchObject({ exit: 0, stderr: '' });
    expect(documentsIn(asked.stdout)).toMatchObject([{ instances: [{ 'i-0aa': { state: 'stopped', cloud: 'aws' } }] }]);
    const again = await commandLine(['instances', 'status'], { cwd, env: ENV, columns: 120 });
    expect(stripVTControlCharacters(again.stdout)).toMatch(
      new RegExp(`^id +ip +cloud +state +rung +age +reason\\ni-0aa +${sshd.address} +aws +stopped +- +\\d+ s +-$`, 'm'),
    );
    const started = await commandLine(['instances', 'start', 'i-0aa'], { cwd, env: ENV });
    expect(started).toMatchObject({ exit: 0, stderr: expect.not.stringContaining(SECRET) });
    expect(documentsIn(started.stdout)).toMatchObject([{ instances: [{ 'i-0aa': { state: 'running', rung: 'managed' } }] }]);
    expect(cloud.instances()).toMatchObject([{ id: 'i-0aa', power: 'running' }]);

    const billed = await commandLine(['bill'], { cwd });
    expect(billed).toMatchObject({ exit: 0, stderr: '' });
    const [{ bill }] = documentsIn(billed.stdout) as readonly [{ readonly bill: { readonly lines: readonly object[] } }];
    const reads = cloud.calls().DescribeInstances?.ok ?? 0;
    expect(bill).toMatchObject({ calls: reads + 1, currency: 'EUR' });
    expect(bill.lines).toContainEqual(
      expect.objectContaining({ cloud: 'aws', verb: 'StartInstances', caller: 'action', calls: 1, cost: 0.5 }),
    );
    expect(bill).toMatchObject({
      cost: expect.closeTo(0.5 + reads * 0.001),
      budgets: [{ cloud: 'aws', per: 'hour', calls: reads + 1, hard: 2, hardLeft: 0, strain: 'hard' }],
    });
  });

  test('is read by a daemon as seldom as is said, and by whoever asks only where it is to be fresh', async () => {
    const over = new AbortController();
    let said = '';
    const onOutput = (soFar: string) => {
      said = soFar;
    };
    const daemon = commandLine(['heartbeat', '--every', '20ms'], { cwd, env: ENV, interrupted: over.signal, onOutput });
    const store = sqlite(join(cwd, 'fleetbeat.db'));
    const beats = async () => JSON.parse((await store.get('heartbeat')) ?? '{"seq":0}').seq;
    await expect.poll(beats).toBeGreaterThan(5);
    await store.close?.();
    expect(cloud.calls().DescribeInstances).toEqual({ ok: 1 });
    const remembered = await commandLine(['instances', 'status'], { cwd, env: ENV, columns: 120 });
    expect(stripVTControlCharacters(remembered.stdout)).toMatch(/^i-0aa .+ stopped +- +\d+ s +-$/m);
    expect(cloud.calls().DescribeInstances).toEqual({ ok: 1 });
    await commandLine(['instances', 'status', '--fresh'], { cwd, env: ENV });
    expect(cloud.calls().DescribeInstances).toEqual({ ok: 2 });
    await expect.poll(() => said).toMatch(/"command":"aws","return":"ER0245","result":"aws: 2 of 2 calls this hour/);
    over.abort();
    await daemon;
    const shown = stripVTControlCharacters((await commandLine(['bill'], { cwd, columns: 120 })).stdout);
    expect(shown).toMatch(/^aws +DescribeInstances +the beat +1 +0 +0 +0 +0\.001000 EUR$/m);
    expect(shown).toMatch(/^aws +DescribeInstances +a person +1 +0 +0 +0 +0\.001000 EUR$/m);
    expect(shown).toMatch(/^\d{4}-.+ to \d{4}-.+: 2 calls, 0\.002000 EUR$/m);
    expect(shown).toMatch(/^forecast: \d+ calls, [\d.]+ EUR a day, [\d.]+ EUR in 30 days$/m);
    expect(shown).toMatch(/^aws +this hour +2 +- +2, reached$/m);
  });

  test('is read anew by whoever changes something, or asks what that would come to', async () => {
    await commandLine(['instances', 'status'], { cwd, env: ENV });
    cloud.power('i-0aa', 'on');
    const asked = await commandLine(['instances', 'status'], { cwd, env: ENV });
    expect(documentsIn(asked.stdout)).toMatchObject([{ instances: [{ 'i-0aa': { state: 'stopped' } }] }]);
    expect(cloud.calls().DescribeInstances).toEqual({ ok: 1 });
    await commandLine(['instances', 'plan', 'stop', 'i-0aa'], { cwd, env: ENV });
    expect(cloud.calls().DescribeInstances).toEqual({ ok: 2 });
  });

  test('launches what its settings say of the ip', async () => {
    const ip = loopback(2);
    const over = new AbortController();
    const launching = commandLine(['instances', 'launch', ip], { cwd, env: ENV, interrupted: over.signal });
    const launched = () => cloud.instances().filter((one) => one.ip === ip);
    await expect.poll(launched).toMatchObject([{ tags: { fleet: 'shop', role: 'db' } }]);
    over.abort();
    expect(await launching).toMatchObject({ exit: 75, stderr: '' });
  });

  test('is told with the variable that is not set, or with what its adapter refuses, before anything is asked', async () => {
    const unset = await commandLine(['instances', 'status'], { cwd, env: { FLEET_KEY_ID: 'AKIDSIMULATED' } });
    expect(unset).toMatchObject({
      exit: 64,
      stderr: expect.stringContaining(
        'clouds.aws.credentials.secretAccessKey.env: found the variable FLEET_KEY, which is not set',
      ),
    });
    const configuration = configurationOf();
    configuration.clouds.aws.allow = [];
    writeFileSync(join(cwd, 'closed.json'), JSON.stringify(configuration));
    const closed = await commandLine(['instances', 'status', '--config', 'closed.json'], { cwd, env: ENV });
    expect(closed).toMatchObject({ exit: 64, stderr: expect.stringContaining('clouds.aws: found what is refused (') });
    expect(closed.stderr).toContain('not listed as allowed');
    writeFileSync(join(cwd, 'known_hosts'), '\n');
    const unknown = await commandLine(['instances', 'status'], { cwd, env: ENV });
    expect(unknown).toMatchObject({ exit: 64, stderr: expect.stringContaining('ssh.knownHosts: found a file that is empty') });
    expect(cloud.calls()).toEqual({});
    expect(readdirSync(cwd)).not.toContain('fleetbeat.db');
  });
});

const CONFIGURED: Readonly<Record<string, (api: string) => object>> = {
  openstack: (api) => ({
    authUrl: `${api}/v3`,
    auth: { username: 'demo', password: { env: 'CANARY' }, project: 'demo' },
    launch: { imageRef: 'i', flavorRef: 'f', network: 'n', request: { config_drive: true } },
  }),
  digitalocean: (api) => ({
    url: `${api}/v2`,
    token: { env: 'CANARY' },
    address: 'reserved',
    launch: { region: 'nyc3', size: 's-1vcpu-1gb', image: 'debian-12', request: { monitoring: true } },
  }),
  hetzner: (api) => ({
    url: `${api}/v1`,
    token: { env: 'CANARY' },
    network: NETWORK,
    launch: { server_type: 'cx22', image: 'debian-12', request: { location: 'fsn1' } },
  }),
  vcloud: (api) => ({
    url: `${api}/api`,
    user: 'admin',
    org: 'shop',
    password: { env: 'CANARY' },
    launch: { vdc: 'vdc1', source: 'vm-template', networkId: 'n1', network: 'net' },
  }),
};

describe.each(FAKES)('%s, configured by its name', (driver, open) => {
  let fake: FakeCloud;
  let cwd: string;

  beforeEach(async () => {
    fake = await open();
    const own = CONFIGURED[driver]?.(fake.api.url);
    cwd = folderWith({
      clouds: { lab: { driver, active: true, allow: [fake.api.host], ...own } },
      ssh: { username: 'nobody', identityFile: 'id', trustOnFirstUse: 'known_hosts', connectMs: 100 },
      policy: { readMovingMs: 20 },
      beatEvery: '20ms',
    });
    writeFileSync(join(cwd, 'id'), key.privateKey, { mode: 0o600 });
  });

  afterEach(() => fake.close());

  test("shows its instances with the provider's word and their age", async () => {
    const { id } = fake.add({ ip: '127.0.0.99', state: fake.words.stopped });
    const { exit, stdout } = await commandLine(['instances', 'status'], { cwd, env: { CANARY }, columns: 120 });
    expect(exit).toBe(0);
    const [head, row] = stripVTControlCharacters(stdout).split('\n');
    expect(head?.split(/ +/)).toEqual(['id', 'ip', 'cloud', 'state', 'raw', 'rung', 'age', 'reason']);
    expect(row).toMatch(new RegExp(`^${id} +\\S+ +lab +stopped +${fake.words.stopped} +- +0 s +-$`));
    const json = await commandLine(['instances', 'status'], { cwd, env: { CANARY } });
    expect(documentsIn(json.stdout)).toMatchObject([{ instances: [{ [id]: { cloud: 'lab', raw: fake.words.stopped } }] }]);
  });

  test('launches what is configured', async () => {
    const over = new AbortController();
    const launching = commandLine(['instances', 'launch', '127.0.0.98'], { cwd, env: { CANARY }, interrupted: over.signal });
    await expect.poll(() => fake.machines).toMatchObject([{ ip: '127.0.0.98' }]);
    over.abort();
    const { stdout, stderr } = await launching;
    expect(`${stdout}${stderr}`).not.toContain(CANARY);
    const bodies = fake.api.received.map(({ body }) => body).join('\n');
    if (driver !== 'vcloud') expect(bodies).toMatch(/"(?:config_drive":true|monitoring":true|location":"fsn1")/);
    expect(bodies).not.toContain('byIp');
  });
});
