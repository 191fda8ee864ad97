import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { probed, type Shell } from 'fleetbeat';
import { local } from 'fleetbeat/adapters/local';
import { type SshShell, ssh } from 'fleetbeat/adapters/ssh';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { PermittedCall } from '../../src/contracts.ts';
import { asInstant, asToken, type Ip, parseIp } from '../../src/domain/identity.ts';
import type { Artefact } from '../../src/drivers/bootstrap.ts';
import { FleetError } from '../../src/errors.ts';
import { makeArchive, sha256Of } from '../support/archives.ts';
import { type CountingShell, countingShell } from '../support/counting-shell.ts';
import { loopback, makeSshKey, requires, type SshdOptions, type SshdServer, startSshd } from '../support/servers.ts';

const never = new AbortController().signal;

function asIp(text: string): Ip {
  const ip = parseIp(text);
  if (!ip) throw new TypeError(text);
  return ip;
}

function bootstrapOf(ip: string, token = `t-${Math.random()}`): PermittedCall {
  return {
    call: { do: { level: 'instances', subject: { ip: asIp(ip) }, verb: 'bootstrap', upTo: 'bootstrapped' } },
    permit: { token: asToken(token), fence: 1, valid: () => true },
  };
}

test.each<[string, Partial<Artefact>]>([
  ['a version that leads elsewhere', { version: '../1' }],
  ['a version that is an option', { version: '-rf' }],
  ['a version of two words', { version: '1 2' }],
  ['a relative folder', { to: 'app' }],
  ['the root of the host', { to: '/' }],
  ['a folder that leads elsewhere', { to: '/opt/../etc' }],
  ['a folder with a line end', { to: '/opt/a\nb' }],
  ['a checksum that is none', { sha256: 'abc' }],
  ['no release that is kept', { keep: 0 }],
  ['an argv without a program', { argv: [''] }],
])('an artefact is not made of %s', (_, wrong) => {
  const artefact = { file: 'app.tar', version: '1', to: '/opt/app', ...wrong };
  const make = () => probed(local({ instances: [] }), {} as Shell, { bootstrap: { binaries: { artefact } } });
  expect(make).toThrow(expect.objectContaining({ code: 'ER0230' }));
  expect(make).not.toThrow(/\n/);
});

requires('sshd')('an artefact', () => {
  const user = makeSshKey();
  const one = makeArchive('app-1.tar.gz', { 'bin/app': 'one', "it's $HOME": 'odd' });
  const two = makeArchive('app-2.tar', { 'bin/app': 'two' });
  const hosts: SshdServer[] = [];
  let plain: SshShell;
  let shell: CountingShell;
  let host: SshdServer;
  let full: SshdServer;

  const start = async (options: Partial<SshdOptions> = {}) => {
    const server = await startSshd({ address: loopback(hosts.length + 1), authorizedKeys: [user.publicKey], ...options });
    hosts.push(server);
    return server;
  };
  beforeAll(async () => {
    host = await start();
    full = await start({ disk: { folder: 'app', mebibytes: 6 } });
    plain = ssh({
      username: host.username,
      privateKey: user.privateKey,
      port: new Map(hosts.map(({ address, port }) => [address, port])),
      knownHosts: hosts.map((each) => each.knownHostsLine()).join('\n'),
    });
  });
  afterAll(async () => {
    await plain.close();
    await Promise.all(hosts.map((each) => each.stop()));
  });
  beforeEach(() => {
    shell = countingShell(plain);
    return () => rmSync(join(host.home, 'app'), { recursive: true, force: true });
  });

  const at = (...path: readonly string[]) => join(host.home, 'app', ...path);
  const open = (artefact: Partial<Artefact>, through: Shell = shell, on = host) =>
    probed(local({ instances: [{ ip: on.address }] }), through, {
      bootstrap: { binaries: { artefact: { file: one, version: '1', to: '~/app', ...artefact } } },
    });
  const climb = async (artefact: Partial<Artefact>, through?: Shell, on = host) =>
    (await open(artefact, through, on).perform([bootstrapOf(on.address)], never))[0] ?? null;
  const seen = async (artefact: Partial<Artefact>, on = host) =>
    (await open(artefact, plain, on).observe({ now: asInstant(1), maxAgeMs: 0 }, never)).items[0]?.binaries;
  /** What `sh -c` of a host says, which sees disks that only it has. */
  const ask = async (on: SshdServer, script: string) =>
    (await plain.run(asIp(on.address), ['sh', '-c', script], { deadlineMs: 5000 }, never)).stdout.trim();

  test('is unpacked whole at its version, switched to, and seen by the next beat', async () => {
    expect(await seen({})).toBeNull();
    expect(await climb({})).toBeNull();
    expect(readlinkSync(at('current'))).toBe('releases/1');
    expect(readFileSync(at('current/bin/app'), 'utf8')).toBe('one');
    expect(readFileSync(at("current/it's $HOME"), 'utf8')).toBe('odd');
    expect(readFileSync(at('current/.fleetbeat-release'), 'utf8')).toBe(`1\n${sha256Of(one)}\n`);
    expect(readdirSync(at('incoming'))).toEqual([]);
    expect(await seen({})).toBe('1');
  });

  test('that is there is neither sent nor unpacked again', async () => {
    await climb({});
    shell.forget();
    writeFileSync(at('current/touched'), '');
    expect(await climb({})).toBeNull();
    expect(shell.asked(host.address)).toEqual({ runs: 1, puts: 0 });
    expect(existsSync(at('current/touched'))).toBe(true);
  });

  test('of another version comes beside the old one, to which a host is switched back without an upload, nor the file', async () => {
    await climb({});
    await climb({ file: two, version: '2' });
    expect(readFileSync(at('current/bin/app'), 'utf8')).toBe('two');
    expect(readdirSync(at('releases')).toSorted()).toEqual(['1', '2']);
    expect(await seen({})).toBeNull();

    shell.forget();
    expect(await climb({ file: '/gone.tar' })).toBeNull();
    expect(shell.asked(host.address).puts).toBe(0);
    expect(readFileSync(at('current/bin/app'), 'utf8')).toBe('one');
    expect(await seen({})).toBe('1');
  });

  test('leaves as many releases as are kept, those that were switched to last', async () => {
    for (const version of ['1', '2', '3']) await climb({ version, keep: 3 });
    await climb({ version: '1', keep: 3 });
    await climb({ version: '4', keep: 3 });
    expect(readdirSync(at('releases')).toSorted()).toEqual(['1', '3', '4']);
    await climb({ version: '5', keep: 1 });
    expect(readdirSync(at('releases'))).toEqual(['5']);
  });

  test('leaves alone what is no release of ours', async () => {
    mkdirSync(at('releases/mine'), { recursive: true });
    mkdirSync(at('releases/2'));
    await climb({ keep: 1 });
    expect(readdirSync(at('releases')).toSorted()).toEqual(['1', '2', 'mine']);
    expect(await climb({ file: two, version: '2' })).toMatchObject({ code: 'ER0018' });
    expect(readlinkSync(at('current'))).toBe('releases/1');
  });

  test('whose upload was cut goes on with the pieces that have not arrived', async () => {
    const file = makeArchive('big.tar', { blob: randomBytes(9 * 2 ** 20) });
    let left = 2;
    const cutting: Shell = {
      ...shell,
      put: (ip, ...rest) =>
        left-- > 0 ? shell.put(ip, ...rest) : Promise.reject(new FleetError('ER0220', 'cut', { retryable: true })),
    };
    await climb({});
    shell.forget();
    expect(await climb({ file, version: '9' }, cutting)).toMatchObject({ code: 'ER0220' });
    expect(shell.asked(host.address).puts).toBe(2);
    expect(await seen({})).toBe('1');

    shell.forget();
    expect(await climb({ file, version: '9' })).toBeNull();
    expect(shell.asked(host.address).puts).toBe(1);
    expect(await seen({ version: '9' })).toBe('9');
  });

  test('that did not arrive as it was sent is never switched to, and sent anew', async () => {
    await climb({});
    const damaging: Shell = {
      ...shell,
      put: (ip, path, bytes, ...rest) => shell.put(ip, path, Uint8Array.from(bytes).fill(7, 100, 101), ...rest),
    };
    expect(await climb({ file: two, version: '2' }, damaging)).toMatchObject({
      code: 'ER0271',
      message: expect.stringContaining(sha256Of(two)),
    });
    expect(await seen({})).toBe('1');
    expect(await climb({ file: two, version: '2' })).toBeNull();
    expect(await seen({ version: '2' })).toBe('2');
  });

  test('with another checksum than the configured one is not sent', async () => {
    expect(await climb({ sha256: 'a'.repeat(64) })).toMatchObject({ code: 'ER0230' });
    expect(shell.asked(host.address).puts).toBe(0);
    expect(await climb({ sha256: sha256Of(one).toUpperCase() })).toBeNull();
  });

  test('that a host has under this version with another checksum than the configured one is not switched to', async () => {
    await climb({ version: '2' });
    await climb({});
    expect(await climb({ file: two, version: '2', sha256: sha256Of(two) })).toMatchObject({ code: 'ER0271' });
    expect(await seen({})).toBe('1');
  });

  test('that cannot be read is told as such', async () => {
    expect(await climb({ file: '/no/such.tar' })).toMatchObject({ code: 'ER0230', message: expect.stringContaining('ENOENT') });
  });

  test('may be given as bytes', async () => {
    expect(await climb({ file: () => readFileSync(two) })).toBeNull();
    expect(readFileSync(at('current/bin/app'), 'utf8')).toBe('two');
  });

  test('is no archive, or one that ends early: the old version stays', async () => {
    await climb({});
    expect(await climb({ file: () => randomBytes(3000), version: '2' })).toMatchObject({ code: 'ER0018' });
    expect(await climb({ file: () => readFileSync(one).subarray(0, -60), version: '2' })).toMatchObject({ code: 'ER0018' });
    expect(await seen({})).toBe('1');
    expect(readdirSync(at('releases'))).toEqual(['1']);
  });

  test('is prepared by its argv before it is switched to, and not switched to where that fails', async () => {
    await climb({});
    const words = ['sh', '-c', 'cat bin/app >seen; [ "$1" = "$(readlink ../../current)" ]', 'sh'];
    expect(await climb({ version: '2', file: two, argv: [...words, 'elsewhere'] })).toMatchObject({ code: 'ER0018' });
    expect(await seen({})).toBe('1');
    expect(await climb({ version: '2', file: two, argv: [...words, 'releases/1'] })).toBeNull();
    expect(readFileSync(at('current/seen'), 'utf8')).toBe('two');
  });

  test('whose unpacking was killed is not the current one, and is unpacked anew', async () => {
    await climb({});
    const killed = { version: '2', file: two, argv: ['sh', '-c', 'kill -KILL "$PPID"'] };
    expect(await climb(killed)).toMatchObject({ code: 'ER0018' });
    expect(await seen({})).toBe('1');
    expect(await climb({ ...killed, argv: [] })).toBeNull();
    expect(readdirSync(at('releases')).toSorted()).toEqual(['1', '2']);
  });

  test('is brought to a host once, whoever asks meanwhile', async () => {
    const driver = open({});
    const calls = [bootstrapOf(host.address, 'a'), bootstrapOf(host.address, 'b'), bootstrapOf(host.address, 'a')];
    expect(await driver.perform(calls, never)).toEqual([null, null, null]);
    expect(shell.asked(host.address).puts).toBe(1);
  });

  describe.runIf(process.getuid?.() === 0 || process.env.CI !== undefined)('on a full disk (root makes one)', () => {
    beforeEach(() => ask(full, 'rm -rf ~/app/*; rm -f ~/app/.current.part'));

    test('that has no room for it is not sent, and the old version stays', async () => {
      expect(await climb({}, shell, full)).toBeNull();
      shell.forget();
      const file = makeArchive('big.tar', { blob: randomBytes(4 * 2 ** 20) });
      expect(await climb({ file, version: '2' }, shell, full)).toMatchObject({
        code: 'ER0270',
        message: expect.stringMatching(/has \d+ bytes left, the artefact needs \d+$/),
      });
      expect(shell.asked(full.address).puts).toBe(0);
      expect(await seen({}, full)).toBe('1');
    });

    test('that fills while it is unpacked keeps nothing of it, and the old version stays', async () => {
      await climb({}, shell, full);
      const file = makeArchive('zeros.tar.gz', { blob: new Uint8Array(20 * 2 ** 20) });
      expect(await climb({ file, version: '2' }, shell, full)).toMatchObject({
        code: 'ER0270',
        message: expect.stringContaining('No space left on device'),
      });
      expect(await seen({}, full)).toBe('1');
      expect(await ask(full, 'ls -A ~/app/incoming; ls -A ~/app/releases')).toBe('1');
    });

    test('that fills while it is sent keeps nothing of it', async () => {
      await climb({}, shell, full);
      const file = makeArchive('big.tar', { blob: randomBytes(2 * 2 ** 20) });
      const filling: Shell = {
        ...shell,
        async put(ip, path, bytes, mode, signal) {
          await ask(full, 'head -c 10000000 /dev/zero >~/app/filler 2>/dev/null');
          await shell.put(ip, path, bytes, mode, signal);
        },
      };
      expect(await climb({ file, version: '2' }, filling, full)).toMatchObject({ code: 'ER0270' });
      expect(await ask(full, 'ls -A ~/app/incoming')).toBe('');
      expect(await seen({}, full)).toBe('1');
    });
  });
});
