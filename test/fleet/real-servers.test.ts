import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Fleet, View } from 'fleetbeat';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type PowerSwitch, powerSwitch } from '../support/power-switch.ts';
import { type RealFleetOptions, realFleet } from '../support/real-fleet.ts';
import {
  freePort,
  loopback,
  type MemcachedServer,
  makeSshKey,
  requires,
  type SshdServer,
  silentServer,
  startMemcached,
  startSshd,
} from '../support/servers.ts';
import { turns } from '../support/turns.ts';

const FLEET_PROCESS = fileURLToPath(new URL('../support/fleet-process.ts', import.meta.url));

const viewOf = (fleet: Fleet, name: string): View | undefined => fleet.views().find((view) => view.name === name);

/** Beats until `done`, at most so often. */
async function beatUntil(fleet: Fleet, done: () => boolean, most = 2000): Promise<void> {
  for (let i = 0; i < most && !done(); i++) {
    await fleet.beat();
    await turns(1);
  }
  expect(done()).toBe(true);
}

requires('sshd')('a fleet on real servers', () => {
  const user = makeSshKey();
  let store: MemcachedServer;
  let sshd: SshdServer;
  let power: PowerSwitch;
  let folder: string;
  let options: RealFleetOptions;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    store = await startMemcached();
    sshd = await startSshd({ address: loopback(1), authorizedKeys: [user.publicKey] });
    power = await powerSwitch(sshd);
    folder = mkdtempSync(join(tmpdir(), 'fleetbeat-real-'));
    chmodSync(folder, 0o755);
    options = {
      memcached: `127.0.0.1:${store.port}`,
      username: sshd.username,
      privateKey: user.privateKey,
      knownHosts: sshd.knownHostsLine(),
      ports: [[sshd.address, sshd.port]],
      instances: [{ id: 'i-1', ip: sshd.address, status: power.status, start: power.start, stop: power.stop }],
      services: [
        {
          name: 'nosql1',
          ip: sshd.address,
          mode: 'memcache',
          status: 'master',
          settings: { port: await freePort(sshd.address), memoryMb: 8, dataDir: join(folder, 'nosql1') },
        },
      ],
      folder,
    };
  });
  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    await power.close();
    await sshd.stop();
    await store.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('a start of a service on a stopped instance waits, outlives its process, and fires once ssh answers', async () => {
    const file = join(folder, 'options.json');
    writeFileSync(file, JSON.stringify({ ...options, command: { level: 'services', action: 'start', group: 'nosql1' } }));
    const first = spawn(process.execPath, ['--import', 'tsx', FLEET_PROCESS, file], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(first);
    const [line] = await once(createInterface({ input: first.stdout }), 'line');
    expect(JSON.parse(line)).toMatchObject({ code: 'ER0016', rejected: [] });
    await expect.poll(() => power.calls, { timeout: 15_000 }).toEqual(['start']);
    first.kill('SIGKILL');

    const { fleet, shell } = realFleet(options);
    const ended: string[] = [];
    fleet.on('action', (action) => action.status === 'done' && ended.push(action.do.verb));
    await beatUntil(fleet, () => fleet.role === 'leader');
    expect(fleet.actions().map((action) => action.do.verb)).toEqual(['start', 'bootstrap', 'start']);
    await fleet.beat();
    expect(viewOf(fleet, 'i-1')?.state).toBe('pending');
    expect(ended).toEqual([]);

    await power.finishBoot();
    await beatUntil(fleet, () => fleet.actions().length === 0);
    expect(ended).toEqual(['start', 'bootstrap', 'start']);
    expect(power.calls).toEqual(['start']);
    expect(readFileSync(join(folder, 'ran'), 'utf8')).toBe('binaries\nagent\n');
    await fleet.beat();
    expect(viewOf(fleet, 'nosql1')).toMatchObject({ state: 'up', code: '000000' });

    const stopped = await fleet.dispatch({ level: 'services', action: 'stop', group: 'nosql1' });
    expect(stopped.code).toBe('000000');
    await beatUntil(fleet, () => fleet.actions().length === 0);
    expect(viewOf(fleet, 'nosql1')).toMatchObject({ state: 'stopped', code: 'ER0023' });
    await fleet.stop();
    await shell.close();
  });

  test('each way in which ssh fails has its own reason, and none delays the beat past its deadline', async () => {
    const silent = await silentServer({ host: loopback(2) });
    const changed = await startSshd({ address: loopback(3), authorizedKeys: [user.publicKey] });
    const knownBefore = changed.knownHostsLine();
    await changed.rotateHostKey();
    const healthy = await startSshd({ address: loopback(4), authorizedKeys: [user.publicKey] });
    const { fleet, shell } = realFleet({
      ...options,
      knownHosts: [knownBefore, healthy.knownHostsLine()].join('\n'),
      ports: [
        [loopback(2), silent.port],
        [changed.address, changed.port],
        [healthy.address, healthy.port],
        [loopback(5), await freePort(loopback(5))],
      ],
      instances: [2, 3, 4, 5].map((host) => ({ id: `i-${host}`, ip: loopback(host) })),
      services: [],
    });
    const before = performance.now();
    await fleet.beat();
    expect(performance.now() - before).toBeLessThan(5000);
    expect(
      ['i-2', 'i-3', 'i-4', 'i-5'].map((id) => [viewOf(fleet, id)?.state, viewOf(fleet, id)?.reason, viewOf(fleet, id)?.code]),
    ).toEqual([
      ['pending', 'ssh silent', 'ER0242'],
      ['pending', 'ssh host-key-changed', 'ER0244'],
      ['ssh-up', undefined, '000000'],
      ['pending', 'ssh refused', 'ER0240'],
    ]);
    await fleet.stop();
    await shell.close();
    await Promise.all([silent.stop(), changed.stop(), healthy.stop()]);
  });
});
