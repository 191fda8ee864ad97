import { join } from 'node:path';
import { createFleet, type Fleet, type FleetOptions, type Ip, overShell, probed, type ServiceInput } from 'fleetbeat';
import { local } from 'fleetbeat/adapters/local';
import { haproxy } from 'fleetbeat/adapters/services/haproxy';
import { keepalived } from 'fleetbeat/adapters/services/keepalived';
import { mariadb, secret } from 'fleetbeat/adapters/services/mariadb';
import { memcache } from 'fleetbeat/adapters/services/memcache';
import { mysqlProxy } from 'fleetbeat/adapters/services/mysql-proxy';
import { sqlite } from 'fleetbeat/adapters/sqlite';
import { ssh } from 'fleetbeat/adapters/ssh';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { type Climb, type Rung, recordClimb, rungsOf } from './climb.ts';
import { machinePower } from './machines/power.ts';
import { type Machine, type Machines, startMachines } from './machines.ts';
import { watchRouting } from './routing-watch.ts';
import { serverFolder } from './run-folder.ts';
import { makeSshKey } from './ssh-keys.ts';

const [DB1, DB2, DB3, LB1, LB2, APP] = ['10.0.0.101', '10.0.0.102', '10.0.0.103', '10.0.0.104', '10.0.0.105', '10.0.0.106'];
const IPS = [DB1, DB2, DB3, LB1, LB2, APP] as readonly string[];

/** The address that the balancers share. */
export const VIP = '10.0.0.100';
/** Where it takes writes, reads, and memcached. */
export const PORTS = { writes: 3306, reads: 3307, memcache: 11_211 } as const;

/** A cluster `shop` on six machines, in the hands of a fleet: a replicated database, two memcached, all behind two balancers, and a proxy. */
export interface Shop {
  readonly fleet: Fleet;
  readonly machines: Machines;
  readonly services: readonly ServiceInput[];
  readonly climb: Climb;
  /** The machine of a service. */
  machineOf(service: string): Machine;
  /** The services whose state is none of the top of their ladder. */
  belowTop(): readonly string[];
  /** What failed, with the reason. */
  failures(): readonly string[];
  /** The machines that have the shared address. */
  holders(): Promise<readonly string[]>;
  /** SQL as the administrator of a database. */
  sql(service: string, statements: string): Promise<string>;
  /**
   * Every rung that was climbed, service by service.
   *
   * @param startedAt when the command was given, on the clock of `performance.now()`
   */
  rungs(startedAt: number): readonly Rung[];
  /** A question of an application, over a new connection, through the shared address where no other is given. */
  ask(port: number, question: string, host?: string): Promise<readonly RowDataPacket[]>;
  close(): Promise<void>;
}

/** The user of {@link Shop.ask}, who has to be made first. */
export const APP_USER = "CREATE USER app@'%' IDENTIFIED BY 'app'; GRANT ALL ON app.* TO app@'%'";

export interface ShopOptions extends Pick<FleetOptions, 'recover' | 'policy'> {
  /** Between the beats of the fleet, in milliseconds. */
  readonly everyMs: number;
  /** The size of each machine's disk, in MiB. Default: no limit. */
  readonly diskMb?: number;
  /** More settings of the databases. */
  readonly databases?: object;
}

export async function openShop({ everyMs, diskMb, databases = {}, recover = {}, policy = {} }: ShopOptions): Promise<Shop> {
  const user = makeSshKey();
  const machines = await startMachines({ ips: IPS, authorizedKeys: [user.publicKey], ...(diskMb !== undefined && { diskMb }) });
  const all = IPS.map((ip) => machines.at(ip));
  const power = await machinePower(all);
  const shell = ssh({
    username: 'root',
    privateKey: user.privateKey,
    knownHosts: machines.knownHosts(),
    connectMs: 1000,
    silentMs: 4000,
  });
  const climb = recordClimb(everyMs, (ip) => machines.at(ip).name);
  const kinds = [mariadb(), memcache(), haproxy(), keepalived(), mysqlProxy()];
  const cloud = local({ instances: power.instances, deadlineMs: 20_000 });
  const store = sqlite(join(serverFolder('shop'), 'fleetbeat.db'));
  const services = shopServices(databases);
  const failed = new Map<string, string>();

  const fleet = createFleet({
    drivers: {
      instances: [
        climb.recorded(
          probed(cloud, shell, {
            bootstrap: {
              binaries: { argv: ['sh', '-c', HAS_PROGRAMS], marker: '/var/lib/fleetbeat/binaries' },
              agent: { argv: ['true'], marker: '/var/lib/fleetbeat/agent' },
            },
          }),
        ),
      ],
      services: [climb.recorded(overShell(kinds, shell))],
    },
    kinds,
    services,
    store,
    policy: { backoffMs: 500, backoffMaxMs: 2000, ...policy },
    recover,
  });
  climb.watch(fleet);
  fleet.on('action', ({ id, status, lane, do: { verb }, history }) => {
    if (status === 'failed') failed.set(id, `${verb} of ${lane}: ${history.at(-1)?.code} ${history.at(-1)?.message}`);
    else failed.delete(id);
  });
  fleet.start(everyMs);
  const machineOf = (service: string) => machines.at(services.find(({ name }) => name === service)?.ip ?? '');
  const routing = watchRouting(['lb1', 'lb2', 'proxy1'].map((name) => ({ name, machine: machineOf(name) })));
  const topOf = ({ mode }: ServiceInput) => kinds.find((kind) => kind.mode === mode)?.ladder.at(-1);
  return {
    fleet,
    machines,
    services,
    climb,
    machineOf,
    belowTop() {
      const states = new Map(fleet.views().map(({ name, state, reason }) => [name, { state, reason }]));
      return services
        .filter((service) => states.get(service.name)?.state !== topOf(service))
        .map(({ name }) => `${name} ${states.get(name)?.state} ${states.get(name)?.reason ?? ''}`);
    },
    failures: () => [...failed.values()],
    async holders() {
      const on = all.filter(({ isOn }) => isOn);
      const addresses = await Promise.all(on.map((machine) => machine.run('ip', '-o', 'address', 'show')));
      return on.filter((_, i) => addresses[i]?.includes(` ${VIP}/`)).map(({ name }) => name);
    },
    sql: (service, statements) =>
      machineOf(service).run(
        'mariadb',
        '--no-defaults',
        `--socket=/var/lib/fleetbeat/${service}/run/mariadb.sock`,
        '-BNe',
        statements,
      ),
    rungs: (startedAt) =>
      services.flatMap((service) => {
        const { ip, name } = machineOf(service.name);
        return rungsOf(service, name, {
          climb,
          startedAt,
          bootMs: power.bootMs(ip) ?? Number.NaN,
          master: 'db1',
          letInAt: routing.letInAt,
        });
      }),
    async ask(port, question, host = VIP) {
      const connection = await mysql.createConnection({
        host,
        port,
        user: 'app',
        password: 'app',
        connectTimeout: 2000,
      });
      try {
        const [rows] = await connection.query<RowDataPacket[]>({ sql: question, timeout: 5000 });
        return rows;
      } finally {
        connection.destroy();
      }
    },
    async close() {
      await fleet.stop();
      await routing.stop();
      await shell.close();
      await machines.stop();
      await power.close();
      await store.close?.();
    },
  };
}

const HAS_PROGRAMS = 'for each in mariadbd memcached haproxy keepalived; do command -v "$each" || exit; done';

function shopServices(databases: object): readonly ServiceInput[] {
  const monitor = { password: secret('monitors-its') };
  const database = {
    memoryMb: 8,
    // What makes a server small.
    options: { performance_schema: false, innodb_log_file_size: 4_194_304, innodb_buffer_pool_chunk_size: 1_048_576 },
    checkUser: 'balancer',
    monitor,
    replication: { password: secret('replicates-it') },
    answerMs: 4000,
    ...databases,
  };
  const balancer = { addresses: [VIP as Ip], checkUser: 'balancer', ...PORTS };
  const moving = { addresses: [`${VIP}/24`], advertMs: 500 };
  const service = (name: string, ip = '', mode = '', status: ServiceInput['status'] = 'standalone', settings: object = {}) => ({
    name,
    ip,
    mode,
    status,
    cluster: 'shop',
    settings,
  });
  return [
    service('db1', DB1, 'mariadb', 'master', database),
    service('db2', DB2, 'mariadb', 'slave', database),
    service('db3', DB3, 'mariadb', 'slave', database),
    service('nosql1', DB2, 'memcache', 'master', { memoryMb: 8 }),
    service('nosql2', APP, 'memcache', 'slave', { memoryMb: 8 }),
    service('lb1', LB1, 'haproxy', 'standalone', balancer),
    service('lb2', LB2, 'haproxy', 'standalone', balancer),
    service('vip1', LB1, 'keepalived', 'master', moving),
    service('vip2', LB2, 'keepalived', 'slave', moving),
    service('proxy1', APP, 'mysql-proxy', 'standalone', { checkUser: 'balancer', monitor }),
  ];
}
