import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { probed } from 'fleetbeat';
import { local } from 'fleetbeat/adapters/local';
import { type SshShell, ssh } from 'fleetbeat/adapters/ssh';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PermittedCall, Shell } from '../../src/contracts.ts';
import { asInstant, asToken, type Ip, parseIp } from '../../src/domain/identity.ts';
import { AGENT, START } from '../../src/drivers/bootstrap/agent-scripts.ts';
import type { BootstrapOptions, Unit } from '../../src/drivers/bootstrap.ts';
import { startedAt } from '../support/process-table.ts';
import { loopback, makeSshKey, requires, type SshdServer, startSshd } from '../support/servers.ts';
import { hasSystemd, startSystemd } from '../support/systemd-machine.ts';

const never = new AbortController().signal;

function bootstrapOf(ip: string): PermittedCall {
  return {
    call: { do: { level: 'instances', subject: { ip: parseIp(ip) as Ip }, verb: 'bootstrap', upTo: 'managed' } },
    permit: { token: asToken(`t-${Math.random()}`), fence: 1, valid: () => true },
  };
}

const ofUnit = (unit: Unit): BootstrapOptions => ({ agent: { unit } });

test.each<[string, Partial<Unit>]>([
  ['a relative folder', { to: 'agent' }],
  ['a folder with a blank', { to: '/var/lib/the agent' }],
  ['a folder that leads elsewhere', { to: '~/../agent' }],
  ['half a second', { everyMs: 500 }],
  ['an argv without a program', { argv: [''] }],
  ['an argv of several lines', { argv: ['sh', '-c', 'a\nb'] }],
])('the unit of an agent is not made of %s', (_, wrong) => {
  const bootstrap = ofUnit({ to: '~/agent', ...wrong });
  expect(() => probed(local({ instances: [] }), {} as Shell, { bootstrap })).toThrow(expect.objectContaining({ code: 'ER0230' }));
});

/** The pid that an agent of a folder has told last. */
const pidOf = (folder: string): number => Number(readFileSync(join(folder, 'pid'), 'utf8').split(' ')[0]);

const isAlive = (pid: number): boolean => startedAt(pid) !== null;

const endAgent = (folder: string): void => {
  if (!existsSync(join(folder, 'pid'))) return;
  const pid = pidOf(folder);
  if (isAlive(pid)) process.kill(pid, 'SIGTERM');
};

requires('sshd')('an agent', () => {
  const user = makeSshKey();
  const folders: string[] = [];
  let host: SshdServer;
  let shell: SshShell;
  beforeAll(async () => {
    host = await startSshd({ address: loopback(1), authorizedKeys: [user.publicKey] });
    shell = ssh({ username: host.username, privateKey: user.privateKey, port: host.port, knownHosts: host.knownHostsLine() });
  });
  afterAll(async () => {
    for (const folder of folders) endAgent(folder);
    await shell.close();
    await host.stop();
  });

  /** A folder of its own, and a driver whose hosts are to have an agent in it. */
  function agent(name: string, more: Partial<Unit> = {}) {
    const folder = join(host.home, name);
    folders.push(folder);
    const driver = probed(local({ instances: [{ ip: host.address }] }), shell, {
      bootstrap: ofUnit({ to: `~/${name}`, everyMs: 1000, ...more }),
    });
    return {
      folder,
      climb: async () => (await driver.perform([bootstrapOf(host.address)], never))[0] ?? null,
      runs: async () => (await driver.observe({ now: asInstant(1), maxAgeMs: 0 }, never)).items[0]?.agent,
    };
  }

  test.concurrent('runs once it was started, under no other init than its own process, and is seen to', async ({ expect }) => {
    const { folder, climb, runs } = agent('alone');
    expect(await runs()).toBe(false);
    expect(await climb()).toBeNull();
    expect(await runs()).toBe(true);
    const pid = pidOf(folder);
    expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')).toEqual(['sh', join(folder, 'agent'), '']);

    expect(await climb()).toBeNull();
    expect(pidOf(folder)).toBe(pid);
  });

  test.concurrent('that was killed is seen not to run at once, and is started by the next bootstrap', async ({ expect }) => {
    const { folder, climb, runs } = agent('killed');
    await climb();
    const killed = pidOf(folder);
    process.kill(killed, 'SIGKILL');
    await expect.poll(runs).toBe(false);
    expect(await climb()).toBeNull();
    expect(await runs()).toBe(true);
    expect(pidOf(folder)).not.toBe(killed);
  });

  test.concurrent('that hangs is seen not to run three intervals after its last beat, and gives way to a new one', async ({
    expect,
  }) => {
    const { folder, climb, runs } = agent('hanging');
    await climb();
    const hanging = pidOf(folder);
    process.kill(hanging, 'SIGSTOP');
    expect(await runs()).toBe(true);
    await expect.poll(runs).toBe(false);
    expect(await climb()).toBeNull();
    expect(isAlive(hanging)).toBe(false);
    expect(await runs()).toBe(true);
  });

  test.concurrent('of a boot that is over does not run, whatever it has left behind', async ({ expect }) => {
    const { folder, climb, runs } = agent('booted');
    await climb();
    const [version, , ...rest] = readFileSync(join(folder, 'beat'), 'utf8').trim().split(' ');
    process.kill(pidOf(folder), 'SIGSTOP');
    writeFileSync(join(folder, 'beat'), `${[version, 'of-another-boot', ...rest].join(' ')}\n`);
    expect(await runs()).toBe(false);
    process.kill(pidOf(folder), 'SIGKILL');
  });

  test.concurrent('with other words is another version: the old one ends, whichever started last beats', async ({ expect }) => {
    const { folder, climb } = agent('changed');
    await climb();
    const old = pidOf(folder);
    const changed = agent('changed', { everyMs: 2000 });
    expect(await changed.runs()).toBe(false);
    expect(await changed.climb()).toBeNull();
    expect(await changed.runs()).toBe(true);
    expect(isAlive(old)).toBe(false);
  });

  test.concurrent('is started again after the binaries that it runs have changed', async ({ expect }) => {
    const marker = join(host.home, 'marker');
    const driverOf = (version: string) =>
      probed(local({ instances: [{ ip: host.address }] }), shell, {
        bootstrap: { binaries: { argv: ['true'], marker, version }, agent: { unit: { to: '~/beside', everyMs: 1000 } } },
      });
    const folder = join(host.home, 'beside');
    folders.push(folder);
    await driverOf('1').perform([bootstrapOf(host.address)], never);
    const old = pidOf(folder);
    await driverOf('2').perform([bootstrapOf(host.address)], never);
    expect(pidOf(folder)).not.toBe(old);
  });

  test.concurrent('keeps its program running, word for word, and ends it when it ends', async ({ expect }) => {
    const log = join(host.home, 'log');
    const script = `printf '%s\\n' "$1" $$ >>"$0"; exec sleep 1000`;
    const { folder, climb, runs } = agent('keeper', { argv: ['sh', '-c', script, log, `it's "$HOME" $(id)`] });
    expect(await climb()).toBeNull();
    expect(await runs()).toBe(true);
    const [word, first] = readFileSync(log, 'utf8').split('\n');
    expect(word).toBe(`it's "$HOME" $(id)`);

    process.kill(Number(first), 'SIGKILL');
    await expect.poll(() => readFileSync(log, 'utf8').trim().split('\n')).toHaveLength(4);
    const second = Number(readFileSync(log, 'utf8').split('\n')[3]);
    await expect.poll(runs).toBe(true);

    endAgent(folder);
    await expect.poll(() => isAlive(second)).toBe(false);
  });

  test.concurrent('whose program ends at once never beats, and its start says so', async ({ expect }) => {
    const { climb, runs } = agent('failing', { argv: ['false'] });
    expect(await climb()).toMatchObject({ code: 'ER0018', message: expect.stringContaining('does not beat') });
    expect(await runs()).toBe(false);
  });

  test.concurrent('is not wanted by `none`: the rung holds wherever ssh answers', async ({ expect }) => {
    const driver = probed(local({ instances: [{ ip: host.address }] }), shell, { bootstrap: { agent: 'none' } });
    const { items } = await driver.observe({ now: asInstant(1), maxAgeMs: 0 }, never);
    expect(items).toMatchObject([{ binaries: 'none', agent: true }]);
  });
});

const advice = hasSystemd() ? '' : ' (it takes root, cgroups of version 2 and systemd: npm run test:setup)';
describe.runIf(advice === '' || process.env.CI !== undefined)(`a host whose init is systemd${advice}`, () => {
  test('has its agent as a unit, which is started again where it was killed, and with the host', async () => {
    const host = await startSystemd();
    const folder = '/var/lib/fleetbeat';
    const beat = () => host.run(['cat', `${folder}/beat`]).catch(() => '');
    const pid = async () => (await beat()).split(' ')[4] ?? '';
    try {
      await host.run(['sh', '-c', START, 'sh', folder, 'v1', '1', AGENT]);
      expect(await beat()).toMatch(/^v1 /);
      const first = await pid();
      expect(await host.run(['systemctl', 'show', '--property', 'MainPID', 'fleetbeat-agent'])).toBe(`MainPID=${first}\n`);

      await host.run(['kill', '-KILL', first]);
      await expect.poll(pid).not.toBe(first);

      await host.run(['rm', `${folder}/beat`]);
      await host.reboot();
      await expect.poll(beat).toMatch(/^v1 /);

      await host.run(['sh', '-c', START, 'sh', folder, 'v2', '1', AGENT]);
      expect(await beat()).toMatch(/^v2 /);
    } finally {
      await host.stop();
    }
  });
});
