import { describe, expect, test } from 'vitest';
import { configAnswer } from '../../src/cli/config/answer.ts';
import { check } from '../../src/cli/config/check.ts';
import { defineServiceKind } from '../../src/contracts.ts';

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
