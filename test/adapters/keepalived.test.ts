import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Neighbours, ServiceFacts } from 'fleetbeat';
import { overShell } from 'fleetbeat';
import { haproxy } from 'fleetbeat/adapters/services/haproxy';
import { keepalived } from 'fleetbeat/adapters/services/keepalived';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ServiceDriver } from '../../src/contracts.ts';
import { asInstant } from '../../src/domain/identity.ts';
import type { Service, ServiceVerb } from '../../src/domain/service.ts';
import { isThorough } from '../properties/runs.ts';
import { callTo, processesIn, serviceOf } from '../support/host-stage.ts';
import { type Namespaces, openNamespaces } from '../support/namespaces.ts';
import { sendSignal } from '../support/process-table.ts';
import { requires } from '../support/servers.ts';

const never = new AbortController().signal;
const kind = keepalived();
const balancer = haproxy();
const VIP = '10.77.0.100';
const among = (...services: readonly Service[]): Neighbours => ({ view: () => undefined, services: () => services });
const textOf = (of: Service, ...others: readonly Service[]) =>
  kind.configFile?.(of as Service<never>, among(of, ...others)).text ?? '';

/** What takes seconds and seldom breaks. */
const inCi = test.runIf(isThorough);
describe('the settings of a keepalived', () => {
  test('have defaults, but for the addresses', () => {
    expect(kind.settings({ addresses: ['10.0.0.100/24'] })).toMatchObject({ interface: 'eth0', routerId: 51, advertMs: 1000 });
  });

  test.each<[string, string, unknown]>([
    ['addresses', 'none', {}],
    ['addresses', '["10.0.0.100"]', { addresses: ['10.0.0.100'] }],
    ['addresses', '/33', { addresses: ['10.0.0.100/33'] }],
    ['addresses', 'dev', { addresses: ['10.0.0.100/24 dev eth1'] }],
    ['one family', 'fd00::1/64', { addresses: ['10.0.0.100/24', 'fd00::1/64'] }],
    ['interface', '"eth0\\n}"', { addresses: ['10.0.0.100/24'], interface: 'eth0\n}' }],
    ['routerId', '256', { addresses: ['10.0.0.100/24'], routerId: 256 }],
    ['dataDir', '$HOME', { addresses: ['10.0.0.100/24'], dataDir: '/srv/$HOME' }],
    ['binary', '-x', { addresses: ['10.0.0.100/24'], binary: '-x' }],
  ])('are refused with what was found and what is allowed: %s %s', (allowed, found, raw) => {
    const read = () => kind.settings(raw);
    expect(read).toThrow(expect.objectContaining({ code: 'ER0230' }));
    expect(read).toThrow(allowed);
    expect(read).toThrow(found);
  });
});

describe('the configuration of a keepalived', () => {
  const settings = { addresses: ['10.0.0.100/24'] };
  const vip = (name: string, ip: string, more: object = {}) => serviceOf(kind, name, ip, { settings, ...more });

  test('names the others of its cluster and group as peers, in whatever order they are configured', () => {
    const [a, b, c] = [vip('vip1', '10.0.0.1'), vip('vip2', '10.0.0.2'), vip('vip3', '10.0.0.3')];
    const elsewhere = vip('vip4', '10.0.0.4', { cluster: 'other' });
    const other = vip('vip5', '10.0.0.5', { settings: { ...settings, routerId: 52 } });
    const text = textOf(a, c, b, elsewhere, other);
    expect(text).toContain('unicast_peer {\n        10.0.0.2\n        10.0.0.3\n    }');
    expect(textOf(a, b, other, c, elsewhere)).toBe(text);
  });

  test('gives the master precedence, unless priorities are given', () => {
    expect(textOf(vip('vip1', '10.0.0.1', { status: 'master' }))).toContain('priority 150\n');
    expect(textOf(vip('vip1', '10.0.0.1', { status: 'slave' }))).toContain('priority 100\n');
    expect(textOf(vip('vip1', '10.0.0.1', { settings: { ...settings, priority: 7 } }))).toContain('priority 7\n');
  });

  test('moves no address of another family than that of its host', () => {
    expect(() => textOf(vip('vip1', 'fd00::1'))).toThrow(expect.objectContaining({ code: 'ER0230' }));
  });

  test('changes with the balancers beside it, and follows none where that is not wanted', () => {
    const [a, b] = [vip('vip1', '10.0.0.1'), vip('vip1', '10.0.0.1', { settings: { ...settings, followsBalancers: false } })];
    const lb = serviceOf(balancer, 'lb1', '10.0.0.1');
    expect(textOf(a)).not.toContain('track_script');
    expect(textOf(a, lb)).toContain('track_script');
    expect(textOf(a, lb)).not.toBe(textOf(a, serviceOf(balancer, 'lb2', '10.0.0.1')));
    expect(textOf(b, lb)).not.toContain('track_script');
  });
});

requires('keepalived')('keepalived on two hosts', () => {
  const [FIRST, SECOND] = ['10.77.0.1', '10.77.0.2'] as const;
  let namespaces: Namespaces;
  let folder: string;
  let driver: ServiceDriver;

  beforeEach(async () => {
    namespaces = await openNamespaces([FIRST, SECOND]);
    folder = namespaces.folder;
    configure(pair());
  });
  afterEach(() => {
    for (const pid of processesIn(folder)) sendSignal(pid, 'SIGKILL');
    namespaces.close();
  });

  const settingsOf = (name: string, more: object = {}) => ({
    addresses: [`${VIP}/24`],
    advertMs: 200,
    dataDir: join(folder, name),
    ...more,
  });
  const pair = (more: object = {}): readonly Service[] => [
    serviceOf(kind, 'vip1', FIRST, { status: 'master', settings: settingsOf('vip1', more) }),
    serviceOf(kind, 'vip2', SECOND, { status: 'slave', settings: settingsOf('vip2', more) }),
  ];
  const configure = (services: readonly Service[]) => {
    driver = overShell([kind, balancer], namespaces.shell);
    driver.bind?.(services);
  };
  const look = async (name: string): Promise<ServiceFacts | undefined> => {
    const { items } = await driver.observe({ now: asInstant(1000), maxAgeMs: 0 }, never);
    return items.find((one) => one.name === name);
  };
  const perform = (name: string, ...verbs: readonly ServiceVerb[]) =>
    driver.perform(
      verbs.map((verb) => callTo(name, verb)),
      never,
    );
  const rolesSeen = async () => [(await look('vip1'))?.role, (await look('vip2'))?.role];
  /** Where the address is, by the hosts themselves. */
  const holders = async () => {
    const found = await Promise.all([FIRST, SECOND].map(async (ip) => (await namespaces.addressesOf(ip)).includes(VIP)));
    return found;
  };
  const startBoth = async () => {
    for (const name of ['vip1', 'vip2']) expect(await perform(name, 'install', 'start')).toEqual([null, null]);
    await expect.poll(rolesSeen).toEqual(['master', 'slave']);
  };

  test('goes from uninstalled to routed, and is gone again with its address', async () => {
    expect(await look('vip1')).toMatchObject({ code: 'ER0024', holds: { installed: false } });
    expect(await perform('vip1', 'install')).toEqual([null]);
    expect(await look('vip1')).toMatchObject({ code: 'ER0023', holds: { installed: true, up: false }, role: 'slave' });
    expect(await perform('vip1', 'start')).toEqual([null]);
    await expect.poll(() => look('vip1')).toMatchObject({ code: '000000', holds: { up: true, routed: true }, role: 'master' });
    expect(await holders()).toEqual([true, false]);
    const { runId } = (await look('vip1')) ?? {};
    expect(await perform('vip1', 'restart')).toEqual([null]);
    expect((await look('vip1'))?.runId).not.toBe(runId);
    expect(await perform('vip1', 'remove')).toEqual([null]);
    expect(await look('vip1')).toMatchObject({ code: 'ER0024' });
    expect(await holders()).toEqual([false, false]);
    expect(processesIn(folder)).toEqual([]);
  });

  test('has its address on one of them, and on the other when that one is stopped or cut off', async () => {
    await startBoth();
    expect(await holders()).toEqual([true, false]);
    expect(await namespaces.answers(SECOND, VIP)).toBe(true);

    await perform('vip1', 'stop');
    await expect.poll(rolesSeen).toEqual(['slave', 'master']);
    expect(await holders()).toEqual([false, true]);
    await perform('vip1', 'start');
    await expect.poll(rolesSeen).toEqual(['master', 'slave']);

    await namespaces.link(FIRST, 'down');
    await expect.poll(async () => (await look('vip2'))?.role).toBe('master');
    await namespaces.link(FIRST, 'up');
    await expect.poll(holders).toEqual([true, false]);
  });

  test('fails where it was killed and has left its address behind, and takes that away when it is stopped', async () => {
    await startBoth();
    const pids = processesIn(join(folder, 'vip1'));
    // All stand still first, since its child takes the address away when it sees its parent end.
    for (const signal of ['SIGSTOP', 'SIGKILL'] as const) for (const pid of pids) process.kill(pid, signal);
    await expect
      .poll(() => look('vip1'))
      .toMatchObject({
        code: 'ER0018',
        role: 'master',
        reason: `it does not run, yet its host has ${VIP}`,
      });
    await expect.poll(holders).toEqual([true, true]);
    expect(await perform('vip1', 'stop')).toEqual([null]);
    expect(await look('vip1')).toMatchObject({ code: 'ER0023', role: 'slave' });
    expect(await holders()).toEqual([false, true]);
  });

  test('tells a file that was changed by hand, and what runs goes on; started, it has its own again', async () => {
    await startBoth();
    const path = join(folder, 'vip1', 'keepalived.conf');
    const wanted = readFileSync(path, 'utf8');
    const { runId } = (await look('vip1')) ?? {};
    writeFileSync(path, 'vrrp_instance {');
    expect(await look('vip1')).toMatchObject({ code: '000000', holds: { up: true, routed: false }, role: 'master', runId });
    expect(await driver.perform([callTo('vip1', { step: 'routed' })], never)).toEqual([null]);
    expect(readFileSync(path, 'utf8')).toBe(wanted);
    expect(await look('vip1')).toMatchObject({ holds: { routed: true }, role: 'master', runId });
  });

  test('has its files put right by a command, keeps its address and its process, and is left alone the next time', async () => {
    await startBoth();
    const { runId } = (await look('vip1')) ?? {};
    const at = (name: string) => join(folder, 'vip1', name);
    const wanted = readFileSync(at('keepalived.conf'), 'utf8');
    writeFileSync(at('keepalived.conf'), 'vrrp_instance {');
    writeFileSync(at('alive.sh'), '#!/bin/sh\nexit 1\n');
    expect(await look('vip1')).toMatchObject({ configured: false });
    expect(await perform('vip1', 'bootstrap_config')).toEqual([null]);
    expect(readFileSync(at('keepalived.conf'), 'utf8')).toBe(wanted);
    expect(readFileSync(at('alive.sh'), 'utf8')).toContain('cmdline');
    expect(await look('vip1')).toMatchObject({ code: '000000', configured: true, role: 'master', runId });
    expect(await holders()).toEqual([true, false]);

    const files = () =>
      readdirSync(join(folder, 'vip1')).map((name) => [name, statSync(at(name)).ino, statSync(at(name)).mtimeMs]);
    const before = files();
    expect(await perform('vip1', 'bootstrap_config')).toEqual([null]);
    expect(files()).toEqual(before);
  });

  test('is told to read its configuration anew also where it was made to read another one by hand', async () => {
    await startBoth();
    const path = join(folder, 'vip1', 'keepalived.conf');
    writeFileSync(path, readFileSync(path, 'utf8').replace(VIP, '10.77.0.200'));
    process.kill(Number(readFileSync(join(folder, 'vip1', 'keepalived.pid'), 'utf8')), 'SIGHUP');
    await expect.poll(async () => (await namespaces.addressesOf(FIRST)).includes('10.77.0.200')).toBe(true);
    expect(await perform('vip1', 'bootstrap_config')).toEqual([null]);
    await expect.poll(async () => (await namespaces.addressesOf(FIRST)).includes('10.77.0.200')).toBe(false);
    await expect.poll(rolesSeen).toEqual(['master', 'slave']);
  });

  test('that is stopped has its configuration put right, and is not started by that', async () => {
    await perform('vip1', 'install');
    writeFileSync(join(folder, 'vip1', 'keepalived.conf'), '');
    expect(await look('vip1')).toMatchObject({ code: 'ER0023', configured: false });
    expect(await perform('vip1', 'bootstrap_config')).toEqual([null]);
    expect(await look('vip1')).toMatchObject({ code: 'ER0023', configured: true });
    expect(await perform('vip2', 'bootstrap_config')).toMatchObject([{ message: expect.stringContaining('is not installed') }]);
  });

  inCi('reads a changed cluster without moving its address', async () => {
    await startBoth();
    const third = serviceOf(kind, 'vip3', '10.77.0.3', { settings: settingsOf('vip3') });
    const [first, second] = pair();
    configure([first, second, third].filter((one) => one !== undefined));
    expect(await look('vip1')).toMatchObject({
      holds: { routed: false },
      reason: expect.stringContaining('cluster has changed'),
    });
    expect(await driver.perform([callTo('vip1', { step: 'routed' })], never)).toEqual([null]);
    expect(await look('vip1')).toMatchObject({ holds: { routed: true }, role: 'master' });
    expect(readFileSync(join(folder, 'vip1', 'keepalived.conf'), 'utf8')).toContain('10.77.0.3');
    expect(await holders()).toEqual([true, false]);
  });

  inCi('replaces no configuration by one that keepalived refuses', async () => {
    await startBoth();
    configure(pair({ interface: 'nowhere0' }));
    expect(await driver.perform([callTo('vip1', { step: 'routed' })], never)).toMatchObject([
      { code: 'ER0018', message: expect.stringContaining('nowhere0') },
    ]);
    expect(await holders()).toEqual([true, false]);
  });

  requires('haproxy')('beside a balancer', () => {
    test('leaves its host when the balancer there does not run', async () => {
      const lb = serviceOf(balancer, 'lb1', FIRST, { settings: { dataDir: join(folder, 'lb1'), checkMs: 100 } });
      configure([...pair(), lb]);
      expect(await perform('lb1', 'install', 'start')).toEqual([null, null]);
      await startBoth();
      for (const pid of processesIn(join(folder, 'lb1'))) sendSignal(pid, 'SIGKILL');
      await expect.poll(rolesSeen).toEqual(['slave', 'master']);
      expect(await perform('lb1', 'start')).toEqual([null]);
      await expect.poll(rolesSeen).toEqual(['master', 'slave']);
    });
  });
});
