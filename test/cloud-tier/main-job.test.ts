import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { cached, createFleet, type Fleet, overShell, probed } from 'fleetbeat';
import { openstack, secret } from 'fleetbeat/adapters/libcloud';
import { memcache } from 'fleetbeat/adapters/services/memcache';
import { sqlite } from 'fleetbeat/adapters/sqlite';
import { ssh } from 'fleetbeat/adapters/ssh';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cli } from '../cli/cli-process.ts';
import { documentsIn, folderWith } from '../cli/command-line.ts';
import { type Machines, startMachines } from '../support/machines.ts';
import { addressesOf } from '../support/openstack/cloud.ts';
import { type Hosts, hostsOf, serversOf } from '../support/openstack/hosts.ts';
import { asUser } from '../support/openstack/keystone-client.ts';
import { requiresMachines, requiresOpenstack } from '../support/requires.ts';
import { serverFolder } from '../support/run-folder.ts';
import { makeSshKey } from '../support/ssh-keys.ts';

/** Nova takes its seconds, and more on a machine that is busy. */
const PATIENT = { timeout: 180_000, interval: 200 };
const TEST_MS = 400_000;
const PORT = 11_211;

/** Each of them is waited for before the next thing is done, so none can be missed, however seldom the fleet looks. */
const RUNGS_TO_UP = ['instances ssh-up', 'instances managed', 'services stopped', 'services up'];
const RUNGS = new Set(['instances stopped', ...RUNGS_TO_UP]);

requiresOpenstack('a service on a real OpenStack', (cloud) =>
  requiresMachines('whose servers are machines that boot', () => {
    const STOPPED = '10.0.0.201';
    const MISSING = '10.0.0.202';
    const COMMANDED = '10.0.0.203';
    const IPS = [STOPPED, MISSING, COMMANDED];
    const nova = asUser(cloud.authUrl, 'shop', 'shop', 'shop');
    const user = makeSshKey();
    const launch = { imageRef: cloud.imageRef, flavorRef: cloud.flavorRef, network: cloud.shopNetwork };
    let machines: Machines;
    let hosts: Hosts;

    beforeAll(async () => {
      machines = await startMachines({ ips: IPS, authorizedKeys: [user.publicKey] });
      hosts = hostsOf(nova, cloud.novaUrl, machines, IPS);
    });
    afterAll(async () => {
      await hosts?.stop();
      await machines?.stop();
    });

    const serversAt = async (address: string) =>
      (await serversOf(nova, cloud.novaUrl)).filter(({ ip }) => ip === address).map(({ status }) => status);

    /** A server may be built before anybody has looked. */
    const powersOf = (address: string) => hosts.history(address).filter((status) => status !== 'BUILD');

    /** A server that Nova has stopped, without fleetbeat. */
    async function stoppedServer(ip: string): Promise<void> {
      const { imageRef, flavorRef, network: uuid } = launch;
      const server = { name: 'db', imageRef, flavorRef, networks: [{ uuid, fixed_ip: ip }] };
      const made = (await nova('POST', `${cloud.novaUrl}/servers`, { server })) as { readonly server: { readonly id: string } };
      await expect.poll(() => serversAt(ip), PATIENT).toEqual(['ACTIVE']);
      await nova('POST', `${cloud.novaUrl}/servers/${made.server.id}/action`, { 'os-stop': null });
      await expect.poll(() => serversAt(ip), PATIENT).toEqual(['SHUTOFF']);
      await expect.poll(() => machines.at(ip).isOn, PATIENT).toBe(false);
    }

    /** A fleet with one service, the rungs in the order in which they were first seen, and the actions in that in which they ended. */
    function fleetFor(name: string, ip: string) {
      const store = sqlite(join(serverFolder('store'), 'fleet.db'));
      const shell = ssh({ username: 'root', privateKey: user.privateKey, knownHosts: machines.knownHosts() });
      const nodes = openstack({
        authUrl: cloud.authUrl,
        auth: { username: 'shop', password: secret('shop'), project: 'shop' },
        allow: addressesOf(cloud),
        deadlineMs: 30_000,
        launch,
      });
      const rung = (of: string) => ({ argv: ['sh', '-c', 'echo "$1" >>/var/ran', 'sh', of], marker: `/var/lib/fleetbeat/${of}` });
      const bootstrap = { binaries: rung('binaries'), agent: rung('agent') };
      const kinds = [memcache()];
      const fleet = createFleet({
        drivers: {
          instances: [probed(cached(nodes, store), shell, { bootstrap })],
          services: [overShell(kinds, shell)],
        },
        kinds,
        services: [{ name, ip, mode: 'memcache', status: 'master', settings: { memoryMb: 8 } }],
        store,
        policy: { observeMs: 30_000 },
      });
      const reached = new Set<string>();
      fleet.on('changed', ({ to }) => {
        if (to.ip === ip && RUNGS.has(`${to.level} ${to.state}`)) reached.add(`${to.level} ${to.state}`);
      });
      const done: string[] = [];
      fleet.on('action', ({ status, do: what }) => {
        if (status === 'done') done.push(`${what.level} ${what.verb}`);
      });
      return { fleet, reached, done, stop: () => fleet.stop().then(() => shell.close()) };
    }

    async function dispatched(fleet: Fleet, level: 'instances' | 'services', action: string, group: string) {
      const reply = await fleet.dispatch({ level, action, group });
      expect(reply.rejected).toEqual([]);
      await expect.poll(() => fleet.actions(), PATIENT).toEqual([]);
      return reply.code;
    }

    async function versionAt(ip: string): Promise<string> {
      const socket = connect(PORT, ip);
      socket.write('version\r\n');
      const [bytes] = await once(socket, 'data');
      socket.destroy();
      return String(bytes);
    }

    test('is started though its instance is stopped: that is started, boots, answers, is bootstrapped', {
      timeout: TEST_MS,
    }, async () => {
      await stoppedServer(STOPPED);
      const { fleet, reached, done, stop } = fleetFor('nosql1', STOPPED);
      await fleet.beat();
      fleet.start(500);
      expect(await dispatched(fleet, 'services', 'start', 'nosql1')).toBe('ER0016');
      expect(done).toEqual(['instances start', 'instances bootstrap', 'services start']);
      expect([...reached]).toEqual(['instances stopped', ...RUNGS_TO_UP]);
      expect(await machines.at(STOPPED).run('cat', '/var/ran')).toBe('binaries\nagent\n');
      expect(await versionAt(STOPPED)).toMatch(/^VERSION /);

      expect(await dispatched(fleet, 'services', 'stop', 'nosql1')).toBe('000000');
      await expect(versionAt(STOPPED)).rejects.toThrow('ECONNREFUSED');
      expect(await dispatched(fleet, 'instances', 'stop', STOPPED)).toBe('000000');
      expect(await serversAt(STOPPED)).toEqual(['SHUTOFF']);
      await expect.poll(() => machines.at(STOPPED).isOn, PATIENT).toBe(false);
      expect(powersOf(STOPPED)).toEqual(['none', 'ACTIVE', 'SHUTOFF', 'ACTIVE', 'SHUTOFF']);
      await stop();
    });

    test('is started though there is no instance: one is launched at its address, one only', { timeout: TEST_MS }, async () => {
      const { fleet, reached, done, stop } = fleetFor('nosql2', MISSING);
      await fleet.beat();
      fleet.start(500);
      expect(await dispatched(fleet, 'services', 'start', 'nosql2')).toBe('ER0017');
      expect(done).toEqual(['instances launch', 'instances bootstrap', 'services start']);
      expect([...reached]).toEqual(RUNGS_TO_UP);
      const others = (await serversOf(nova, cloud.novaUrl)).filter(({ ip }) => ip !== STOPPED);
      expect(others).toEqual([{ id: expect.any(String), ip: MISSING, status: 'ACTIVE' }]);
      expect(await versionAt(MISSING)).toMatch(/^VERSION /);

      expect(await dispatched(fleet, 'instances', 'terminate', MISSING)).toBe('000000');
      expect(await serversAt(MISSING)).toEqual([]);
      await expect.poll(() => machines.at(MISSING).isOn, PATIENT).toBe(false);
      expect(powersOf(MISSING)).toEqual(['none', 'ACTIVE', 'none']);
      await stop();
    });

    test('is started from nothing by the command line, with a configuration file', { timeout: TEST_MS }, async () => {
      const cwd = folderWith({
        clouds: {
          lab: {
            driver: 'openstack',
            active: true,
            authUrl: cloud.authUrl,
            auth: { username: 'shop', password: { env: 'OS_PASSWORD' }, project: 'shop' },
            allow: addressesOf(cloud),
            deadlineMs: 30_000,
            launch,
          },
        },
        services: [{ name: 'nosql3', ip: COMMANDED, mode: 'memcache', status: 'master', settings: { memoryMb: 8 } }],
        ssh: { username: 'root', identityFile: 'id', knownHosts: 'known_hosts' },
        policy: { observeMs: 30_000 },
        beatEvery: '500ms',
      });
      writeFileSync(join(cwd, 'id'), user.privateKey, { mode: 0o600 });
      writeFileSync(join(cwd, 'known_hosts'), `${machines.knownHosts()}\n`);
      const run = (...args: readonly string[]) => cli(args, { cwd, env: { OS_PASSWORD: 'shop' } });

      const started = await run('services', 'start', 'nosql3');
      expect(started).toMatchObject({ exit: 0, stderr: '' });
      expect(documentsIn(started.stdout)).toMatchObject([{ services: [{ nosql3: { state: 'running', code: '000000' } }] }]);
      expect(await serversAt(COMMANDED)).toEqual(['ACTIVE']);
      expect(await versionAt(COMMANDED)).toMatch(/^VERSION /);
      const status = await run('instances', 'status', COMMANDED);
      expect(status.stdout).toMatch(/"ip":"10\.0\.0\.203".*"state":"running".*"cloud":"lab".*"raw":"ACTIVE"/);

      expect(await run('instances', 'terminate', COMMANDED)).toMatchObject({ exit: 0, stderr: '' });
      expect(await serversAt(COMMANDED)).toEqual([]);
      await expect.poll(() => machines.at(COMMANDED).isOn, PATIENT).toBe(false);
    });
  }),
);
