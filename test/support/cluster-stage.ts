import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import {
  type ActionId,
  createFleet,
  type Fleet,
  type FleetOptions,
  overShell,
  probed,
  type Reply,
  type ServiceInput,
  type Shell,
  type View,
} from 'fleetbeat';
import { local } from 'fleetbeat/adapters/local';
import { haproxy } from 'fleetbeat/adapters/services/haproxy';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import { expect } from 'vitest';
import { processesIn } from './host-stage.ts';
import { JOURNAL_TABLE, type JournalingWriter, startJournalingWriter } from './journaling-writer.ts';
import { type MariadbStage, mariadbStage } from './mariadb-stage.ts';
import { type PowerSwitch, powerSwitch } from './power-switch.ts';
import { sendSignal } from './process-table.ts';
import { freePort, loopback } from './servers.ts';
import { turns } from './turns.ts';

export const DATABASES = ['db1', 'db2', 'db3'] as const;

/** A cluster `shop` of three databases behind a balancer `lb1`, on real servers; fleets on it come and go. */
export interface ClusterStage extends Pick<MariadbStage, 'sql' | 'kill' | 'pid' | 'freeze' | 'thaw'> {
  /** Of the host of a database. */
  power(name: string): PowerSwitch;
  /** The sshd of a database's host. */
  sshd(name: string): MariadbStage['hosts'][number];
  /** A fleet that leads, once it has read everything. */
  open(options: Pick<FleetOptions, 'store' | 'inspect' | 'recover' | 'policy'>, shell?: (real: Shell) => Shell): Promise<Fleet>;
  /** Beats until `done`. */
  until(fleet: Fleet, done: () => boolean): Promise<void>;
  /** Beats until this has come, or this action has ended, as it may. */
  beatUntil(fleet: Fleet, come: Promise<void>, action?: ActionId): Promise<void>;
  /** Gives the command of a failover as soon as it is taken: a replica that tries to connect just now cannot say that it hears nobody. */
  failOver(fleet: Fleet, group: string): Promise<Reply>;
  /** Brings it up, with a table for a writer. */
  start(fleet: Fleet): Promise<void>;
  /** Whether every service is routed, and nothing is left to do. */
  isWell(fleet: Fleet): boolean;
  /** Who is seen as master. */
  masters(fleet: Fleet): readonly string[];
  /** Who accepts writes, as the servers themselves say. */
  writable(): Promise<readonly string[]>;
  /** Looks all the time who accepts writes. @returns a function that ends this, and gives all that ever did at once */
  watchWritable(): () => Promise<readonly (readonly string[])[]>;
  /** Runs a statement in a session that stays open until the release. */
  hold(name: string, statement: string): { readonly held: Promise<void>; release(): Promise<void> };
  writer(perSecond: number): JournalingWriter;
  /** A connection of an application through the balancer, to whoever takes writes. */
  connect(): Promise<Connection>;
  close(): Promise<void>;
}

/** What a connection to a server ends with that has died or is not there. */
const ABSENT = /^(ECONNREFUSED|ENOENT|ECONNRESET|EPIPE|PROTOCOL_CONNECTION_LOST|ER_SERVER_SHUTDOWN)$/;

export const viewOf = (fleet: Fleet, name: string): View | undefined => fleet.views().find((view) => view.name === name);

export async function clusterStage(settings: object = {}): Promise<ClusterStage> {
  const stage = await mariadbStage([1, 2, 3, 4].map(loopback));
  const powers = new Map<string, PowerSwitch>();
  const lb = loopback(4);
  const writes = await freePort(lb);
  for (const [i, name] of DATABASES.entries()) {
    await stage.service(name, i, i === 0 ? 'master' : 'slave', settings);
    powers.set(name, await powerSwitch(sshdOf(name), () => stage.kill(name)));
  }
  const services: readonly ServiceInput[] = [
    ...DATABASES.map(
      (name, i): ServiceInput => ({
        name,
        ip: loopback(i + 1),
        mode: 'mariadb',
        status: i === 0 ? 'master' : 'slave',
        cluster: 'shop',
        settings: stage.raw(name),
      }),
    ),
    {
      name: 'lb1',
      ip: lb,
      mode: 'haproxy',
      status: 'standalone',
      cluster: 'shop',
      settings: { writes, reads: await freePort(lb), dataDir: join(stage.folder, 'lb1'), checkMs: 100 },
    },
  ];

  function sshdOf(name: string): MariadbStage['hosts'][number] {
    return stage.hosts[(DATABASES as readonly string[]).indexOf(name)] ?? expect.unreachable(name);
  }
  const powerOf = (name: string) => powers.get(name) ?? expect.unreachable(name);

  const until: ClusterStage['until'] = async (fleet, done) => {
    const end = performance.now() + 30_000;
    while (!done() && performance.now() < end) {
      await fleet.beat();
      await turns(1);
    }
    expect(done(), done() ? '' : await stateOf(fleet)).toBe(true);
  };
  /** What the fleet believes and does, and what each server is at, for whoever finds out why it did not come about. */
  async function stateOf(fleet: Fleet): Promise<string> {
    const servers = await Promise.all(DATABASES.map(async (name) => [name, await processesOf(name)]));
    const views = fleet.views().map(({ name, state, code, reason }) => [name, state, code, reason]);
    return JSON.stringify({ views, actions: fleet.actions(), servers }, null, 1);
  }
  async function processesOf(name: string): Promise<unknown> {
    try {
      const connection = await administrator(name);
      const [rows] = await connection.query({ sql: 'SHOW FULL PROCESSLIST', timeout: 5000 });
      connection.destroy();
      return rows;
    } catch (error) {
      return String(error);
    }
  }
  const beatUntil: ClusterStage['beatUntil'] = async (fleet, come, action) => {
    let isOver = false;
    const end = () => {
      isOver = true;
    };
    void come.then(end);
    if (action !== undefined) void fleet.settled(action).then(end, end);
    while (!isOver) {
      await fleet.beat();
      await pause(1);
    }
  };
  const failOver: ClusterStage['failOver'] = async (fleet, group) => {
    for (;;) {
      const reply = await fleet.dispatch({ level: 'services', action: 'failover', group });
      if (reply.started.length > 0) return reply;
      await fleet.beat();
    }
  };
  const isWell = (fleet: Fleet) =>
    fleet.actions().length === 0 && [...DATABASES, 'lb1'].every((name) => viewOf(fleet, name)?.state === 'routed');

  async function writable(): Promise<readonly string[]> {
    const answers = await Promise.all(DATABASES.map(async (name) => ((await isWritable(name)) ? [name] : [])));
    return answers.flat();
  }

  const administrator = (name: string) =>
    mysql.createConnection({ socketPath: join(stage.folder, name, 'run', 'mariadb.sock'), user: 'root' });

  /** Who is not there takes none. */
  async function isWritable(name: string): Promise<boolean> {
    try {
      const connection = await administrator(name);
      try {
        const [[row]] = await connection.query<RowDataPacket[]>('SELECT @@read_only AS readOnly');
        return Number(row?.readOnly) === 0;
      } finally {
        connection.destroy();
      }
    } catch (error) {
      expect((error as { readonly code?: string }).code).toMatch(ABSENT);
      return false;
    }
  }

  return {
    sql: stage.sql,
    kill: stage.kill,
    pid: stage.pid,
    freeze: stage.freeze,
    thaw: stage.thaw,
    power: powerOf,
    sshd: sshdOf,
    until,
    beatUntil,
    failOver,
    isWell,
    writable,
    async open(options, shellOf = (real) => real) {
      const kinds = [stage.kind, haproxy()];
      const fleet = createFleet({
        drivers: {
          instances: [
            probed(
              local({
                instances: stage.hosts.map(({ address }, i) => {
                  const { status, start, stop } = powers.get(DATABASES[i] ?? '') ?? {};
                  return { ip: address, ...(status && { status }), ...(start && { start }), ...(stop && { stop }) };
                }),
              }),
              stage.shell,
            ),
          ],
          services: [overShell(kinds, shellOf(stage.shell))],
        },
        kinds,
        services,
        ...options,
        policy: { freshMs: 1000, backoffMs: 50, backoffMaxMs: 200, ...options.policy },
      });
      await until(fleet, () => fleet.role === 'leader');
      return fleet;
    },
    async start(fleet) {
      await fleet.dispatch({ level: 'services', action: 'start', group: 'shop' });
      await until(fleet, () => isWell(fleet));
      stage.sql('db1', `CREATE DATABASE app; ${JOURNAL_TABLE}; CREATE USER app IDENTIFIED BY 'app'; GRANT ALL ON app.* TO app`);
      // A replica that is killed while it replays a change of tables may not know that it has: its server takes that twice then.
      const position = stage.sql('db1', 'SELECT @@gtid_binlog_pos');
      for (const name of DATABASES.slice(1)) expect(stage.sql(name, `SELECT MASTER_GTID_WAIT('${position}', 20)`)).toBe('0');
    },
    masters: (fleet) => DATABASES.filter((name) => viewOf(fleet, name)?.role === 'master'),
    watchWritable() {
      const seen = new Map<string, readonly string[]>();
      let isOver = false;
      const watching = (async () => {
        while (!isOver) {
          const now = await writable();
          seen.set(now.join(), now);
          await pause(2);
        }
      })();
      return async () => {
        isOver = true;
        await watching;
        return [...seen.values()];
      };
    },
    hold(name, statement) {
      const opened = administrator(name);
      return {
        held: opened.then(async (connection) => void (await connection.query(statement))),
        release: async () => (await opened).destroy(),
      };
    },
    writer: (perSecond) =>
      startJournalingWriter({ host: lb, port: writes, user: 'app', password: 'app', perSecond, connections: 8 }),
    connect: () => mysql.createConnection({ host: lb, port: writes, user: 'app', password: 'app' }),
    async close() {
      for (const power of powers.values()) await power.close();
      for (const pid of processesIn(join(stage.folder, 'lb1'))) sendSignal(pid, 'SIGKILL');
      await stage.close();
    },
  };
}
