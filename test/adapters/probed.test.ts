import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { local } from 'fleetbeat/adapters/local';
import { type SshShell, ssh } from 'fleetbeat/adapters/ssh';
import { driverContract } from 'fleetbeat/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Driver, PermittedCall, Shell } from '../../src/contracts.ts';
import { asInstant, asToken, type Ip, instanceKey, parseIp, type Token } from '../../src/domain/identity.ts';
import type { InstanceFacts, InstanceRung, InstanceVerb, Power, SshAnswer } from '../../src/domain/instance.ts';
import { SSH_CODES } from '../../src/domain/ssh.ts';
import type { BootstrapOptions } from '../../src/drivers/bootstrap.ts';
import { probed } from '../../src/drivers/probed.ts';
import { FleetError } from '../../src/errors.ts';
import { freePort, loopback, makeSshKey, requires, type SshdServer, startSshd } from '../support/servers.ts';

const never = new AbortController().signal;
const want = { now: asInstant(1000), maxAgeMs: 0 };

function asIp(text: string): Ip {
  const ip = parseIp(text);
  if (!ip) throw new TypeError(text);
  return ip;
}

function callTo(
  ip: string,
  verb: InstanceVerb,
  upTo?: InstanceRung,
  token = `t-${Math.random()}`,
  valid = () => true,
): PermittedCall {
  return {
    call: { do: { level: 'instances', subject: { ip: asIp(ip) }, verb, ...(upTo && { upTo }) } },
    permit: { token: asToken(token), fence: 1, valid },
  };
}

const bootstrapOf = (ip: string, upTo: InstanceRung = 'managed', token?: string, valid?: () => boolean) =>
  callTo(ip, 'bootstrap', upTo, token, valid);

/** Hosts by address: the word of each, or `hangs` for one whose probe never comes back and heeds no signal. */
function pretend(hosts: Readonly<Record<string, SshAnswer | 'hangs'>>): Shell & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    reachable(ip) {
      const word = hosts[ip] ?? 'refused';
      return word === 'hangs' ? new Promise(() => {}) : Promise.resolve(word);
    },
    run(ip) {
      asked.push(ip);
      const word = hosts[ip] ?? 'refused';
      if (word === 'hangs') return new Promise(() => {});
      if (word === 'up') return Promise.resolve({ exit: 0, stdout: 'boot-1\n', stderr: '' });
      return Promise.reject(new FleetError(SSH_CODES[word], ip));
    },
    put: async () => {},
  };
}

const cloudOf = (...ips: readonly string[]) => local({ instances: ips.map((ip) => ({ ip })) });

describe('what a probe adds to the cloud', () => {
  test('is one word of ssh for each running instance, and nothing for the others', async () => {
    const shell = pretend({ '10.0.0.1': 'up', '10.0.0.2': 'host-key-changed' });
    const status = (power: Power) => ['echo', power];
    const cloud = local({
      instances: [
        { ip: '10.0.0.1' },
        { ip: '10.0.0.2', status: status('running') },
        { ip: '10.0.0.3', status: status('stopped') },
        { ip: '10.0.0.4', status: status('pending') },
        { ip: '10.0.0.5' },
      ],
    });
    const reading = await probed(cloud, shell).observe(want, never);
    expect(reading.items.map(({ ssh }) => ssh)).toEqual(['up', 'host-key-changed', undefined, undefined, 'refused']);
    expect(shell.asked.toSorted()).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.5']);
    expect(reading).toMatchObject({ readAt: 1000, complete: true, problems: [] });
    expect(reading.items.map(({ power }) => power?.state)).toEqual(['running', 'running', 'stopped', 'pending', 'running']);
  });

  test('are the rungs that hold by definition where none is configured', async () => {
    const { items } = await probed(cloudOf('10.0.0.1'), pretend({ '10.0.0.1': 'up' })).observe(want, never);
    expect(items).toMatchObject([{ ssh: 'up', bootId: 'boot-1', binaries: 'none', agent: true }]);
  });

  test('is a timeout for a host that hangs past its deadline, which delays no other', async () => {
    const shell = pretend({ '10.0.0.1': 'hangs', '10.0.0.2': 'up', '10.0.0.3': 'hangs', '10.0.0.4': 'up' });
    const cloud = cloudOf('10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4');
    const { items, problems } = await probed(cloud, shell, { deadlineMs: 50 }).observe(want, never);
    expect(items.map(({ ssh }) => ssh)).toEqual(['timeout', 'up', 'timeout', 'up']);
    expect(problems.map(({ subject, code }) => [subject, code])).toEqual([
      ['local-10.0.0.1', 'ER0212'],
      ['local-10.0.0.3', 'ER0212'],
    ]);
  });

  test('is late for a host that hangs: it holds up one reading, and the next ones have its word once it is there', async () => {
    const hosts: Record<string, SshAnswer | 'hangs'> = { '10.0.0.1': 'hangs', '10.0.0.2': 'up' };
    const shell = pretend(hosts);
    const driver = probed(cloudOf('10.0.0.1', '10.0.0.2'), shell, { deadlineMs: 1200 });
    const read = async () => (await driver.observe(want, never)).items.map(({ ssh }) => ssh);
    expect(await read()).toEqual(['timeout', 'up']);

    const from = performance.now();
    expect(await read()).toEqual([undefined, 'up']);
    expect(performance.now() - from).toBeLessThan(1000);
    await expect.poll(read).toEqual(['timeout', 'up']);
    expect(await read()).toEqual([undefined, 'up']);

    hosts['10.0.0.1'] = 'up';
    await expect.poll(read).toEqual(['up', 'up']);
    const asked = shell.asked.length;
    expect(await read()).toEqual(['up', 'up']);
    expect(shell.asked.slice(asked)).toEqual(['10.0.0.1', '10.0.0.2']);
  });

  test('is nothing, for the moment, for a host that did not answer before, and is told of as soon as it does', async () => {
    const hosts: Record<string, SshAnswer> = { '10.0.0.1': 'refused', '10.0.0.2': 'up' };
    const shell = pretend(hosts);
    const booting: (() => void)[] = [];
    let isBooting = false;
    const run: Shell['run'] = async (ip, ...rest) => {
      if (isBooting && ip === '10.0.0.1') await new Promise<void>((resolve) => booting.push(resolve));
      return shell.run(ip, ...rest);
    };
    const driver = probed(cloudOf('10.0.0.1', '10.0.0.2'), { ...shell, run });
    const read = async () => (await driver.observe(want, never)).items.map(({ ssh }) => ssh);
    let news = 0;
    const deafen = driver.onNews?.(() => {
      news++;
    });
    expect(await read()).toEqual(['refused', 'up']);

    isBooting = true;
    expect(await read()).toEqual([undefined, 'up']);
    expect(await read()).toEqual([undefined, 'up']);
    expect(booting).toHaveLength(1);
    isBooting = false;
    hosts['10.0.0.1'] = 'up';
    expect(news).toBe(0);
    booting[0]?.();
    await expect.poll(() => news).toBe(1);
    expect(await read()).toEqual(['up', 'up']);

    deafen?.();
    expect(news).toBe(1);
  });

  test('is nothing for a host whose turn did not come, and the reading is there in time', async () => {
    const shell = pretend({ '10.0.0.1': 'hangs' });
    const options = { deadlineMs: 60_000, totalMs: 50, parallel: 1 };
    const { items, problems } = await probed(cloudOf('10.0.0.1', '10.0.0.2'), shell, options).observe(want, never);
    expect(items.map(({ ssh }) => ssh)).toEqual([undefined, undefined]);
    expect(problems).toHaveLength(2);
    expect(shell.asked).toEqual(['10.0.0.1']);
  });

  test('does not outlive the signal', async () => {
    const beat = new AbortController();
    const reading = probed(cloudOf('10.0.0.1'), pretend({ '10.0.0.1': 'hangs' })).observe(want, beat.signal);
    beat.abort(new Error('the beat is over'));
    await expect(reading).rejects.toThrow('the beat is over');
  });
});

describe('a call to a probed cloud', () => {
  test('goes on to the cloud in one batch unless it is a bootstrap, and all are answered in their order', async () => {
    const batches: string[][] = [];
    const cloud: Driver<InstanceFacts> = {
      ...cloudOf('10.0.0.1'),
      async perform(calls) {
        batches.push(calls.map(({ call }) => call.do.verb));
        return calls.map(({ call }) => ({ subject: call.do.verb, code: 'ER0221', message: 'no' }));
      },
    };
    const refused = { '10.0.0.1': 'up' } as const;
    const answers = await probed(cloud, pretend(refused)).perform(
      [callTo('10.0.0.1', 'stop'), bootstrapOf('10.0.0.1'), callTo('10.0.0.2', 'reboot'), callTo('10.0.0.3', 'launch')],
      never,
    );
    expect(batches).toEqual([['stop', 'reboot', 'launch']]);
    expect(answers.map((answer) => answer?.subject ?? null)).toEqual(['stop', null, 'reboot', 'launch']);
  });

  test('does not reach the cloud at all where it is a bootstrap', async () => {
    const cloud: Driver<InstanceFacts> = { ...cloudOf('10.0.0.1'), perform: () => Promise.reject(new Error('asked')) };
    expect(await probed(cloud, pretend({ '10.0.0.1': 'up' })).perform([bootstrapOf('10.0.0.1')], never)).toEqual([null]);
  });
});

test.each<[string, BootstrapOptions]>([
  ['no program', { binaries: { argv: [], marker: '/m' } }],
  ['a relative marker', { agent: { argv: ['true'], marker: 'm' } }],
  ['a directory as marker', { agent: { argv: ['true'], marker: '/m/' } }],
  ['a version of two words', { agent: { argv: ['true'], marker: '/m', version: '1 2' } }],
])('a rung is not made of %s', (_, bootstrap) => {
  expect(() => probed(cloudOf(), pretend({}), { bootstrap })).toThrow(expect.objectContaining({ code: 'ER0230' }));
});

requires('sshd')('the rungs of a host', () => {
  const user = makeSshKey();
  const gone = loopback(9);
  let host: SshdServer;
  let shell: SshShell;
  let folder: string;
  beforeAll(async () => {
    host = await startSshd({ address: loopback(1), authorizedKeys: [user.publicKey] });
    shell = ssh({
      username: host.username,
      privateKey: user.privateKey,
      port: new Map([
        [host.address, host.port],
        [gone, await freePort(gone)],
      ]),
      knownHosts: host.knownHostsLine(),
    });
  });
  afterAll(async () => {
    await shell.close();
    await host.stop();
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'fleetbeat-probed-'));
    return () => rmSync(folder, { recursive: true });
  });

  const log = () => (existsSync(join(folder, 'log')) ? readFileSync(join(folder, 'log'), 'utf8').trim().split('\n') : []);
  const rung = (name: string, version = '1') => ({
    argv: ['sh', '-c', 'echo "$1" >> "$2"', 'sh', name, join(folder, 'log')],
    marker: join(folder, 'markers', name),
    version,
  });
  const open = (bootstrap: BootstrapOptions = { binaries: rung('binaries'), agent: rung('agent') }) =>
    probed(cloudOf(host.address, gone), shell, { bootstrap });
  const look = async (driver = open()) => {
    const { items } = await driver.observe(want, never);
    return items.find(({ ip }) => ip === host.address);
  };

  test('are known by their markers, in one round trip with the boot', async () => {
    expect(await look()).toEqual({
      cloud: 'local',
      id: `local-${host.address}`,
      ip: host.address,
      readAt: 1000,
      power: { state: 'running', raw: 'configured' },
      ssh: 'up',
      bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
      binaries: null,
      agent: false,
    });
  });

  test('are brought about lowest first, up to the one that is asked for, each once', async () => {
    expect(await open().perform([bootstrapOf(host.address, 'ssh-up')], never)).toEqual([null]);
    expect(log()).toEqual([]);

    expect(await open().perform([bootstrapOf(host.address, 'bootstrapped')], never)).toEqual([null]);
    expect(log()).toEqual(['binaries']);
    expect(await look()).toMatchObject({ binaries: '1', agent: false });

    expect(await open().perform([bootstrapOf(host.address, 'managed')], never)).toEqual([null]);
    expect(log()).toEqual(['binaries', 'agent']);
    expect(await look()).toMatchObject({ binaries: '1', agent: true });

    expect(await open().perform([bootstrapOf(host.address, 'managed')], never)).toEqual([null]);
    expect(log()).toEqual(['binaries', 'agent']);
  });

  test('do not hold any more when another version is wanted, and are brought about again', async () => {
    await open().perform([bootstrapOf(host.address)], never);
    const newer = open({ binaries: rung('binaries', '2.0'), agent: rung('agent') });
    expect(await look(newer)).toMatchObject({ binaries: null, agent: true });
    await newer.perform([bootstrapOf(host.address)], never);
    expect(log()).toEqual(['binaries', 'agent', 'binaries']);
    expect(await look(newer)).toMatchObject({ binaries: '2.0', agent: true });
  });

  test('do not hold where their command failed, whose last words are told without their control characters', async () => {
    const failing = { ...rung('binaries'), argv: ['sh', '-c', 'printf "\\033[31mno such\\n package\\007" >&2; exit 100'] };
    const driver = open({ binaries: failing, agent: rung('agent') });
    expect(await driver.perform([bootstrapOf(host.address)], never)).toEqual([
      { subject: host.address, code: 'ER0018', message: expect.stringContaining('ended with 100: [31mno such package') },
    ]);
    expect(log()).toEqual([]);
    expect(await look(driver)).toMatchObject({ binaries: null, agent: false });
  });

  test('are climbed no further once the permit has ended', async () => {
    const valid = () => log().length === 0;
    expect(await open().perform([bootstrapOf(host.address, 'managed', 't', valid)], never)).toMatchObject([{ code: 'ER0217' }]);
    expect(log()).toEqual(['binaries']);
  });

  test('of a host that is not there are a problem of that host alone', async () => {
    const answers = await open().perform([bootstrapOf(gone), bootstrapOf(host.address)], never);
    expect(answers).toMatchObject([{ subject: gone, code: 'ER0240' }, null]);
  });

  test('are brought about on the address that a key had when it was last read', async () => {
    const driver = open();
    const key = instanceKey('local', `local-${host.address}`);
    const call: PermittedCall = {
      call: { do: { level: 'instances', subject: { key }, verb: 'bootstrap' } },
      permit: { token: asToken('t'), fence: 1, valid: () => true },
    };
    expect(await driver.perform([call], never)).toMatchObject([{ subject: key, code: 'ER0205' }]);
    await driver.observe(want, never);
    expect(await driver.perform([call], never)).toEqual([null]);
    expect(log()).toEqual(['binaries', 'agent']);
  });

  describe('of a probed cloud that keeps the contract of a driver', () => {
    for (const { name, run } of driverContract) {
      test(name, () =>
        run(async () => {
          const switched = join(folder, 'switched');
          writeFileSync(switched, '');
          const cloud = local({
            instances: [{ ip: host.address }, { ip: gone, start: ['sh', '-c', 'echo on >> "$1"', 'sh', switched] }],
          });
          const driver = probed(cloud, shell, { bootstrap: { binaries: rung('binaries') } });
          const countOf = new Map<Token, () => number>();
          let now = 0;
          return {
            driver: {
              ...driver,
              perform(calls, signal) {
                for (const { call, permit } of calls) {
                  const isClimb = call.do.verb === 'bootstrap';
                  countOf.set(permit.token, () =>
                    isClimb ? log().length : readFileSync(switched, 'utf8').split('\n').length - 1,
                  );
                }
                return driver.perform(calls, signal);
              },
            },
            now: () => asInstant(now),
            advance: (ms) => {
              now += ms;
            },
            subjects: {
              legal: [bootstrapOf(host.address).call, callTo(gone, 'start').call],
              unknown: callTo(loopback(77), 'stop').call,
            },
            applied: (token) => countOf.get(token)?.() ?? 0,
          };
        }),
      );
    }
  });
});
