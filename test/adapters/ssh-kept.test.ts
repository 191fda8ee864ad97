import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { type SshShell, ssh } from 'fleetbeat/adapters/ssh';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requestOf } from '../../adapters/ssh/kept-channels.ts';
import { quote } from '../../adapters/ssh/quote.ts';
import { type Ip, parseIp } from '../../src/domain/identity.ts';
import { isThorough } from '../properties/runs.ts';
import { loopback, makeSshKey, requires, type SshdOptions, type SshdServer, startSshd } from '../support/servers.ts';

const { signal } = new AbortController();

test('of a request that was cut off anywhere, nothing is run', () => {
  const canary = join(mkdtempSync(join(tmpdir(), 'fleetbeat-cut-')), 'canary');
  const request = requestOf(quote(['sh', '-c', 'touch "$1"\n', 'sh', canary, 'a\nb;', `it's`]), 'mark');
  for (let length = 0; length < request.length - 1; length += isThorough ? 1 : 7) {
    // From where the braces are closed, what is left out is only the answer.
    if (request.slice(0, length).includes('} 3>&1')) break;
    spawnSync('sh', { input: request.slice(0, length) });
    expect(existsSync(canary), request.slice(0, length)).toBe(false);
  }
  execFileSync('sh', { input: request });
  expect(existsSync(canary)).toBe(true);
});

requires('sshd')('a command that only looks', () => {
  const user = makeSshKey();
  const hosts: SshdServer[] = [];
  const shells: SshShell[] = [];
  const start = async (options: Partial<SshdOptions> = {}) => {
    const host = await startSshd({ address: loopback(hosts.length + 1), authorizedKeys: [user.publicKey], ...options });
    hosts.push(host);
    return host;
  };
  afterAll(async () => {
    await Promise.all(shells.map((shell) => shell.close()));
    await Promise.all(hosts.map((host) => host.stop()));
  });

  function open({ address, port, username, knownHostsLine }: SshdServer) {
    const shell = ssh({ username, privateKey: user.privateKey, port, knownHosts: knownHostsLine(), silentMs: 1000 });
    shells.push(shell);
    const ip = parseIp(address) as Ip;
    return {
      shell,
      look: (argv: readonly string[], deadlineMs = 10_000) => shell.run(ip, argv, { deadlineMs, onlyLooks: true }, signal),
      run: (argv: readonly string[]) => shell.run(ip, argv, { deadlineMs: 10_000 }, signal),
    };
  }
  /** The pid of the shell that was kept, and its words: above the command there may be a copy of it. */
  const PARENT = [
    'sh',
    '-c',
    `words() { tr '\\0' ' ' <"/proc/$1/cmdline"; }
    kept=$PPID
    while read -r _ _ _ up _ <"/proc/$kept/stat"; [ "$(words "$up")" = 'sh ' ]; do kept=$up; done
    echo "$kept $(words "$kept")"`,
  ];

  describe.each(['sh', 'bash'])('in a host whose sh is %s', (program) => {
    let host: SshdServer;
    beforeAll(async () => {
      const bin = mkdtempSync(join(tmpdir(), 'fleetbeat-sh-'));
      if (program !== 'sh') symlinkSync(`/bin/${program}`, join(bin, 'sh'));
      host = await start({ env: { PATH: `${bin}:/usr/bin:/bin` } });
    });

    test('says the same as one that has a channel to itself, whatever its words are', async () => {
      const { look, run } = open(host);
      const word = fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string({
          unit: fc.constantFrom("'", '"', '\\', '$', '`', '\n', ' ', '*', ';', '&', '|', '#', '(', ')', '}', '\u0081'),
        }),
      );
      const words = fc.array(
        word.map((text) => text.replaceAll('\0', '')),
        { maxLength: 5 },
      );
      await fc.assert(
        fc.asyncProperty(words, fc.nat(255), async (given, exit) => {
          const argv = ['sh', '-c', 'printf "%s|" "$@"; printf "%s|" "$@" >&2; exit "$0"', String(exit), ...given];
          expect(await look(argv)).toEqual(await run(argv));
        }),
        { numRuns: isThorough ? 100 : 8 },
      );
    });

    test('is run in a shell that was kept, one after the other', async () => {
      const { look } = open(host);
      const first = await look(PARENT);
      expect(first.stdout).toMatch(/^\d+ sh \n$/);
      for (let i = 0; i < 5; i++) expect(await look(PARENT)).toEqual(first);
    });

    test('leaves nothing behind it in that shell', async () => {
      const { look } = open(host);
      const first = await look(PARENT);
      const here = await look(['pwd']);
      for (const argv of [['cd', '/'], ['exit', '7'], ['exec', 'true'], ['set', '-eu'], ['trap', 'echo x', 'EXIT'], ['no such']])
        await look(argv);
      expect(await look(['exit', '7'])).toMatchObject({ exit: 7 });
      expect(await look(['pwd'])).toEqual(here);
      expect(await look(PARENT)).toEqual(first);
    });
  });

  test('does not wait for another one, however many there are', async () => {
    const { look } = open(await start());
    await look(['true']);
    let isOver = false;
    const slow = Promise.all([look(['sleep', '3']), look(['sleep', '3'])]).finally(() => {
      isOver = true;
    });
    const texts = await Promise.all(Array.from({ length: 20 }, async (_, i) => (await look(['echo', String(i)])).stdout));
    expect(texts).toEqual(Array.from({ length: 20 }, (_, i) => `${i}\n`));
    expect(isOver).toBe(false);
    await slow;
  });

  test('that hangs ends at its deadline, and the next one is answered', async () => {
    const { look } = open(await start());
    await look(['true']);
    await expect(look(['sleep', '60'], 200)).rejects.toMatchObject({ code: 'ER0212' });
    expect(await look(['echo', 'again'])).toMatchObject({ stdout: 'again\n' });
  });

  test('writes up to a mebibyte on one stream', async () => {
    const { look } = open(await start());
    const write = (bytes: number) => look(['sh', '-c', 'head -c "$0" /dev/zero', String(bytes)]);
    expect((await write(2 ** 20)).stdout).toHaveLength(2 ** 20);
    await expect(write(2 ** 20 + 1)).rejects.toMatchObject({ code: 'ER0223' });
    expect((await write(1)).exit).toBe(0);
  });

  test('whose kept shell was killed is run again in another way', async () => {
    const { look } = open(await start());
    const [kept = ''] = (await look(PARENT)).stdout.split(' ');
    expect(await look(['sh', '-c', 'kill -KILL "$0" 2>/dev/null; echo here', kept])).toMatchObject({ stdout: 'here\n' });
    expect(await look(['echo', 'again'])).toMatchObject({ stdout: 'again\n' });
  });

  test('during which the host goes away ends as ssh does there then, and not as something that was perhaps done', async () => {
    const host = await start();
    const { look } = open(host);
    await look(['true']);
    const begun = join(mkdtempSync(join(tmpdir(), 'fleetbeat-begun-')), 'begun');
    const looking = look(['sh', '-c', 'touch "$1"; sleep 60', 'sh', begun]).catch((error: unknown) => error);
    await expect.poll(() => existsSync(begun)).toBe(true);
    await host.stop();
    expect(await looking).toMatchObject({ code: 'ER0240' });
  });

  test('is run also where a host runs something else in place of a kept shell', async () => {
    const { look } = open(
      await start({
        config: [`ForceCommand case $SSH_ORIGINAL_COMMAND in "exec sh") echo no ;; *) eval "$SSH_ORIGINAL_COMMAND" ;; esac`],
      }),
    );
    for (let i = 0; i < 3; i++) expect(await look(['echo', 'yes'])).toEqual({ exit: 0, stdout: 'yes\n', stderr: '' });
  });

  test('keeps no process alive that has nothing else to do', () => {
    const host = hosts[0];
    if (!host) throw new Error('no host');
    const program = `
      import { ssh } from ${JSON.stringify(new URL('../../adapters/ssh.ts', import.meta.url).href)};
      const { options, ip } = JSON.parse(process.env.GIVEN);
      const { signal } = new AbortController();
      const { stdout } = await ssh(options).run(ip, ['echo', 'seen'], { deadlineMs: 9000, onlyLooks: true }, signal);
      process.stdout.write(stdout);`;
    const options = { username: host.username, privateKey: user.privateKey, port: host.port, knownHosts: host.knownHostsLine() };
    const given = { env: { ...process.env, GIVEN: JSON.stringify({ options, ip: host.address }) }, timeout: 20_000 };
    const text = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], given);
    expect(String(text)).toBe('seen\n');
  });
});
