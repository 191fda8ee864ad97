import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type PowerSwitch, powerSwitch } from '../support/power-switch.ts';
import {
  freePort,
  loopback,
  type MemcachedServer,
  makeSshKey,
  requires,
  type SshdServer,
  startMemcached,
  startSshd,
} from '../support/servers.ts';
import { type CliProcess, cli, startCli } from './cli-process.ts';
import { commandLine, documentsIn, folderWith } from './command-line.ts';

/** The service outlives whoever started it over ssh, as it should. @returns its pid, where it ran */
function endServerOf(pidFile: string): string | undefined {
  if (!existsSync(pidFile)) return undefined;
  const pid = readFileSync(pidFile, 'utf8').trim();
  const commandLine = `/proc/${pid}/cmdline`;
  if (existsSync(commandLine) && readFileSync(commandLine, 'utf8').includes(pidFile)) process.kill(Number(pid), 'SIGKILL');
  return pid;
}

requires('memcached')('command lines', () =>
  requires('sshd')('that share a memcached', () => {
    const user = makeSshKey();
    const started: CliProcess[] = [];
    let store: MemcachedServer;
    let sshd: SshdServer;
    let power: PowerSwitch;
    let host: string;
    let cwd: string;

    const start = (args: readonly string[]): CliProcess => {
      const process = startCli(args, { cwd });
      started.push(process);
      return process;
    };

    beforeEach(async () => {
      store = await startMemcached();
      sshd = await startSshd({ address: loopback(1), authorizedKeys: [user.publicKey] });
      power = await powerSwitch(sshd);
      host = mkdtempSync(join(tmpdir(), 'fleetbeat-host-'));
      chmodSync(host, 0o755);
      const rung = (name: string) => ({ argv: ['/bin/true'], marker: join(host, name) });
      cwd = folderWith({
        clouds: {
          rack: {
            driver: 'local',
            active: true,
            instances: [{ id: 'i-1', ip: sshd.address, status: power.status, start: power.start, stop: power.stop }],
          },
        },
        services: [
          {
            name: 'nosql1',
            ip: sshd.address,
            mode: 'memcache',
            status: 'master',
            settings: { port: await freePort(sshd.address), memoryMb: 8, dataDir: join(host, 'nosql1') },
          },
        ],
        store: { driver: 'memcached', servers: store.address },
        ssh: {
          username: sshd.username,
          identityFile: 'id',
          knownHosts: 'known_hosts',
          port: { [sshd.address]: sshd.port },
          connectMs: 500,
          silentMs: 500,
          fence: { fleet: 'shop', folder: join(host, 'fences') },
        },
        bootstrap: { binaries: rung('binaries'), agent: rung('agent') },
        recover: { services: 'all' },
        policy: { leaseMs: 1000, claimMs: 1000, freshMs: 2000, backoffMs: 50, backoffMaxMs: 200, dwellMs: 0, dwellReadings: 1 },
        beatEvery: '100ms',
      });
      writeFileSync(join(cwd, 'id'), user.privateKey, { mode: 0o600 });
      writeFileSync(join(cwd, 'known_hosts'), `${sshd.knownHostsLine()}\n`);
    });

    afterEach(async () => {
      for (const process of started.splice(0)) process.kill('SIGKILL');
      await power.close();
      await sshd.stop();
      await store.stop();
      endServerOf(join(host, 'nosql1', 'memcached.pid'));
      rmSync(host, { recursive: true, force: true });
    });

    test('start a service on a stopped instance, from one process alone, and stop it again', async () => {
      const starting = start(['services', 'start', 'nosql1']);
      await expect.poll(() => power.calls, { timeout: 20_000 }).toContain('start');
      await power.finishBoot();
      const ended = await starting.ended;
      expect(ended).toMatchObject({ exit: 0, stderr: '' });
      expect(documentsIn(ended.stdout)).toMatchObject([{ services: [{ nosql1: { state: 'running', code: '000000' } }] }]);
      expect(readdirSync(join(host, 'fences'), { recursive: true }).join(' ')).toContain('shop');
      const stopped = await cli(['services', 'stop', 'nosql1'], { cwd });
      expect(stopped).toMatchObject({ exit: 0, stdout: expect.stringContaining('"state":"stopped"') });
    }, 60_000);

    test('leave the acting to the daemon: one awaits the outcome beside it, one does not wait for it', async () => {
      const daemon = start(['heartbeat', '--every', '100ms']);
      await daemon.says(/"name":"nosql1"/);
      const unwaited = await cli(['services', 'start', 'nosql1', '--no-wait'], { cwd });
      expect(unwaited.exit).toBe(75);
      expect(documentsIn(unwaited.stdout)).toMatchObject([{ return: { code: 'ER0016' } }]);
      await expect.poll(() => power.calls, { timeout: 20_000 }).toContain('start');

      const awaited = start(['services', 'start', 'nosql1']);
      await power.finishBoot();
      expect(await awaited.ended).toMatchObject({ exit: 0, stdout: expect.stringContaining('"state":"running"') });
      expect(power.calls.filter((call) => call === 'start')).toHaveLength(1);

      const heartbeat = await cli(['instances', 'heartbeat'], { cwd });
      expect(documentsIn(heartbeat.stdout)).toMatchObject([{ services_status: { services: [{ nosql1: {} }] } }]);
      daemon.kill('SIGINT');
      expect(await daemon.ended).toMatchObject({ exit: 0, stderr: '' });
    }, 60_000);

    test('keep what was armed when one is interrupted; a question starts none of it, the next daemon does', async () => {
      const unwaited = await cli(['services', 'start', 'nosql1', '--no-wait'], { cwd });
      expect(unwaited.exit).toBe(75);
      const question = JSON.stringify({ level: 'instances', command: { action: 'actions', group: 'all', type: 'all' } });
      const asked = await cli([], { cwd, input: `${question}\n`.repeat(8) });
      expect(documentsIn(asked.stdout).at(-1)).toMatchObject({ actions: [{ do_action: 'start' }, {}, { do_group: 'nosql1' }] });
      expect(power.calls).toEqual([]);
      const daemon = start(['heartbeat', '--every', '100ms']);
      await expect.poll(() => power.calls, { timeout: 20_000 }).toEqual(['start']);
      await power.finishBoot();
      await daemon.says(/"do_group":"nosql1","do_action":"start"[^\n]*"status":"done"/);
    }, 60_000);

    test('leave it to the daemon to start what was killed: a question recovers nothing', async () => {
      const pidFile = join(host, 'nosql1', 'memcached.pid');
      const starting = start(['services', 'start', 'nosql1']);
      await expect.poll(() => power.calls, { timeout: 20_000 }).toContain('start');
      await power.finishBoot();
      expect(await starting.ended).toMatchObject({ exit: 0, stderr: '' });

      const killed = endServerOf(pidFile);
      await expect.poll(async () => (await commandLine(['services', 'status'], { cwd })).stdout).toContain('"state":"stopped"');
      expect(documentsIn((await commandLine(['instances', 'actions'], { cwd })).stdout)).toEqual([{ actions: [] }]);
      start(['heartbeat', '--every', '100ms']);
      const recovery = async () =>
        documentsIn((await commandLine(['recovery', 'list'], { cwd })).stdout) as [{ recovery: [{ state: string }] }];
      await expect
        .poll(recovery, { timeout: 20_000 })
        .toMatchObject([{ recovery: [{ name: 'nosql1', state: 'well', recoveries: { used: 1, allowed: 5 } }] }]);
      expect(readFileSync(pidFile, 'utf8').trim()).not.toBe(killed);
    }, 60_000);

    test('empty the queue when told so on purpose', async () => {
      await cli(['services', 'start', 'nosql1', '--no-wait'], { cwd });
      expect((await cli(['instances', 'actions_init'], { cwd })).exit).toBe(64);
      expect((await cli(['instances', 'actions_init', '--yes'], { cwd })).exit).toBe(0);
      expect(documentsIn((await cli(['instances', 'actions'], { cwd })).stdout)).toEqual([{ actions: [] }]);
      expect(power.calls).toEqual([]);
    }, 60_000);
  }),
);
