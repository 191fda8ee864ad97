import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { local } from 'fleetbeat/adapters/local';
import { type SshShell, ssh } from 'fleetbeat/adapters/ssh';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { defineServiceKind, type Permit, type Shell } from '../../src/contracts.ts';
import { asToken, type Ip, parseIp } from '../../src/domain/identity.ts';
import { type FenceOptions, fencedShell } from '../../src/drivers/fenced-shell.ts';
import { overShell } from '../../src/drivers/over-shell.ts';
import { probed } from '../../src/drivers/probed.ts';
import { loopback, makeSshKey, requires, type SshdServer, startSshd } from '../support/servers.ts';

const never = new AbortController().signal;
const FIVE_SECONDS = { deadlineMs: 5000 };

function asIp(text: string): Ip {
  const ip = parseIp(text);
  if (!ip) throw new TypeError(text);
  return ip;
}

const permitOf = (fence: number): Permit => ({ token: asToken(`t-${fence}`), fence, valid: () => true });

requires('sshd')('a host with a fence', () => {
  const user = makeSshKey();
  let host: SshdServer;
  let ip: Ip;
  let shell: SshShell;
  let folder: string;
  let log: string;
  beforeAll(async () => {
    host = await startSshd({ address: loopback(1), authorizedKeys: [user.publicKey] });
    ip = asIp(host.address);
    const { username, port } = host;
    shell = ssh({ username, privateKey: user.privateKey, port, knownHosts: host.knownHostsLine() });
  });
  afterAll(async () => {
    await shell.close();
    await host.stop();
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'fleetbeat-fence-'));
    log = join(folder, 'log');
    return () => rmSync(folder, { recursive: true });
  });

  /** The shell of an effect under a fence. */
  const under = (fence: number, options: FenceOptions = {}, base: Shell = shell) =>
    fencedShell(base, permitOf(fence), { folder: join(folder, 'fences'), ...options });
  const written = () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []);
  const write = (effects: Shell, text: string, options = FIVE_SECONDS) =>
    effects.run(ip, ['sh', '-c', 'echo "$1" >>"$2"', 'sh', text, log], options, never);
  /** Writes that it has begun, and that it ends once it is let go. */
  const begin = (effects: Shell, text: string) => {
    const gate = join(folder, `gate-${text}`);
    const script = 'echo "$1 begins" >>"$2"; until [ -e "$3" ]; do sleep 0.02; done; echo "$1 ends" >>"$2"';
    const ended = effects.run(ip, ['sh', '-c', script, 'sh', text, log, gate], FIVE_SECONDS, never);
    return { ended, letGo: () => writeFileSync(gate, '') };
  };
  const hasWritten = (line: string) => expect.poll(written, { timeout: 5000, interval: 10 }).toContain(line);
  const hasSeen = (fence: number) =>
    expect
      .poll(() => existsSync(fileOf('fence')) && readFileSync(fileOf('fence'), 'utf8'), { timeout: 5000, interval: 10 })
      .toBe(`${fence}\n`);
  const fileOf = (name: string) => join(folder, 'fences', 'default', name);

  test('refuses a command of an older leader once a newer one has acted, for good', async () => {
    await write(under(2), 'older');
    await write(under(7), 'newer');
    await expect(write(under(2), 'late')).rejects.toMatchObject({
      code: 'ER0211',
      retryable: false,
      message: expect.stringMatching(/fence 7, ours is 2/),
    });
    await write(under(7), 'newer again');
    await write(under(10), 'newest');
    expect(written()).toEqual(['older', 'newer', 'newer again', 'newest']);
  });

  test('gives a command its words and its input as they are, and its result back', async () => {
    const words = ['sh', '-c', 'cat; echo "$0 $*" >&2; exit 120', 'a  b', "$HOME 'x'", '', '*'];
    const result = await under(1).run(ip, words, { ...FIVE_SECONDS, stdin: 'one\n\0two' }, never);
    expect(result).toEqual({ exit: 120, stdout: 'one\n\0two', stderr: "a  b $HOME 'x'  *\n" });
    const { stdout } = await shell.run(ip, ['sh', '-c', 'umask'], FIVE_SECONDS, never);
    expect(await under(1).run(ip, ['sh', '-c', 'umask'], FIVE_SECONDS, never)).toMatchObject({ stdout });
  });

  test('keeps the fences of each fleet apart, in the home of its user unless it is told another folder', async () => {
    await write(under(9, { fleet: 'shop' }), 'shop');
    await write(under(1, { fleet: 'bank' }), 'bank');
    expect(written()).toEqual(['shop', 'bank']);
    await fencedShell(shell, permitOf(3), { fleet: 'shop' }).run(ip, ['true'], FIVE_SECONDS, never);
    expect(readFileSync(join(host.home, '.fleetbeat/fences/shop/fence'), 'utf8')).toBe('3\n');
  });

  test('lets what one leader begins run side by side', async () => {
    const [one, two] = [begin(under(1), 'one'), begin(under(1), 'two')];
    await hasWritten('one begins');
    await hasWritten('two begins');
    one.letGo();
    two.letGo();
    await Promise.all([one.ended, two.ended]);
  });

  test('shuts an older leader out at once, and lets it end what it has begun before a newer one begins', async () => {
    const older = begin(under(1), 'older');
    await hasWritten('older begins');
    const newer = [write(under(2), 'newer'), write(under(2), 'newer')];
    await hasSeen(2);
    await expect(write(under(1), 'late')).rejects.toMatchObject({ code: 'ER0211' });
    older.letGo();
    await Promise.all([older.ended, ...newer]);
    expect(written()).toEqual(['older begins', 'older ends', 'newer', 'newer']);
  });

  test('does not begin what had to wait for half of its time, and says for whom', async () => {
    const older = begin(under(1), 'older');
    await hasWritten('older begins');
    const newer = write(under(2), 'newer', { deadlineMs: 600 });
    await expect(newer).rejects.toMatchObject({ code: 'ER0212', retryable: true, message: expect.stringContaining('fence 1') });
    older.letGo();
    await older.ended;
    expect(written()).toEqual(['older begins', 'older ends']);
    expect(await write(under(2), 'newer')).toMatchObject({ exit: 0 });
  });

  test('waits for nobody that a command has left behind', async () => {
    const daemon = 'sleep 60 >/dev/null 2>&1 & echo $!';
    const { stdout } = await under(1).run(ip, ['sh', '-c', daemon], FIVE_SECONDS, never);
    await write(under(2), 'newer', { deadlineMs: 1000 });
    process.kill(Number(stdout));
    expect(written()).toEqual(['newer']);
  });

  test('waits for nobody who has died', async () => {
    const caller = new AbortController();
    const script = 'echo "$PPID $$" >"$1"; exec sleep 60';
    const command = under(1).run(ip, ['sh', '-c', script, 'sh', log], FIVE_SECONDS, caller.signal);
    await expect.poll(() => written().length, { timeout: 5000, interval: 10 }).toBe(1);
    for (const pid of written().join().split(' ')) process.kill(Number(pid), 'SIGKILL');
    await write(under(2), 'newer', { deadlineMs: 1000 });
    expect(written()).toContain('newer');
    caller.abort();
    await Promise.allSettled([command]);
  });

  test('goes on from where it was after an end in the middle of a write', async () => {
    await write(under(4), 'four');
    writeFileSync(fileOf('fence.part'), '99');
    await write(under(5), 'five');
    await expect(write(under(4), 'late')).rejects.toMatchObject({ code: 'ER0211' });
    expect(written()).toEqual(['four', 'five']);
  });

  test('refuses everybody while its fence cannot be read, and keeps it as it is', async () => {
    mkdirSync(join(folder, 'fences', 'default'), { recursive: true });
    writeFileSync(fileOf('fence'), 'seven\n');
    await expect(write(under(8), 'eight')).rejects.toMatchObject({ code: 'ER0018', message: expect.stringContaining('damaged') });
    expect(readFileSync(fileOf('fence'), 'utf8')).toBe('seven\n');
    expect(written()).toEqual([]);
  });

  test('says where its fence cannot be written', async () => {
    writeFileSync(join(folder, 'fences'), '');
    await expect(write(under(1), 'one')).rejects.toMatchObject({ code: 'ER0018', message: expect.stringContaining('fences') });
    expect(written()).toEqual([]);
  });

  test('says so where that is for want of room', async () => {
    const stderr = "mkdir: cannot create directory '/root/.fleetbeat': No space left on device\nfleetbeat-fence unusable\n";
    const full: Shell = { ...shell, run: async () => ({ exit: 120, stdout: '', stderr }) };
    await expect(write(under(1, {}, full), 'one')).rejects.toMatchObject({ code: 'ER0270', retryable: true });
  });

  test('needs flock, and says so', async () => {
    const programs = join(folder, 'programs');
    mkdirSync(programs);
    for (const name of ['sh', 'mkdir', 'cat', 'sleep']) symlinkSync(`/bin/${name}`, join(programs, name));
    const bare: Shell = {
      ...shell,
      run: (at, argv, options, signal) => shell.run(at, ['env', `PATH=${programs}`, ...argv], options, signal),
    };
    await expect(write(under(1, {}, bare), 'one')).rejects.toMatchObject({
      code: 'ER0231',
      message: expect.stringContaining('util-linux'),
    });
    expect(written()).toEqual([]);
  });

  describe('that is given a file', () => {
    const bytes = new Uint8Array([0, 255, 10, 128]);
    const put = (fence: number, path = join(folder, 'etc', 'file')) => under(fence).put(ip, path, bytes, 0o640, never);
    beforeEach(() => mkdirSync(join(folder, 'etc')));

    test('has it whole', async () => {
      await put(1);
      expect(readdirSync(join(folder, 'etc'))).toEqual(['file']);
      expect([...readFileSync(join(folder, 'etc', 'file'))]).toEqual([...bytes]);
    });

    test('refuses it from an older leader, and nothing of it stays', async () => {
      await write(under(2), 'newer');
      await expect(put(1)).rejects.toMatchObject({ code: 'ER0211' });
      expect(readdirSync(join(folder, 'etc'))).toEqual([]);
    });

    test('does not move it into a folder of its name', async () => {
      mkdirSync(join(folder, 'etc', 'file'));
      await expect(put(1)).rejects.toMatchObject({ code: 'ER0018' });
      expect(readdirSync(join(folder, 'etc'))).toEqual(['file']);
      expect(readdirSync(join(folder, 'etc', 'file'))).toEqual([]);
    });
  });

  describe('that drivers act on', () => {
    const fence = () => ({ folder: join(folder, 'fences') });
    const argv = (text: string) => ['sh', '-c', 'echo "$1" >>"$2"', 'sh', text, log];

    test('refuses the bootstrap of an older leader', async () => {
      await write(under(2), 'newer');
      const binaries = { argv: argv('binaries'), marker: join(folder, 'marker') };
      const driver = probed(local({ instances: [{ ip }] }), shell, { bootstrap: { binaries }, fence: fence() });
      const call = { do: { level: 'instances', subject: { ip }, verb: 'bootstrap' } } as const;
      const climb = (term: number) => driver.perform([{ call, permit: permitOf(term) }], never);
      expect(await climb(1)).toMatchObject([{ code: 'ER0211' }]);
      expect(written()).toEqual(['newer']);
      expect(await climb(2)).toEqual([null]);
      expect(written()).toEqual(['newer', 'binaries']);
    });

    test('refuses the step of an older leader, and is probed all the same', async () => {
      const kind = defineServiceKind({
        mode: 'toy',
        host: 'ssh-up',
        ladder: ['up'],
        settings: () => ({}),
        probe: async ({ name }, over) => {
          const { stdout } = await over.run(ip, ['cat', log], FIVE_SECONDS, never);
          return { name, readAt: 0 as never, code: '000000', holds: {}, reason: stdout };
        },
        steps: {
          up: async (_, over) => {
            await over.run(ip, argv('up'), FIVE_SECONDS, never);
          },
        },
      });
      const driver = overShell([kind], shell, { fence: fence() });
      driver.bind?.([{ name: 'a', ip, mode: 'toy', status: 'standalone', settings: {} }]);
      const call = { do: { level: 'services', name: 'a', verb: 'start' } } as const;
      const start = (term: number) => driver.perform([{ call, permit: permitOf(term) }], never);
      await write(under(2), 'newer');
      expect(await start(1)).toMatchObject([{ code: 'ER0211' }]);
      expect(await start(2)).toEqual([null]);
      expect(written()).toEqual(['newer', 'up']);
      expect(await driver.observe({ now: 0 as never, maxAgeMs: 0 }, never)).toMatchObject({ items: [{ reason: 'newer\nup\n' }] });
    });
  });
});

describe('a fenced shell', () => {
  const nowhere: Shell = {
    reachable: async () => 'up',
    run: () => Promise.reject(new Error('run')),
    put: () => Promise.reject(new Error('put')),
  };

  test.each<FenceOptions>([{ fleet: '../up' }, { fleet: '' }, { folder: 'fences' }, { folder: '/' }, { folder: '/a/../b' }])(
    'is not made of %j',
    (options) => {
      expect(() => fencedShell(nowhere, permitOf(1), options)).toThrow(expect.objectContaining({ code: 'ER0230' }));
      expect(() => overShell([], nowhere, { fence: options })).toThrow(expect.objectContaining({ code: 'ER0230' }));
      expect(() => probed(local({ instances: [] }), nowhere, { fence: options })).toThrow(
        expect.objectContaining({ code: 'ER0230' }),
      );
    },
  );

  test.each([-1, 1.5, Number.NaN])('has no fence %d', (fence) => {
    expect(() => fencedShell(nowhere, permitOf(fence))).toThrow(expect.objectContaining({ code: 'ER0222' }));
  });

  test('asks whether ssh answers as the shell that it is made of does', async () => {
    expect(await fencedShell(nowhere, permitOf(1)).reachable(asIp('10.0.0.1'), never)).toBe('up');
  });
});
