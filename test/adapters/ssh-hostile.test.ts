import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { createFleet, isFleetError, probed } from 'fleetbeat';
import { local } from 'fleetbeat/adapters/local';
import { memory } from 'fleetbeat/adapters/memory';
import { memcache } from 'fleetbeat/adapters/services/memcache';
import { type SshShell, ssh } from 'fleetbeat/adapters/ssh';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { PermittedCall } from '../../src/contracts.ts';
import { asInstant, asToken, type Ip, isName, parseIp } from '../../src/domain/identity.ts';
import { inParallel } from '../../src/domain/in-parallel.ts';
import type { BootstrapOptions } from '../../src/drivers/bootstrap.ts';
import { isThorough, PATIENCE_MS } from '../properties/runs.ts';
import { serverFolder } from '../support/run-folder.ts';
import { loopback, makeSshKey, requires, type SshdServer, startSshd } from '../support/servers.ts';

/** How many names, paths, passwords, ips and versions are tried. */
const COUNT = isThorough ? 2000 : 100;
const BATCH = 50;
const never = new AbortController().signal;

/** A program that leaves a trace, in every way in which a shell may be made to run it. */
const CALL = fc.constantFrom(
  'canary',
  '$(canary)',
  '`canary`',
  '; canary;',
  '| canary',
  '& canary &',
  '&& canary #',
  '\ncanary\n',
  "'; canary; '",
  '"; canary; "',
  "'$(canary)'",
  "\\'; canary; \\'",
  `$\{IFS}$(canary)`,
  '$((`canary`))',
  ')\ncanary\n(',
  '}; canary; {',
  '<(canary)',
  '-oProxyCommand=canary',
  '--checkpoint-action=exec=canary',
  '-exec canary ;',
  '\u0000canary',
  '\r\ncanary\r\n',
);
const SPICE = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom(
    '',
    "'",
    '"',
    '\\',
    '\n',
    '../../',
    '~/',
    '-rf ',
    '*',
    '\u001b[2J',
    '\u0007',
    '\u202e',
    '\u009b31m',
    '%n%s',
    '10.0.0.1',
    'a\u0000b',
  ),
);
const hostile = fc.tuple(SPICE, CALL, SPICE).map((parts) => parts.join(''));
const samples = fc.sample(hostile, COUNT);
/** Some of them, for what takes several commands each. */
const some = samples.slice(0, 40);
const batches = Array.from({ length: Math.ceil(COUNT / BATCH) }, (_, i) => samples.slice(i * BATCH, (i + 1) * BATCH));

/** A machine that is busy with other tests answers late. */
const PATIENT = { deadlineMs: 60_000, totalMs: 60_000 };

/** What no terminal and no log would obey, in one line. */
const SAFE = /^[^\p{Cc}\p{Cf}\u2028\u2029]*$/u;

async function refusalOf(work: () => unknown): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (error) {
    if (!isFleetError(error)) throw error;
    expect(error.message).toMatch(SAFE);
    expect(error.detail).toMatch(SAFE);
    return error.code;
  }
}

function bootstrapOf(ip: string): PermittedCall {
  return {
    call: { do: { level: 'instances', subject: { ip: parseIp(ip) as Ip }, verb: 'bootstrap' } },
    permit: { token: asToken(`t-${Math.random()}`), fence: 1, valid: () => true },
  };
}

requires('sshd')(`of ${COUNT} hostile words`, () => {
  vi.setConfig({ testTimeout: PATIENCE_MS });
  const user = makeSshKey();
  let host: SshdServer;
  let shell: SshShell;
  let ip: Ip;
  let trace: string;
  beforeAll(async () => {
    const folder = serverFolder('canary');
    trace = join(folder, 'trace');
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'bin', 'canary'), `#!/bin/sh\necho sung >>'${trace}'\n`, { mode: 0o755 });
    const address = loopback(1);
    const env = { PATH: `${join(folder, 'bin')}:/usr/bin:/bin` };
    host = await startSshd({ address, authorizedKeys: [user.publicKey], env });
    shell = ssh({ username: host.username, privateKey: user.privateKey, port: host.port, knownHosts: host.knownHostsLine() });
    ip = parseIp(address) as Ip;
  });
  afterAll(async () => {
    await shell.close();
    await host.stop();
  });
  afterEach(() => {
    expect(existsSync(trace)).toBe(false);
  });

  test('one would leave a trace if it were run', async () => {
    await shell.run(ip, ['sh', '-c', '$(canary)'], { deadlineMs: 10_000 }, never);
    expect(readFileSync(trace, 'utf8')).toBe('sung\n');
    rmSync(trace);
  });

  describe.each([{}, { onlyLooks: true }] as const)('in a command with the options %j', (options) => {
    test('each arrives as it is, but for what no argv can carry, which is refused', async () => {
      for (const batch of batches) {
        const run = (words: readonly string[]) =>
          shell.run(ip, ['printf', '%s\\0', ...words], { deadlineMs: 30_000, ...options }, never);
        const possible = batch.filter((word) => !word.includes('\0'));
        const { exit, stdout } = await run(possible);
        expect(exit).toBe(0);
        expect(stdout.split('\0').slice(0, -1)).toEqual(possible);
        for (const word of batch.filter((each) => each.includes('\0'))) expect(await refusalOf(() => run([word]))).toBe('ER0222');
      }
    });
  });

  test('each is no program, and the error says so in one safe line', async () => {
    for (const word of some) {
      let exit: number | undefined;
      const refusal = await refusalOf(async () => {
        ({ exit } = await shell.run(ip, [`no/${word}`], { deadlineMs: 10_000, onlyLooks: true }, never));
      });
      expect(refusal === 'ER0222' || exit !== 0).toBe(true);
    }
  });

  test('each names a file, or is refused', async () => {
    const folder = join(host.home, 'files');
    mkdirSync(folder);
    const named = some.map((word) => word.replaceAll('/', ':'));
    const kept = new Set<string>();
    for (const name of named) {
      const refusal = await refusalOf(() => shell.put(ip, `${folder}/${name}`, Buffer.from('x'), 0o600, never));
      if (refusal === null) kept.add(name);
      else expect(name).toMatch(/\0|^\.{0,2}$/);
    }
    expect(new Set(readdirSync(folder))).toEqual(kept);
  });

  test('each as the marker, version, folder or argv of a rung is refused, or does what it says and no more', async () => {
    const markers = join(host.home, 'markers');
    const driverOf = (bootstrap: BootstrapOptions) =>
      probed(local({ instances: [{ ip }] }), shell, { bootstrap, fence: false, ...PATIENT });
    await inParallel(samples, 8, async (word, index) => {
      const made: readonly BootstrapOptions[] = [
        { binaries: { argv: ['true'], marker: `${markers}/${word}` } },
        { binaries: { argv: ['true'], marker: join(markers, 'm'), version: word } },
        { binaries: { artefact: { file: word, version: word, to: '/opt/app' } } },
        { binaries: { artefact: { file: word, version: '1', to: word } } },
        { binaries: { artefact: { file: word, version: '1', to: '~/app', sha256: word } } },
        { agent: { unit: { to: word } } },
        { agent: { unit: { to: '~/agent', argv: [word] } } },
      ];
      for (const bootstrap of made) {
        if ((await refusalOf(() => driverOf(bootstrap))) === 'ER0230') continue;
        const { items, problems } = await driverOf(bootstrap).observe({ now: asInstant(1), maxAgeMs: 0 }, never);
        expect(items[0]?.ssh).toBe('up');
        for (const { message } of problems) expect(message).toMatch(SAFE);
        if (index >= some.length || 'agent' in bootstrap) continue;
        const [problem] = await driverOf(bootstrap).perform([bootstrapOf(ip)], never);
        if (problem) expect(problem.message).toMatch(SAFE);
      }
    });
  });

  test('each that a host says is told in one safe line', async () => {
    for (const word of some.filter((each) => !each.includes('\0'))) {
      const binaries = { argv: ['sh', '-c', 'printf %s "$1" >&2; exit 1', 'sh', word], marker: '/nowhere/m' };
      const [problem] = await probed(local({ instances: [{ ip }] }), shell, { bootstrap: { binaries }, fence: false }).perform(
        [bootstrapOf(ip)],
        never,
      );
      expect(problem).toMatchObject({ code: 'ER0018', message: expect.stringMatching(SAFE) });
    }
  });

  test('none is an ip, nor the name of an instance, a service, a cluster or a group, and no shell is asked for it', async () => {
    const silent: SshShell = {
      ...shell,
      run: () => Promise.reject(new Error('a shell was asked')),
      put: () => Promise.reject(new Error('a shell was asked')),
    };
    const cloud = () => probed(local({ instances: [{ ip }] }), silent);
    const service = { name: 'one', ip, mode: 'memcache', status: 'master' } as const;
    const make = (more: object) =>
      createFleet({
        drivers: { instances: [cloud()] },
        kinds: [memcache()],
        services: [{ ...service, ...more }],
        store: memory(),
      });
    const fleet = make({});
    for (const word of samples) {
      expect(parseIp(word)).toBeNull();
      expect(await refusalOf(() => local({ instances: [{ ip: word }] }))).toBe('ER0230');
      const names = isName(word) ? [] : [{ name: word }, { cluster: word }];
      for (const more of [{ ip: word }, { mode: word }, ...names])
        expect(await refusalOf(() => make(more)), JSON.stringify(more)).not.toBeNull();
      for (const level of ['instances', 'services'] as const) {
        const reply = await fleet.dispatch({ level, action: 'start', group: word });
        expect([reply.started, reply.deferred]).toEqual([[], []]);
        for (const { message } of reply.rejected) expect(message).toMatch(SAFE);
      }
    }
    await fleet.stop();
  });

  test('none that is a password, given as input, is seen in the list of processes', async () => {
    const passwords = samples.map((word, i) => `${word.replaceAll('\n', ' ')}-${i}-secret`);
    const [reads, goes] = [join(host.home, 'reads'), join(host.home, 'goes')];
    const script = 'head -c "$3" >/dev/null; touch "$1"; while [ ! -e "$2" ]; do sleep 0.05; done; cat | wc -c';
    const stdin = passwords.join('\n');
    const work = shell.run(ip, ['sh', '-c', script, 'sh', reads, goes, '10'], { stdin, deadlineMs: 30_000 }, never);
    await expect.poll(() => existsSync(reads)).toBe(true);
    const seen = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((pid) => ['cmdline', 'environ'].map((file) => readIfThere(`/proc/${pid}/${file}`)));
    expect(seen.filter((text) => /-\d+-secret/.test(text))).toEqual([]);
    writeFileSync(goes, '');
    expect(Number((await work).stdout)).toBeGreaterThan(0);
  });
});

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
