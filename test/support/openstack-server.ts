import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { OpenstackCloud } from './openstack/cloud.ts';
import { PORTS, type Ports, writeConfig } from './openstack/config.ts';
import { asUser } from './openstack/keystone-client.ts';
import { type Processes, processes } from './openstack/processes.ts';
import { seedCloud, seedKeystone } from './openstack/seed.ts';
import { serverFolder } from './run-folder.ts';
import { freePort } from './server-process.ts';

/** A real OpenStack on loopback: Keystone, Placement, Glance, Neutron, and Nova with its fake hypervisor, which boots in no time. */
export interface Openstack {
  readonly cloud: OpenstackCloud;
  stop(): Promise<void>;
}

/** Makes an OpenStack from nothing and starts it: a minute of two cores, 1.5 GiB. */
export async function startOpenstack(): Promise<Openstack> {
  const folder = serverFolder('openstack');
  chmodSync(folder, 0o755);
  const ports = Object.fromEntries(await Promise.all(PORTS.map(async (name) => [name, await freePort('127.0.0.1')]))) as Ports;
  writeConfig(folder, ports);
  const all = processes(folder);
  const authUrl = `http://127.0.0.1:${ports.keystone}/v3`;
  try {
    await startDatabase(all, folder, ports);
    startRabbit(all, folder, ports);
    await Promise.all([
      fillDatabases(all, folder, ports),
      startKeystone(all, folder, ports).then(() => seedKeystone(authUrl, ports)),
    ]);
    await startServices(all, folder, ports);
    const cloud = {
      ...(await seedCloud(authUrl, ports)),
      authUrl,
      shortAuthUrl: `http://127.0.0.1:${ports.shortKeystone}/v3`,
      novaUrl: `http://127.0.0.1:${ports.nova}/v2.1`,
    };
    return { cloud, stop: () => all.stop() };
  } catch (error) {
    await all.stop();
    throw error;
  }
}

const DATABASES = ['keystone', 'placement', 'glance', 'neutron', 'nova_api', 'nova', 'nova_cell0'];

async function startDatabase(all: Processes, folder: string, ports: Ports): Promise<void> {
  const data = join(folder, 'db');
  const user = `--user=${userInfo().username}`;
  await all.run('mariadb-install-db', [
    '--no-defaults',
    user,
    `--datadir=${data}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    '--innodb-log-file-size=32M',
  ]);
  all.start('mariadb', '/usr/sbin/mariadbd', [
    '--no-defaults',
    user,
    `--datadir=${data}`,
    `--port=${ports.db}`,
    '--bind-address=127.0.0.1',
    `--socket=${join(data, 's.sock')}`,
    `--pid-file=${join(data, 'pid')}`,
    '--skip-name-resolve',
    '--max-connections=400',
    '--innodb-flush-log-at-trx-commit=0',
    '--innodb-doublewrite=0',
    '--innodb-buffer-pool-size=128M',
    '--innodb-log-file-size=32M',
    '--character-set-server=utf8',
  ]);
  await all.listening(ports.db);
  for (const name of DATABASES) await sql(all, ports, `CREATE DATABASE ${name} CHARACTER SET utf8`);
}

const sql = (all: Processes, ports: Ports, statement: string, database = 'mysql') =>
  all.run('mariadb', ['--no-defaults', '-uroot', '-h127.0.0.1', `-P${ports.db}`, database, '-e', statement]);

function startRabbit(all: Processes, folder: string, ports: Ports): void {
  const home = join(folder, 'rabbit');
  mkdirSync(home);
  writeFileSync(join(home, 'plugins'), '[].');
  all.start('rabbit', '/usr/lib/rabbitmq/bin/rabbitmq-server', [], {
    HOME: home,
    RABBITMQ_NODENAME: `os${ports.rabbit}@localhost`,
    RABBITMQ_NODE_PORT: String(ports.rabbit),
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_DIST_PORT: String(ports.rabbitPeers),
    RABBITMQ_MNESIA_BASE: join(home, 'mnesia'),
    RABBITMQ_LOG_BASE: join(home, 'log'),
    RABBITMQ_PID_FILE: join(home, 'pid'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(home, 'plugins'),
    RABBITMQ_CONFIG_FILE: join(home, 'none'),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1} +S 2:2',
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(ports.epmd),
  });
}

async function startKeystone(all: Processes, folder: string, ports: Ports): Promise<void> {
  const etc = join(folder, 'etc');
  const url = `http://127.0.0.1:${ports.keystone}/v3`;
  const owner = ['--keystone-user', userInfo().username, '--keystone-group', userInfo().username];
  const manage = (...args: readonly string[]) =>
    all.run('keystone-manage', ['--config-file', join(etc, 'keystone.conf'), ...args]);
  for (const keys of ['fernet', 'credential']) mkdirSync(join(etc, keys), { recursive: true });
  await manage('db_sync');
  await manage('fernet_setup', ...owner);
  await manage('credential_setup', ...owner);
  const named = ['username', 'project-name', 'role-name', 'password'].flatMap((what) => [`--bootstrap-${what}`, 'admin']);
  const urls = ['public', 'internal', 'admin'].flatMap((side) => [`--bootstrap-${side}-url`, url]);
  await manage('bootstrap', ...named, '--bootstrap-service-name', 'keystone', '--bootstrap-region-id', 'RegionOne', ...urls);
  for (const [name, port] of [
    ['keystone', ports.keystone],
    ['keystone-short', ports.shortKeystone],
  ] as const) {
    const env = { OS_KEYSTONE_CONFIG_DIR: etc, OS_KEYSTONE_CONFIG_FILES: `${name}.conf` };
    serveWsgi(all, name, port, '/usr/bin/keystone-wsgi-public', env);
  }
  for (const port of [ports.keystone, ports.shortKeystone]) {
    await all.until('waited for Keystone', async () => {
      if (!(await fetch(`http://127.0.0.1:${port}/v3`)).ok) throw new Error('not yet');
    });
  }
}

function serveWsgi(all: Processes, name: string, port: number, file: string, env: Readonly<Record<string, string>>): void {
  const flags = ['--master', '--enable-threads', '--lazy-apps', '--die-on-term', '--need-app'];
  // It closes each connection, and has to say so, or clients use one once more.
  const sizes = ['--processes', '1', '--threads', '4', '--buffer-size', '65535', '--add-header', 'Connection: close'];
  all.start(
    name,
    'uwsgi',
    ['--plugin', 'python3', '--http-socket', `127.0.0.1:${port}`, '--wsgi-file', file, ...flags, ...sizes],
    env,
  );
}

async function fillDatabases(all: Processes, folder: string, ports: Ports): Promise<void> {
  const config = (file: string) => ['--config-file', join(folder, 'etc', file)];
  const nova = (...args: readonly string[]) => all.run('nova-manage', [...config('nova.conf'), ...args]);
  const fillNova = async () => {
    await nova('api_db', 'sync');
    const cell0 = `mysql+pymysql://root@127.0.0.1:${ports.db}/nova_cell0?charset=utf8`;
    await nova('cell_v2', 'map_cell0', '--database_connection', cell0);
    await nova('cell_v2', 'create_cell', '--name', 'c1');
    await nova('db', 'sync');
  };
  await Promise.all([
    fillNova(),
    all.run('placement-manage', [...config('placement.conf'), 'db', 'sync']),
    all.run('glance-manage', [...config('glance-api.conf'), 'db_sync']),
    all.run('neutron-db-manage', [...config('neutron.conf'), 'upgrade', 'heads']),
  ]);
  // An agent that never dies, so that ports bind without one: a fake hypervisor plugs nothing.
  const row = {
    id: 'UUID()',
    agent_type: "'Open vSwitch agent'",
    '`binary`': "'neutron-openvswitch-agent'",
    topic: "'N/A'",
    host: "'cmp1'",
    admin_state_up: '1',
    created_at: 'NOW()',
    started_at: 'NOW()',
    heartbeat_timestamp: "'2099-01-01'",
    configurations: `'{"bridge_mappings":{},"tunnel_types":[],"datapath_type":"system","ovs_hybrid_plug":false,"extensions":[]}'`,
    '`load`': '0',
  };
  await sql(all, ports, `INSERT INTO agents (${Object.keys(row)}) VALUES (${Object.values(row)})`, 'neutron');
}

async function startServices(all: Processes, folder: string, ports: Ports): Promise<void> {
  const config = (file: string) => ['--config-file', join(folder, 'etc', file)];
  serveWsgi(all, 'placement', ports.placement, '/usr/bin/placement-api', { OS_PLACEMENT_CONFIG_DIR: join(folder, 'etc') });
  all.start('glance', 'glance-api', config('glance-api.conf'));
  await all.listening(ports.rabbit);
  all.start('neutron', 'neutron-server', config('neutron.conf'));
  for (const name of ['nova-conductor', 'nova-scheduler', 'nova-api']) all.start(name, name, config('nova.conf'));
  await all.listening(ports.placement);
  all.start('nova-compute', 'nova-compute', config('nova-compute.conf'));
  for (const port of [ports.glance, ports.neutron, ports.nova]) await all.listening(port);
  const admin = asUser(`http://127.0.0.1:${ports.keystone}/v3`, 'admin', 'admin', 'admin');
  const nova = `http://127.0.0.1:${ports.nova}/v2.1`;
  // What is sent to one that does not listen yet is lost, and missed only after a minute.
  await all.until('waited for Nova', async () => {
    const { services } = (await admin('GET', `${nova}/os-services`)) as Listed<'services', { state: string; binary: string }>;
    if (services.filter(({ state }) => state === 'up').length < 3) throw new Error(JSON.stringify(services));
    const { hypervisors } = (await admin('GET', `${nova}/os-hypervisors`)) as Listed<'hypervisors', object>;
    if (hypervisors.length === 0) throw new Error('no hypervisor');
  });
}

type Listed<Name extends string, Item> = Readonly<Record<Name, readonly Item[]>>;
