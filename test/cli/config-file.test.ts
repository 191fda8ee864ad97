import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { configAnswer } from '../../src/cli/config/answer.ts';
import { check } from '../../src/cli/config/check.ts';
import { defineServiceKind } from '../../src/contracts.ts';
import { commandLine } from './command-line.ts';

const redis = defineServiceKind<{ readonly port: number }>({
  mode: 'redis',
  host: 'ssh-up',
  ladder: ['installed', 'up'],
  settings: (raw) => raw as { readonly port: number },
  probe: async () => Promise.reject(new Error('nobody is asked')),
  steps: {},
  configFile: (of, among) => ({
    path: `/etc/redis/${of.name}.conf`,
    text: `port ${of.settings.port}\n# beside ${among.services().map(({ name }) => name)}\nrequirepass ***\n`,
  }),
});
const plain = { ...redis, mode: 'plain' };
delete (plain as { configFile?: unknown }).configFile;

const configuration = check(
  {
    clouds: { lab: { driver: 'local', active: true, instances: [{ ip: '10.0.0.1' }] } },
    ssh: { username: 'admin', identityFile: 'id', knownHosts: 'known_hosts' },
    kinds: [redis, plain],
    services: [
      { name: 'cache1', ip: '10.0.0.1', mode: 'memcache', status: 'master' },
      { name: 'redis1', ip: '10.0.0.1', mode: 'redis', status: 'master', settings: { port: 6379 } },
      { name: 'plain1', ip: '10.0.0.1', mode: 'plain', status: 'master' },
    ],
  },
  { file: '/fleet/fleetbeat.config.js' },
);

describe('the generated file of a service', () => {
  test('is what its kind would write, with the path on its host', async () => {
    expect(await configAnswer('file', 'redis1', configuration)).toEqual({
      path: '/etc/redis/redis1.conf',
      text: 'port 6379\n# beside cache1,redis1,plain1\nrequirepass ***\n',
    });
  });

  test('of a service whose kind has none is refused', async () => {
    await expect(configAnswer('file', 'plain1', configuration)).rejects.toMatchObject({
      code: 'ER0202',
      message: expect.stringContaining('a service of mode plain has no configuration file'),
    });
  });

  test('of a service that is not configured is refused with those that are', async () => {
    await expect(configAnswer('file', 'redis2', configuration)).rejects.toMatchObject({
      code: 'ER0203',
      message: expect.stringContaining('redis1'),
    });
  });
});

describe('the example of a cluster with its balancers', () => {
  const example = fileURLToPath(new URL('../../examples/balanced.yaml', import.meta.url));
  const fileOf = async (name: string) => {
    const { exit, stdout, stderr } = await commandLine(['config', 'file', name, '--config', example]);
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(stdout).not.toContain('never to be seen');
    return JSON.parse(stdout) as { readonly path: string; readonly text: string };
  };

  beforeEach(() => {
    vi.stubEnv('MONITOR_PASSWORD', 'never to be seen');
    vi.stubEnv('REPLICATION_PASSWORD', 'never to be seen either');
  });
  afterEach(() => vi.unstubAllEnvs());

  test.each(['lb1', 'proxy1'])('has writes of %s go to the master and reads to the replica', async (name) => {
    const { path, text } = await fileOf(name);
    expect(path).toBe(`/var/lib/fleetbeat/${name}/haproxy.cfg`);
    expect(text).toMatch(
      /listen writes\n(?: .*\n)* {4}option mysql-check user balancer post-41\n {4}server db1 10\.0\.0\.101:3306\n\n/,
    );
    expect(text).toMatch(/listen reads\n(?: .*\n)* {4}server db1 10\.0\.0\.101:3306 backup\n {4}server db2 10\.0\.0\.102:3306\n/);
  });

  test('moves one address between the two balancers', async () => {
    const { path, text } = await fileOf('vip1');
    expect(path).toBe('/var/lib/fleetbeat/vip1/keepalived.conf');
    expect(text).toContain('unicast_peer {\n        10.0.0.106\n    }');
    expect(text).toContain('10.0.0.100/24');
    expect((await fileOf('lb2')).text).toContain('bind 10.0.0.100:3306 transparent');
  });

  test('says which variable is missing', async () => {
    vi.stubEnv('MONITOR_PASSWORD', '');
    const { exit, stderr } = await commandLine(['config', 'file', 'lb1', '--config', example]);
    expect(exit).toBe(64);
    expect(stderr).toContain('MONITOR_PASSWORD');
  });
});
