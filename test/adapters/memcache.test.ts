import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memcache } from 'fleetbeat/adapters/services/memcache';
import { type SshShell, ssh } from 'fleetbeat/adapters/ssh';
import { driverContract } from 'fleetbeat/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { PermittedCall, ServiceDriver } from '../../src/contracts.ts';
import { asInstant, asToken, type Ip, parseIp } from '../../src/domain/identity.ts';
import type { Service, ServiceFacts, ServiceVerb } from '../../src/domain/service.ts';
import { overShell } from '../../src/drivers/over-shell.ts';

import { freePort, loopback, makeSshKey, requires, type SshdServer, startSshd } from '../support/servers.ts';

const never = new AbortController().signal;
const kind = memcache();

function asIp(text: string): Ip {
  const ip = parseIp(text);
  if (!ip) throw new TypeError(text);
  return ip;
}

function callTo(name: string, verb: ServiceVerb, token = `${verb}-${Math.random()}`, valid = () => true): PermittedCall {
  return { call: { do: { level: 'services', name, verb } }, permit: { token: asToken(token), fence: 1, valid } };
}

describe('the settings of a memcache', () => {
  test('have defaults', () => {
    expect(kind.settings(undefined)).toEqual({ port: 11211, memoryMb: 64, dataDir: null, user: 'nobody', binary: 'memcached' });
  });

  test.each([
    ['port', '0', { port: 0 }],
    ['port', '"11211"', { port: '11211' }],
    ['memoryMb', '1.5', { memoryMb: 1.5 }],
    ['dataDir', '"/"', { dataDir: '/' }],
    ['dataDir', '"/etc"', { dataDir: '/etc' }],
    ['dataDir', '"data"', { dataDir: 'data' }],
    ['dataDir', '"/srv/x/../../etc"', { dataDir: '/srv/x/../../etc' }],
    ['user', '"-u"', { user: '-u' }],
    ['binary', '"--version"', { binary: '--version' }],
    ['binary', '"memcached; id"', { binary: 'memcached; id' }],
    ['memory', 'memory', { memory: 64 }],
    ['object', '[]', []],
    ['object', 'null', null],
  ])('are refused with what was found and what is allowed: %s %s', (allowed, found, raw) => {
    const read = () => kind.settings(raw);
    expect(read).toThrow(expect.objectContaining({ code: 'ER0230' }));
    expect(read).toThrow(allowed);
    expect(read).toThrow(found);
  });
});

requires('sshd')('a memcache on a host', () => {
  const user = makeSshKey();
  let host: SshdServer;
  let shell: SshShell;
  let folder: string;
  let driver: ServiceDriver;
  let service: Service;
  let other: Service;

  beforeAll(async () => {
    host = await startSshd({ address: loopback(1), authorizedKeys: [user.publicKey] });
    shell = ssh({
      username: host.username,
      privateKey: user.privateKey,
      port: host.port,
      knownHosts: host.knownHostsLine(),
      silentMs: 1000,
    });
  });
  afterAll(async () => {
    await shell.close();
    await host.stop();
  });

  const configured = async (name: string, settings: object = {}): Promise<Service> => ({
    name,
    ip: asIp(host.address),
    mode: 'memcache',
    status: 'standalone',
    settings: kind.settings({ port: await freePort(host.address), memoryMb: 8, dataDir: join(folder, name), ...settings }),
  });

  const open = (...services: readonly Service[]): ServiceDriver => {
    const opened = overShell([kind], shell);
    opened.bind?.(services);
    return opened;
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'fleetbeat-memcache-'));
    // The server writes its pid file as another user.
    chmodSync(folder, 0o755);
    service = await configured('nosql1');
    other = await configured('nosql2');
    driver = open(service, other);
  });
  afterEach(() => {
    for (const name of readdirSync(folder)) kill(name, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  /** Sends a signal to a server of this test, if it runs. */
  const kill = (name: string, signal: NodeJS.Signals) => {
    const pidFile = join(folder, name, 'memcached.pid');
    const pid = existsSync(pidFile) ? readFileSync(pidFile, 'utf8').trim() : '';
    const commandLine = `/proc/${pid}/cmdline`;
    if (pid && existsSync(commandLine) && readFileSync(commandLine, 'utf8').includes(pidFile)) process.kill(Number(pid), signal);
  };

  const look = async (of: ServiceDriver = driver): Promise<ServiceFacts> => {
    const { items } = await of.observe({ now: asInstant(1000), maxAgeMs: 0 }, never);
    const [first] = items;
    if (!first) throw new TypeError('nothing was read');
    return first;
  };
  const perform = (...verbs: readonly ServiceVerb[]) =>
    driver.perform(
      verbs.map((verb) => callTo('nosql1', verb)),
      never,
    );

  test('goes from uninstalled to up, by a restart to another run, and is gone again', async () => {
    expect(await look()).toEqual({ name: 'nosql1', readAt: 1000, code: 'ER0024', holds: { installed: false, up: false } });

    expect(await perform('install')).toEqual([null]);
    expect(await look()).toEqual({ name: 'nosql1', readAt: 1000, code: 'ER0023', holds: { installed: true, up: false } });

    expect(await perform('start')).toEqual([null]);
    const first = await look();
    expect(first).toMatchObject({ code: '000000', holds: { installed: true, up: true }, runId: expect.any(String) });
    expect((await look()).runId).toBe(first.runId);

    expect(await perform('restart')).toEqual([null]);
    const second = await look();
    expect(second).toMatchObject({ code: '000000', holds: { installed: true, up: true } });
    expect(second.runId).not.toBe(first.runId);

    expect(await perform('stop')).toEqual([null]);
    expect(await look()).toMatchObject({ code: 'ER0023', holds: { installed: true, up: false } });

    expect(await perform('remove')).toEqual([null]);
    expect(await look()).toMatchObject({ code: 'ER0024' });
    expect(existsSync(join(folder, 'nosql1'))).toBe(false);
  }, 30_000);

  test('is left as it is by a step that has nothing to do', async () => {
    await perform('install', 'start');
    const { runId } = await look();
    expect(await perform('install', 'start')).toEqual([null, null]);
    expect((await look()).runId).toBe(runId);
    expect(await perform('stop', 'stop', 'remove', 'remove')).toEqual([null, null, null, null]);
  });

  test('is removed also while it runs', async () => {
    await perform('install', 'start');
    expect(await perform('remove')).toEqual([null]);
    expect(await look()).toMatchObject({ code: 'ER0024' });
  });

  test('keeps nothing that a probe has stored', async () => {
    await perform('install', 'start');
    await look();
    const { port } = service.settings as { port: number };
    const socket = connect(port, host.address).setEncoding('latin1');
    socket.write('stats\r\n');
    let stats = '';
    for await (const text of socket) {
      stats += text;
      if (stats.endsWith('END\r\n')) break;
    }
    expect(stats).toContain('STAT total_items 1\r\n');
    expect(stats).toContain('STAT curr_items 0\r\n');
  });

  test('that has died is stopped', async () => {
    await perform('install', 'start');
    kill('nosql1', 'SIGKILL');
    await expect.poll(look).toMatchObject({ code: 'ER0023' });
    expect(await perform('start')).toEqual([null]);
    expect(await look()).toMatchObject({ code: '000000' });
  });

  test('that hangs fails with the reason; let go, it is the same run as before; hanging, it is killed by stop', async () => {
    await perform('install', 'start');
    const { runId } = await look();
    kill('nosql1', 'SIGSTOP');
    expect(await look()).toMatchObject({
      code: 'ER0005',
      holds: { up: false },
      reason: expect.stringContaining('did not answer'),
    });
    kill('nosql1', 'SIGCONT');
    await expect.poll(look).toMatchObject({ code: '000000', runId });
    kill('nosql1', 'SIGSTOP');
    expect(await perform('stop')).toEqual([null]);
    expect(await look()).toMatchObject({ code: 'ER0023' });
  });

  test('kills nobody whose pid merely stands in its pid file', async () => {
    await perform('install');
    writeFileSync(join(folder, 'nosql1', 'memcached.pid'), `${process.pid}\n`);
    expect(await perform('stop')).toEqual([null]);
    expect(await look()).toMatchObject({ code: 'ER0023' });
    expect(await perform('start')).toEqual([null]);
    expect(await look()).toMatchObject({ code: '000000' });
  });

  test('does not come up on a port that another has', async () => {
    const taken = createServer((socket) => socket.on('error', () => socket.destroy()).end('220 mail.example.org\r\n'));
    await once(taken.listen((service.settings as { port: number }).port, host.address), 'listening');
    try {
      await perform('install');
      expect(await perform('start')).toMatchObject([
        { subject: 'nosql1', code: 'ER0018', message: expect.stringContaining('taken') },
      ]);
      expect(await look()).toMatchObject({ code: 'ER0005', reason: expect.stringContaining('220 mail.example.org') });
    } finally {
      taken.close();
    }
  });

  test('is not installed where its program is not', async () => {
    const without = open(await configured('nosql3', { binary: '/nowhere/memcached' }));
    expect(await without.perform([callTo('nosql3', 'install')], never)).toMatchObject([
      { code: 'ER0018', message: expect.stringContaining('there is no program /nowhere/memcached') },
    ]);
    expect(await look(without)).toMatchObject({ code: 'ER0024' });
  });

  test('takes over no directory that holds something else, and removes none', async () => {
    mkdirSync(join(folder, 'nosql1'));
    writeFileSync(join(folder, 'nosql1', 'accounts'), 'precious');
    expect(await perform('install', 'remove')).toMatchObject([
      { code: 'ER0018', message: expect.stringContaining('is not empty') },
      null,
    ]);
    expect(readdirSync(join(folder, 'nosql1'))).toEqual(['accounts']);
  });

  test('shares its directory with no other service', async () => {
    await perform('install');
    const twin = open(await configured('nosql9', { dataDir: join(folder, 'nosql1') }));
    const answers = await twin.perform([callTo('nosql9', 'install'), callTo('nosql9', 'remove')], never);
    expect(answers).toMatchObject(
      Array(2).fill({ code: 'ER0018', message: expect.stringContaining('belongs to the service nosql1') }),
    );
    expect(await look()).toMatchObject({ code: 'ER0023' });
  });

  test('has its paths read by no shell', async () => {
    const dataDir = join(folder, `it's $(touch bait) "here"; touch bait`);
    const odd = await configured('nosql1', { dataDir });
    driver = open(odd);
    expect(await perform('install', 'start')).toEqual([null, null]);
    expect(await look()).toMatchObject({ code: '000000' });
    expect(await perform('remove')).toEqual([null]);
    expect(readdirSync(folder)).toEqual([]);
    expect(existsSync(join(host.home, 'bait'))).toBe(false);
  });

  test('on a host that cannot be asked is unknown, not stopped', async () => {
    const away = await startSshd({ address: loopback(2), authorizedKeys: [user.publicKey] });
    await away.stop();
    const lost = open({ ...service, ip: asIp(away.address) });
    expect(await look(lost)).toMatchObject({ code: 'ER0200', holds: {}, reason: expect.stringContaining('ssh refused') });
  });

  test('is not removed once the permit has ended after its stop', async () => {
    await perform('install', 'start');
    let asked = 0;
    const answers = await driver.perform([callTo('nosql1', 'remove', 't', () => ++asked < 2)], never);
    expect(answers).toMatchObject([{ code: 'ER0217' }]);
    expect(await look()).toMatchObject({ code: 'ER0023' });
  });

  describe('keeps the contract of a driver', () => {
    for (const { name, run } of driverContract) {
      test(name, () =>
        run(async () => {
          let now = 0;
          await driver.perform([callTo('nosql1', 'install'), callTo('nosql2', 'remove')], never);
          return {
            driver,
            now: () => asInstant(now),
            advance: (ms) => {
              now += ms;
            },
            subjects: {
              legal: [callTo('nosql1', 'start').call, callTo('nosql2', 'install').call],
              unknown: callTo('nobody', 'stop').call,
            },
          };
        }),
      );
    }
  });
});
