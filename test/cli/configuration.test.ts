import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { defineServiceKind, type Store } from 'fleetbeat';
import { functionDoctor } from 'fleetbeat/adapters/doctors/function';
import { describe, expect, test } from 'vitest';
import { check } from '../../src/cli/config/check.ts';
import { display } from '../../src/cli/config/display.ts';
import { findConfiguration } from '../../src/cli/config/find.ts';
import { recoveryLimits } from '../../src/cli/config/policy-fields.ts';
import { readConfiguration } from '../../src/cli/config/read.ts';
import { ruleLines, rules } from '../../src/cli/config/rules.ts';
import { load } from '../../src/cli/load.ts';
import { isFleetError } from '../../src/errors.ts';
import { serverFolder } from '../support/run-folder.ts';
import { damaged, hostile } from './damage.ts';

const FILE = '/fleet/fleetbeat.config.json';
const SECRET = 'hunter2-do-not-tell';

const sound = () => ({
  clouds: {
    rack: {
      driver: 'local',
      active: true,
      instances: [
        { id: 'a', ip: '10.0.0.101' },
        { ip: '10.0.0.102', status: ['vm', 'power'], start: ['vm', 'on'] },
      ],
    },
  },
  services: [
    { name: 'nosql1', ip: '10.0.0.101', mode: 'memcache', status: 'master', cluster: 'shop' },
    { name: 'nosql2', ip: '10.0.0.102', mode: 'memcache', status: 'slave', settings: { memoryMb: 64 } },
  ],
  clusters: ['shop'],
  store: { driver: 'memcached', servers: '127.0.0.1:11211', prefix: 'shop:', journal: 'journal.db' },
  ssh: {
    username: 'admin',
    identityFile: 'id_ed25519',
    knownHosts: 'known_hosts',
    passphrase: { env: 'SSH_PASSPHRASE' },
    port: { '10.0.0.101': 2222 },
    fence: { fleet: 'shop', folder: '/var/lib/fleetbeat/fences' },
  },
  doctors: [
    {
      name: 'pager',
      script: ['./page', '--team', 'db'],
      deadlineMs: 5000,
      env: { TEAM: 'db', PAGER_TOKEN: { env: 'PAGER_TOKEN' } },
    },
    { name: 'ops', webhook: 'https://ops.example.com/fleet', secret: { env: 'OPS_SECRET' }, headers: { 'x-team': 'db' } },
  ],
  audit: { file: 'audit.jsonl', maxBytes: 1_000_000, keep: 10 },
  bootstrap: { binaries: { argv: ['apt-get', 'install', '-y', 'memcached'], marker: '/var/lib/fleetbeat/binaries' } },
  policy: { attempts: 5 },
  beatEvery: '500ms',
});

type Sound = ReturnType<typeof sound>;

/** A sound configuration with one thing changed. */
const but = (change: (configuration: Sound & Record<string, unknown>) => void): unknown => {
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

const file = (name: string, text: string): string => {
  const path = join(serverFolder('config'), name);
  writeFileSync(path, text);
  return path;
};

describe('a configuration', () => {
  test('that is sound gets its defaults and its one active cloud', () => {
    const configuration = check(sound(), { file: FILE });
    expect(configuration.cloud.name).toBe('rack');
    expect(configuration.beatEveryMs).toBe(500);
    expect(configuration.policy).toMatchObject({ attempts: 5, tolerance: 2 });
    expect(configuration.ssh).toMatchObject({ connectMs: 3000, channels: 8 });
    expect(configuration.doctors).toMatchObject([{ answers: false }, { deadlineMs: 10_000, allowHttp: false }]);
  });

  test('says what is recovered, and within which limits', () => {
    const recover = { services: 'all', clusters: ['shop'] };
    const raw = but((configuration) => {
      Object.assign(configuration, { recover });
      Object.assign(configuration.policy, { dwellMs: 0, radiusPercent: 50 });
      Object.assign(configuration.services[1] ?? {}, { keep: false });
    });
    const { services, policy, ...configuration } = check(raw, { file: FILE });
    expect(configuration.recover).toEqual(recover);
    expect(services.map(({ keep }) => keep)).toEqual([undefined, false]);
    expect(recoveryLimits(policy)).toMatchObject({ dwellMs: 0, radiusPercent: 50, radiusLeast: 2, recoveries: 5 });
    expect(check(sound(), { file: FILE }).recover).toEqual({});
  });

  test('names files from where it stands itself', () => {
    const { store, audit } = check(sound(), { file: FILE });
    expect({ store, audit }).toMatchObject({ store: { journal: '/fleet/journal.db' }, audit: { file: '/fleet/audit.jsonl' } });
  });

  test.each<[string, object | undefined, string, object]>([
    ['of no store', undefined, FILE, { driver: 'sqlite', file: '/fleet/fleetbeat.db' }],
    ['of sqlite', { driver: 'sqlite' }, '/fleet/staging.yaml', { driver: 'sqlite', file: '/fleet/staging.db' }],
    ['of sqlite elsewhere', { driver: 'sqlite', file: '/var/lib/a.db' }, FILE, { driver: 'sqlite', file: '/var/lib/a.db' }],
    ['of memcached', { driver: 'memcached', servers: 'm' }, FILE, { journal: '/fleet/fleetbeat.journal.db' }],
    ['of memcached alone', { driver: 'memcached', servers: 'm', journal: false }, FILE, { journal: false }],
    ['of memory', { driver: 'memory' }, FILE, { driver: 'memory' }],
  ])('%s means one that outlives the process, beside it, unless it says otherwise', (_, store, at, expected) => {
    const raw = but((configuration) => {
      if (store) Object.assign(configuration, { store });
      else Reflect.deleteProperty(configuration, 'store');
    });
    expect(check(raw, { file: at }).store).toMatchObject(expected);
  });

  test('of a simulated cloud keeps nothing, since its cloud ends with the process', () => {
    const raw = { clouds: { sim: { driver: 'simulated', active: true, instances: [] } } };
    expect(check(raw, { file: FILE }).store).toEqual({ driver: 'memory' });
  });

  test.each<[string, (configuration: Sound & Record<string, unknown>) => void, string]>([
    [
      'no active cloud',
      ({ clouds }) => (clouds.rack.active = false),
      'clouds: found no active cloud, allowed: exactly one cloud',
    ],
    [
      'two active clouds',
      (configuration) => Object.assign(configuration.clouds, { other: { driver: 'local', active: true, instances: [] } }),
      'clouds: found rack and other active, allowed: exactly one cloud',
    ],
    [
      'an unknown mode',
      ({ services }) => Object.assign(services[0] ?? {}, { mode: 'memcached' }),
      'memcache (perhaps memcache?); others with kinds in a JavaScript file',
    ],
    [
      'an unknown driver',
      ({ clouds }) => (clouds.rack.driver = 'ec3'),
      'clouds.rack.driver: found "ec3", allowed: local, simulated',
    ],
    [
      'a cluster that is not listed',
      ({ services }) => Object.assign(services[0] ?? {}, { cluster: 'shopp' }),
      'services[0].cluster: found "shopp", allowed: one of clusters: shop (perhaps shop?)',
    ],
    [
      'an ip that no instance has',
      ({ services }) => Object.assign(services[1] ?? {}, { ip: '10.0.0.103' }),
      'services[1].ip: found "10.0.0.103", allowed: the ip of an instance of the cloud rack: 10.0.0.101, 10.0.0.102',
    ],
    [
      'the same name twice',
      ({ services }) => Object.assign(services[1] ?? {}, { name: 'nosql1' }),
      'services[1].name: found "nosql1" again, allowed: each name once',
    ],
    [
      'the same ip twice',
      ({ clouds }) => Object.assign(clouds.rack.instances[1] ?? {}, { ip: '10.0.0.101' }),
      'clouds.rack.instances[1].ip: found "10.0.0.101" again, allowed: each ip once',
    ],
    [
      'no address for an ip',
      ({ services }) => Object.assign(services[0] ?? {}, { ip: '10.0.0.256' }),
      'services[0].ip: found "10.0.0.256", allowed: an IPv4 or IPv6 address',
    ],
    [
      'a name that a shell would obey',
      ({ services }) => Object.assign(services[0] ?? {}, { name: 'a;reboot' }),
      'services[0].name: found "a;reboot", allowed: a name',
    ],
    [
      'an unknown field',
      (configuration) => Object.assign(configuration, { servces: [] }),
      'its root: found the unknown field "servces", allowed: clouds, services, clusters,',
    ],
    [
      'a service to recover that is not there',
      (configuration) => Object.assign(configuration, { recover: { services: ['nosql1', 'nosql'] } }),
      'recover.services[1]: found "nosql", allowed: one of the services: nosql1, nosql2 (perhaps nosql1 or nosql2?)',
    ],
    [
      'a cluster to recover that nothing is in',
      (configuration) => Object.assign(configuration, { clusters: ['shop', 'blog'], recover: { clusters: ['blog'] } }),
      'recover.clusters[0]: found "blog", allowed: one of the clusters: shop',
    ],
    [
      'a cluster to fail over that is not there',
      (configuration) => Object.assign(configuration, { recover: { failover: ['blog'] } }),
      'recover.failover[0]: found "blog", allowed: one of the clusters: shop',
    ],
    [
      'fewer witnesses than one',
      (configuration) => Object.assign(configuration.policy, { witnesses: 0 }),
      'policy.witnesses: found 0, allowed: a whole number from 1 to 4',
    ],
    [
      'a word for what is recovered that is none',
      (configuration) => Object.assign(configuration, { recover: { services: 'every' } }),
      'recover.services: found "every", allowed: all',
    ],
    [
      'a field of recover that is none',
      (configuration) => Object.assign(configuration, { recover: { acts: true } }),
      'recover: found the unknown field "acts", allowed: services, clusters, failover',
    ],
    [
      'a service that is perhaps kept',
      ({ services }) => Object.assign(services[0] ?? {}, { keep: 'yes' }),
      'services[0].keep: found "yes", allowed: true or false',
    ],
    ...(
      [
        ['radiusPercent', 101, 'a whole number from 0 to 100'],
        ['radiusLeast', -1, 'a whole number from 0'],
        ['recoveriesAtOnce', 0, 'a whole number from 1'],
        ['recoveries', 0, 'a whole number from 1'],
        ['dwellReadings', 0, 'a whole number from 1'],
        ['dwellMs', '20s', 'a whole number from 0'],
        ['recoveryMs', 0, 'a whole number from 1'],
        ['wellMs', 0.5, 'a whole number from 0'],
      ] as const
    ).map(([limit, value, allowed]): [string, (configuration: Sound) => void, string] => [
      `no ${limit}`,
      ({ policy }) => Object.assign(policy, { [limit]: value }),
      `policy.${limit}: found ${JSON.stringify(value)}, allowed: ${allowed}`,
    ]),
    [
      'a first hold-down that is longer than the longest',
      ({ policy }) => Object.assign(policy, { holdDownMs: 60_000, holdDownMaxMs: 30_000 }),
      'policy.holdDownMaxMs: found 30000, allowed: at least policy.holdDownMs, which is 60000',
    ],
    ['an unknown number', ({ policy }) => Object.assign(policy, { tolerence: 1 }), '(perhaps tolerance?)'],
    [
      'a duration without unit',
      (configuration) => (configuration.beatEvery = '10'),
      'beatEvery: found "10", allowed: a number and a unit',
    ],
    [
      'no way to know host keys',
      ({ ssh }) => Reflect.deleteProperty(ssh, 'knownHosts'),
      'ssh: found no way to know a host by its key, allowed: knownHosts, fingerprints or trustOnFirstUse',
    ],
    [
      'a local cloud without ssh',
      (configuration) => Reflect.deleteProperty(configuration, 'ssh'),
      'ssh: found nothing, allowed: how',
    ],
    ['a missing field', ({ ssh }) => Reflect.deleteProperty(ssh, 'username'), 'ssh.username: found nothing, allowed: a value'],
    [
      'a shell line for an argv',
      ({ clouds }) => Object.assign(clouds.rack.instances[1] ?? {}, { start: 'vm on' }),
      'clouds.rack.instances[1].start: found "vm on", allowed: a list of texts',
    ],
    [
      'a simulated cloud behind a shared store',
      (configuration) => Object.assign(configuration.clouds, { rack: { driver: 'simulated', active: true, instances: [] } }),
      'store: found a shared store, allowed: memory with a simulated cloud',
    ],
    [
      'an unknown store',
      ({ store }) => (store.driver = 'sqlit'),
      'store.driver: found "sqlit", allowed: sqlite, memcached, memory',
    ],
    [
      'a journal that is none',
      ({ store }) => Object.assign(store, { journal: true }),
      'store.journal: found true, allowed: false, or',
    ],
    [
      'a store that is the audit log',
      ({ audit }) => (audit.file = 'journal.db'),
      'audit.file: found "/fleet/journal.db" again, allowed: a file that is not the store',
    ],
    [
      'an audit log without a file',
      ({ audit }) => Reflect.deleteProperty(audit, 'file'),
      'audit.file: found nothing, allowed: a value',
    ],
    ['a tiny audit log', ({ audit }) => (audit.maxBytes = 1), 'audit.maxBytes: found 1, allowed: a whole number from 4096'],
    [
      'a doctor that does nothing',
      (configuration) => Object.assign(configuration, { doctors: [{ name: 'pager' }] }),
      'doctors[0]: found an object, allowed: an object with a name and a script or a webhook',
    ],
    [
      'a script that is a shell line',
      ({ doctors }) => Object.assign(doctors[0] ?? {}, { script: 'page --team db' }),
      'doctors[0].script: found "page --team db", allowed: a list of texts',
    ],
    [
      'two doctors of one name',
      ({ doctors }) => Object.assign(doctors[1] ?? {}, { name: 'pager' }),
      'doctors[1].name: found "pager" again, allowed: each name once',
    ],
    [
      'a fence folder that is relative',
      ({ ssh }) => Object.assign(ssh.fence, { folder: 'fences' }),
      'ssh.fence.folder: found "fences", allowed: the absolute path of a folder',
    ],
    [
      'a fence that is neither',
      ({ ssh }) => Object.assign(ssh, { fence: 'shop' }),
      'ssh.fence: found "shop", allowed: true or false',
    ],
  ])('with %s is refused with file, path, found and allowed', (_, change, expected) => {
    const message = refusalOf(but(change));
    expect(message).toContain(`Configuration error: ${FILE}: `);
    expect(message).toContain(expected);
  });

  test('never shows a secret that stands where it must not', () => {
    const plain = but(({ ssh }) => Object.assign(ssh, { passphrase: SECRET }));
    expect(refusalOf(plain)).toContain('ssh.passphrase: found a text of 19 characters, allowed: an object {"env": "NAME"}');
    const servers = but(({ store }) => (store.servers = `user:${SECRET}@127.0.0.1`));
    expect(refusalOf(servers)).toContain('store.servers: found a text of');
    const settings = but(({ services }) => Object.assign(services[1] ?? {}, { settings: { password: SECRET } }));
    expect(JSON.stringify(display(check(settings, { file: FILE })))).not.toContain(SECRET);
  });

  test.each<[string, object]>([
    ['secret', { secret: SECRET }],
    ['webhook', { webhook: `ftp://ops.example.com/${SECRET}` }],
    ['webhook', { webhook: `https://ops:${SECRET}@ops.example.com/` }],
    ['headers.authorization', { headers: { authorization: `${SECRET}\n` } }],
  ])('never shows a secret of a doctor in its %s, neither in a mistake nor displayed', (path, change) => {
    const message = refusalOf(but(({ doctors }) => Object.assign(doctors[1] ?? {}, change)));
    expect(message).toContain(`doctors[1].${path}: found a text of`);
    expect(message).not.toContain(SECRET);
  });

  test('shows what is told to whom without its secrets', () => {
    const raw = but(({ doctors }) => {
      Object.assign(doctors[0]?.env ?? {}, { PAGER_KEY: SECRET });
      Object.assign(doctors[1] ?? {}, { webhook: `https://hooks.example.com/${SECRET}`, headers: { authorization: SECRET } });
    });
    const shown = display(check(raw, { file: FILE }));
    expect(JSON.stringify(shown)).not.toContain(SECRET);
    expect(shown).toMatchObject({
      doctors: [
        { script: ['./page', '--team', 'db'], env: { PAGER_TOKEN: { env: 'PAGER_TOKEN' }, PAGER_KEY: '***' } },
        { webhook: 'https://hooks.example.com/***', secret: { env: 'OPS_SECRET' }, headers: { authorization: '***' } },
      ],
    });
  });

  test('may be given adapters of its own by a JavaScript file', () => {
    const none = async () => null;
    const store: Store = {
      get: none,
      set: async () => {},
      add: async () => true,
      swap: async () => true,
      delete: async () => true,
      increment: async () => 1,
    };
    const kind = defineServiceKind<unknown>({
      mode: 'redis',
      host: 'ssh-up',
      ladder: ['installed', 'up'],
      settings: (raw) => raw,
      probe: async ({ name, ip }) => Promise.reject(new Error(`${name} at ${ip}`)),
      steps: {},
    });
    const doctor = functionDoctor('log', async () => {});
    const raw = but((configuration) => {
      Object.assign(configuration, { store, kinds: [kind], doctors: [doctor] });
      Object.assign(configuration.services[0] ?? {}, { mode: 'redis' });
    });
    const configuration = check(raw, { file: FILE });
    expect(configuration.store).toBe(store);
    expect(configuration.kinds).toEqual([kind]);
    expect(configuration.doctors).toEqual([doctor]);
  });

  test('that is malformed or hostile is refused with file, path, found and allowed, 10,000 times', () => {
    let refused = 0;
    fc.assert(
      fc.property(fc.oneof({ weight: 4, arbitrary: damaged(sound, SECRET) }, { weight: 1, arbitrary: hostile }), (raw) => {
        const message = refusalOf(raw);
        expect(message).not.toContain(SECRET);
        expect(message.length).toBeLessThan(2000);
        expect(message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
        if (message === 'accepted') return;
        refused++;
        expect(message).toMatch(/^Configuration error: \/fleet\/fleetbeat\.config\.json: .+: found .+, allowed: .+/);
      }),
      { numRuns: 10_000 },
    );
    expect(refused).toBeGreaterThan(8000);
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  }, 60_000);

  test('that contains itself is refused', () => {
    const raw: Record<string, unknown> = sound();
    raw.services = [raw];
    expect(refusalOf(raw)).toContain('services[0]: found an object that contains itself');
  });
});

describe('a configuration file', () => {
  test('of YAML is refused with the line and the column of the mistake', async () => {
    const path = file('fleetbeat.config.yaml', 'clouds:\n  rack:\n    driver: local\n    active: maybe\n');
    await expect(readConfiguration(path)).rejects.toThrow(
      'clouds.rack.active (line 4, column 13): found "maybe", allowed: true or false',
    );
    const broken = file('fleetbeat.config.yml', 'clouds:\n  rack: [\n');
    await expect(readConfiguration(broken)).rejects.toThrow(/its root \(line 3, column 1\): found what is no YAML/);
  });

  test('of YAML that multiplies itself by aliases is refused', async () => {
    const lines = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefgh'.split('').map((name, i) => `${name}: &${name} [${`*${'abcdefg'[i]},`.repeat(9)}]`),
    ];
    await expect(readConfiguration(file('fleetbeat.config.yaml', lines.join('\n')))).rejects.toThrow(
      'aliases that cannot be followed',
    );
  });

  test('of JSON that does not parse is refused with its position', async () => {
    const path = file('fleetbeat.config.json', '{\n  "clouds": {},,\n}');
    await expect(readConfiguration(path)).rejects.toThrow('its root (line 2, column 16): found ","');
  });

  test('of JavaScript may export a function, and is refused when it throws', async () => {
    const path = file('fleetbeat.config.mjs', `export default () => (${JSON.stringify(sound())});`);
    expect((await readConfiguration(path)).cloud.name).toBe('rack');
    const failing = file('fleetbeat.config.mjs', 'throw new Error("no vault");');
    await expect(readConfiguration(failing)).rejects.toThrow('found a module that fails (no vault), allowed: a default export');
  });

  test('is found upward from a folder, and two in one folder are refused', () => {
    const path = file('fleetbeat.config.json', '{}');
    expect(findConfiguration(join(path, '..', 'deep', 'deeper'))).toBe(path);
    const folder = join(path, '..');
    writeFileSync(join(folder, 'fleetbeat.config.yaml'), '');
    expect(() => findConfiguration(folder)).toThrow(
      /found .*fleetbeat\.config\.json and .*fleetbeat\.config\.yaml, allowed: one of them/,
    );
    expect(() => findConfiguration('/nowhere/at/all')).toThrow('allowed: fleetbeat.config.js, fleetbeat.config.json');
  });
});

test('the rules list every field with its type, its default and its meaning', () => {
  const lines = ruleLines(rules());
  const line = (path: string) => lines.find((each) => each.path === path);
  expect(line('policy.tolerance')).toMatchObject({ byDefault: '2', type: 'number' });
  expect(line('policy.radiusPercent')).toMatchObject({ byDefault: '30', meaning: expect.stringContaining('only observed') });
  expect(line('recover.clusters')).toMatchObject({ type: 'list of string' });
  expect(line('services[].keep')).toMatchObject({ type: 'boolean' });
  expect(line('services[].status')).toMatchObject({ byDefault: 'required', type: 'master | slave | standalone | discard | na' });
  expect(line('clouds.<name>.speed')).toMatchObject({ byDefault: '10' });
  expect(line('ssh.passphrase.env')).toBeDefined();
  expect(rules().properties?.store?.anyOf).toHaveLength(3);
  expect(line('store.journal')).toBeDefined();
  expect(line('audit.file')).toMatchObject({ byDefault: 'required' });
  expect(line('doctors[].script')).toMatchObject({ byDefault: 'required', type: 'list of string' });
  expect(line('doctors[].webhook')).toMatchObject({ byDefault: 'required' });
});

test('an adapter whose package is not installed is told with what would install it', async () => {
  const missing = Object.assign(new Error("Cannot find package 'memjs' imported from /fleet/memcached.js"), {
    code: 'ERR_MODULE_NOT_FOUND',
  });
  const loading = load(() => Promise.reject(missing), 'memcached');
  await expect(loading).rejects.toThrow(
    'Package missing: the adapter memcached needs memjs, which is not installed: npm install memjs',
  );
});
