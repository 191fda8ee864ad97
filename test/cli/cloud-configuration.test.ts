import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readSince } from '../../src/cli/bill-program.ts';
import { check } from '../../src/cli/config/check.ts';
import { display } from '../../src/cli/config/display.ts';
import { ruleLines, rules } from '../../src/cli/config/rules.ts';
import { load } from '../../src/cli/load.ts';
import { isFleetError } from '../../src/errors.ts';
import { LONGEST_BILL_MS } from '../../src/ledger.ts';
import { isThorough } from '../properties/runs.ts';
import { damaged } from './damage.ts';

const FILE = '/fleet/fleetbeat.config.json';
const CANARY = 'hunter2-do-not-tell';

const CLOUDS = {
  aws: {
    driver: 'ec2',
    active: true,
    region: 'us-east-1',
    endpoint: 'http://127.0.0.1:4566',
    allow: ['127.0.0.1:4566'],
    credentials: { accessKeyId: { env: 'KEY_ID' }, secretAccessKey: { env: 'KEY' }, sessionToken: { env: 'SESSION' } },
    filters: { 'tag:fleet': ['shop'] },
    deadlineMs: 5000,
    read: { every: '10m', stale: '1m' },
    launch: {
      imageId: 'ami-1',
      instanceType: 't3.micro',
      subnetId: 'subnet-1',
      securityGroupIds: ['sg-1'],
      tags: { fleet: 'shop' },
      userData: '#cloud-config',
      request: { EbsOptimized: true },
      byIp: { '10.0.0.7': { instanceType: 't3.large', userData: { env: 'USER_DATA' } } },
    },
  },
  nova: {
    driver: 'openstack',
    authUrl: 'https://keystone.example.com:5000/v3',
    auth: { username: 'fleet', password: { env: 'OS_PASSWORD' }, project: 'shop' },
    region: 'RegionOne',
    ca: 'ca.pem',
    launch: { imageRef: 'i', flavorRef: 'f', network: 'n', byIp: { '10.0.0.7': { flavorRef: 'large' } } },
  },
  ocean: {
    driver: 'digitalocean',
    token: { env: 'DO_TOKEN' },
    address: 'reserved',
    launch: { region: 'fra1', size: 's-1vcpu-1gb', image: 42, tags: ['db'], request: { monitoring: true } },
  },
  hetzner: {
    driver: 'hetzner',
    token: { env: 'HCLOUD_TOKEN' },
    network: 4711,
    launch: { server_type: 'cx22', image: 'debian-12', labels: { role: 'db' } },
  },
  vcd: {
    driver: 'vcloud',
    url: 'https://vcloud.example.com/api',
    user: 'admin',
    org: 'shop',
    password: { env: 'VCLOUD_PASSWORD' },
    launch: { vdc: 'vdc-1', source: 'vm-1', networkId: 'net-1', network: 'lan' },
  },
};

const BILL = {
  prices: { aws: { DescribeInstances: 0.00001, '*': 0 } },
  currency: 'EUR',
  budgets: { aws: { perHour: { soft: 100, hard: 200 }, perDay: { hard: 1000 } } },
};

const sound = () => ({
  clouds: structuredClone(CLOUDS),
  ssh: { username: 'admin', identityFile: 'id', knownHosts: 'known_hosts' },
  bill: structuredClone(BILL),
});

type Sound = ReturnType<typeof sound>;

const but = (change: (configuration: Sound) => unknown): unknown => {
  const changed = sound();
  change(changed);
  return changed;
};

function refusalOf(raw: unknown): string {
  try {
    check(raw, { file: FILE });
  } catch (error) {
    if (isFleetError(error) && error.code === 'ER0230') return error.message;
    throw error;
  }
  return 'accepted';
}

describe('clouds behind an API', () => {
  test('have their defaults', () => {
    const { clouds, cloud, store } = check(sound(), { file: FILE });
    expect(cloud).toMatchObject({ name: 'aws', is: { driver: 'ec2', address: 'private' } });
    expect(store).toMatchObject({ driver: 'sqlite' });
    expect(clouds.nova).toMatchObject({ active: false, read: { every: '5m' }, interface: 'public', force: false });
    expect(clouds.nova).toMatchObject({ auth: { userDomain: 'Default', projectDomain: 'Default' } });
    expect(clouds.vcd).toMatchObject({ version: '5.5' });
  });

  test('may log in to OpenStack by an application credential', () => {
    const auth = { applicationCredentialId: 'c-1', secret: { env: 'OS_SECRET' } };
    const configuration = check(
      but(({ clouds }) => Object.assign(clouds.nova, { auth })),
      { file: FILE },
    );
    expect(configuration.clouds.nova).toMatchObject({ auth });
    expect(display(configuration)).toMatchObject({ clouds: { nova: { auth } } });
  });

  const launchOf = ({ clouds }: Sound) => clouds.aws.launch;

  test.each<[string, (configuration: Sound) => unknown, string]>([
    ['no region', ({ clouds }) => Reflect.deleteProperty(clouds.aws, 'region'), 'clouds.aws.region: found nothing, allowed: a'],
    [
      'a zone for a region',
      ({ clouds }) => (clouds.aws.region = 'EU West'),
      'clouds.aws.region: found "EU West", allowed: a region, such as us-east-1',
    ],
    [
      'an unknown field',
      ({ clouds }) => Object.assign(clouds.aws, { regoin: 'x' }),
      'clouds.aws: found the unknown field "regoin", allowed: driver, active, read, allow,',
    ],
    [
      'a field under another name',
      ({ clouds }) => {
        Reflect.deleteProperty(clouds.aws, 'region');
        return Object.assign(clouds.aws, { regoin: 'us-east-1' });
      },
      'clouds.aws: found the unknown field "regoin", allowed: driver, active, read, allow,',
    ],
    [
      'an endpoint of another protocol',
      ({ clouds }) => (clouds.aws.endpoint = 'ftp://127.0.0.1/'),
      'clouds.aws.endpoint: found "ftp://127.0.0.1/", allowed: a url with https, or http to what allow lists',
    ],
    [
      'an allowed url',
      ({ clouds }) => (clouds.aws.allow = ['http://a']),
      'clouds.aws.allow[0]: found "http://a", allowed: host,',
    ],
    [
      'no list of values of a filter',
      ({ clouds }) => Object.assign(clouds.aws.filters, { 'tag:fleet': 'shop' }),
      'clouds.aws.filters["tag:fleet"]: found "shop", allowed: a list',
    ],
    [
      'a short deadline',
      ({ clouds }) => (clouds.aws.deadlineMs = 1),
      'clouds.aws.deadlineMs: found 1, allowed: a whole number from 100',
    ],
    [
      'a time to read without a unit',
      ({ clouds }) => (clouds.aws.read.every = '10'),
      'clouds.aws.read.every: found "10", allowed: a number and a unit',
    ],
    ['a stale time of none', ({ clouds }) => (clouds.aws.read.stale = ''), 'clouds.aws.read.stale: found "", allowed: a number'],
    [
      'an unknown setting of launches',
      (configuration) => Object.assign(launchOf(configuration), { imageid: 'ami-1' }),
      'clouds.aws.launch: found the unknown field "imageid", allowed: imageId,',
    ],
    [
      'an unknown setting of a launch at an ip',
      (configuration) => Object.assign(launchOf(configuration).byIp['10.0.0.7'], { type: 'x' }),
      'clouds.aws.launch.byIp["10.0.0.7"]: found the unknown field "type"',
    ],
    [
      'a launch at what is no ip',
      (configuration) => Object.assign(launchOf(configuration).byIp, { '10.0.0.256': {} }),
      'clouds.aws.launch.byIp["10.0.0.256"]: found "10.0.0.256", allowed: an IPv4 or IPv6 address',
    ],
    [
      'a tag that is no text',
      (configuration) => Object.assign(launchOf(configuration).tags, { fleet: 1 }),
      'clouds.aws.launch.tags.fleet: found 1, allowed: a text of at most 256',
    ],
    [
      'a launch that nobody can place',
      ({ clouds }) => Object.assign(clouds.aws, { address: 'public' }),
      'clouds.aws.address: found "public" together with launch, allowed: "private": nobody can choose the public one',
    ],
    [
      'a droplet that nobody can place',
      ({ clouds }) => (clouds.ocean.address = 'private'),
      'clouds.ocean.address: found "private" together with launch, allowed: "reserved"',
    ],
    ['no auth', ({ clouds }) => Reflect.deleteProperty(clouds.nova, 'auth'), 'clouds.nova.auth: found nothing, allowed: a value'],
    [
      'half of an application credential',
      ({ clouds }) => Object.assign(clouds.nova, { auth: { secret: { env: 'OS_SECRET' } } }),
      'clouds.nova.auth.applicationCredentialId: found nothing, allowed: a value',
    ],
    [
      'a password without a project',
      ({ clouds }) => Reflect.deleteProperty(clouds.nova.auth, 'project'),
      'clouds.nova.auth.project: found nothing, allowed: a value',
    ],
    [
      'an unknown interface',
      ({ clouds }) => Object.assign(clouds.nova, { interface: 'private' }),
      'clouds.nova.interface: found "private", allowed: public, internal, admin',
    ],
    [
      'a launch without a flavor',
      ({ clouds }) => Reflect.deleteProperty(clouds.nova.launch, 'flavorRef'),
      'clouds.nova.launch.flavorRef: found nothing, allowed: a value',
    ],
    [
      'an image that is neither name nor number',
      ({ clouds }) => Object.assign(clouds.ocean.launch, { image: true }),
      'clouds.ocean.launch.image: found true, allowed: a text of one line',
    ],
    [
      'a network by its name',
      ({ clouds }) => Object.assign(clouds.hetzner, { network: 'lan' }),
      'clouds.hetzner.network: found "lan", allowed: a whole number',
    ],
    [
      'an unknown version',
      ({ clouds }) => Object.assign(clouds.vcd, { version: '9.7' }),
      'clouds.vcd.version: found "9.7", allowed: 1.5, 5.1, 5.5, 5.6',
    ],
    [
      'no way to its instances',
      (configuration) => Reflect.deleteProperty(configuration, 'ssh'),
      'ssh: found nothing, allowed: how',
    ],
    [
      'a price of no cloud',
      ({ bill }) => Object.assign(bill.prices, { azure: {} }),
      'bill.prices: found "azure", allowed: the name of a cloud: aws, nova',
    ],
    [
      'a budget of no cloud',
      ({ bill }) => Object.assign(bill.budgets, { awss: {} }),
      'bill.budgets: found "awss", allowed: the name of a cloud: aws, nova, ocean, hetzner, vcd (perhaps aws?)',
    ],
    [
      'a negative price',
      ({ bill }) => (bill.prices.aws.DescribeInstances = -1),
      'bill.prices.aws.DescribeInstances: found -1, allowed: a number from 0',
    ],
    ['an unknown currency', ({ bill }) => (bill.currency = '€'), 'bill.currency: found "€", allowed: the three letters'],
    [
      'half a call',
      ({ bill }) => (bill.budgets.aws.perDay.hard = 0.5),
      'bill.budgets.aws.perDay.hard: found 0.5, allowed: a whole number from 0',
    ],
    [
      'an unknown limit',
      ({ bill }) => Object.assign(bill.budgets.aws, { perWeek: {} }),
      'bill.budgets.aws: found the unknown field "perWeek", allowed: perHour, perDay',
    ],
    [
      'limits in the wrong order',
      ({ bill }) => (bill.budgets.aws.perHour.soft = 201),
      'bill.budgets.aws.perHour.soft: found 201, allowed: at most the hard limit, which is 200',
    ],
  ])('with %s are refused with file, path, found and allowed', (_, change, expected) => {
    const message = refusalOf(but(change));
    expect(message).toContain(`Configuration error: ${FILE}: `);
    expect(message).toContain(expected);
  });

  test.each<[string, (configuration: Sound) => unknown]>([
    [
      'clouds.aws.credentials.secretAccessKey',
      ({ clouds }) => Object.assign(clouds.aws.credentials, { secretAccessKey: CANARY }),
    ],
    ['clouds.aws.credentials.accessKeyId', ({ clouds }) => Object.assign(clouds.aws.credentials, { accessKeyId: CANARY })],
    ['clouds.aws.launch.userData', (configuration) => (launchOf(configuration).userData = CANARY.repeat(1000))],
    ['clouds.aws.endpoint', ({ clouds }) => (clouds.aws.endpoint = `https://user:${CANARY}@ec2.example.com/`)],
    ['clouds.nova.auth.password', ({ clouds }) => Object.assign(clouds.nova.auth, { password: CANARY })],
    ['clouds.ocean.token', ({ clouds }) => Object.assign(clouds.ocean, { token: CANARY })],
    ['clouds.hetzner.token', ({ clouds }) => Object.assign(clouds.hetzner, { token: CANARY })],
    ['clouds.vcd.password', ({ clouds }) => Object.assign(clouds.vcd, { password: CANARY })],
  ])('never show a secret that stands where it must not: %s', (path, change) => {
    const message = refusalOf(but(change));
    expect(message).toContain(`${path}: found a text of `);
    expect(message).not.toContain(CANARY);
  });

  test('that are malformed or hostile are refused with file, path, found and allowed, whatever is wrong with them', () => {
    let refused = 0;
    fc.assert(
      fc.property(damaged(sound, CANARY), (raw) => {
        const message = refusalOf(raw);
        expect(message).not.toContain(CANARY);
        expect(message.length).toBeLessThan(2000);
        if (message === 'accepted') return;
        refused++;
        expect(message).toMatch(/^Configuration error: \/fleet\/fleetbeat\.config\.json: .+: found .+, allowed: .+/);
      }),
      { numRuns: isThorough ? 10_000 : 1000 },
    );
    expect(refused).toBeGreaterThan(700);
  });

  test('are displayed with who logs in and the variables that hold the secrets, but without what machines are told', () => {
    const configuration = but((raw) => {
      launchOf(raw).userData = `password: ${CANARY}`;
      Object.assign(launchOf(raw).request, { UserData: CANARY });
    });
    const shown = display(check(configuration, { file: FILE }));
    expect(JSON.stringify(shown)).not.toContain(CANARY);
    expect(shown).toMatchObject({
      clouds: {
        aws: { credentials: CLOUDS.aws.credentials, launch: { userData: '***', byIp: CLOUDS.aws.launch.byIp } },
        nova: { auth: CLOUDS.nova.auth },
        vcd: { user: 'admin', password: { env: 'VCLOUD_PASSWORD' } },
      },
      bill: BILL,
    });
  });
});

test('the rules list what clouds and the bill may say', () => {
  const lines = ruleLines(rules());
  const line = (path: string) => lines.find((each) => each.path === path);
  expect(line('clouds.<name>.region')).toMatchObject({ byDefault: 'required' });
  expect(line('clouds.<name>.read.every')).toMatchObject({ byDefault: '"5m"' });
  expect(line('clouds.<name>.credentials.secretAccessKey.env')).toBeDefined();
  expect(line('clouds.<name>.launch.byIp.<name>.instanceType')).toBeDefined();
  expect(line('clouds.<name>.auth.password.env')).toBeDefined();
  expect(line('clouds.<name>.auth.applicationCredentialId')).toBeDefined();
  expect(line('bill.budgets.<name>.perHour.soft')).toMatchObject({ type: 'number' });
  expect(line('bill.currency')).toMatchObject({ byDefault: '"USD"' });
  const drivers = lines.filter(({ path }) => path === 'clouds.<name>.driver').map(({ type }) => type);
  expect(drivers).toEqual(
    ['local', 'simulated', 'ec2', 'openstack', 'digitalocean', 'hetzner', 'vcloud'].map((driver) => JSON.stringify(driver)),
  );
});

test('an adapter on several packages is told with all of them', async () => {
  const missing = Object.assign(new Error("Cannot find package 'axios' imported from /fleet/rest.js"), {
    code: 'ERR_MODULE_NOT_FOUND',
  });
  await expect(load(() => Promise.reject(missing), 'libcloud', ['axios', 'axios-retry'])).rejects.toThrow(
    'the adapter libcloud needs axios, which is not installed: npm install axios axios-retry',
  );
});

describe('the time of a bill', () => {
  const NOW = Date.UTC(2026, 4, 1, 12);

  test.each([
    [undefined, 86_400_000],
    ['90m', 5_400_000],
    ['7d', 604_800_000],
    ['39d', LONGEST_BILL_MS],
    ['2026-05-01', 43_200_000],
  ])('%s is so long', (since, sinceMs) => {
    expect(readSince(since, NOW)).toEqual({ sinceMs });
  });

  test.each(['40d', '2026-05-02', 'ever'])('%s is refused', (since) => {
    expect(() => readSince(since, NOW)).toThrow(/--since: found .+, allowed: /);
  });
});
