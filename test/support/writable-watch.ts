import { setTimeout as pause } from 'node:timers/promises';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import type { Machine } from './machines.ts';

/** A stretch of time in which a database certainly accepted writes, on the clock of `performance.now()`. */
export interface Writable {
  readonly database: string;
  readonly from: number;
  readonly to: number;
}

/** Looks all the time at which databases accept writes. */
export interface WritableWatch {
  /** In how many answers a database said how it is. */
  answers(database: string): number;
  /** Those that accepted writes while another one did. */
  together(): readonly (readonly [Writable, Writable])[];
  stop(): Promise<void>;
}

/** A database as it is asked: through its socket, which no network comes between. */
export interface Watched {
  readonly name: string;
  readonly machine: Machine;
  readonly socket: string;
  readonly user: string;
  readonly password: string;
}

const EVERY_MS = 20;
const ANSWER_MS = 1000;

/**
 * Asks each database every 20 ms whether it is read-only, also where its machine is cut off. One that is off or hangs cannot be asked,
 * and takes no writes meanwhile.
 */
export function watchWritable(databases: readonly Watched[]): WritableWatch {
  const stretches: Writable[] = [];
  const answers = new Map<string, number>();
  let isStopping = false;

  async function watch(database: Watched): Promise<void> {
    let connection: Connection | null = null;
    let since: number | null = null;
    while (!isStopping) {
      const askedAt = performance.now();
      try {
        connection ??= await open(database);
        const isReadOnly = await ask(connection);
        answers.set(database.name, (answers.get(database.name) ?? 0) + 1);
        // From one answer on until the next question it has certainly been what both say.
        if (!isReadOnly && since !== null) stretches.push({ database: database.name, from: since, to: askedAt });
        since = isReadOnly ? null : performance.now();
      } catch {
        // Whoever is off or hangs is asked again.
        since = null;
        connection?.destroy();
        connection = null;
      }
      await pause(EVERY_MS);
    }
    connection?.destroy();
  }

  const watching = Promise.all(databases.map(watch));
  return {
    answers: (database) => answers.get(database) ?? 0,
    together: () =>
      stretches.flatMap((one, i) =>
        stretches
          .slice(i + 1)
          .filter((other) => other.database !== one.database && other.from < one.to && one.from < other.to)
          .map((other) => [one, other] as const),
      ),
    async stop() {
      isStopping = true;
      await watching;
    },
  };
}

async function open({ machine, socket, user, password }: Watched): Promise<Connection> {
  const connection = await mysql.createConnection({
    socketPath: machine.outside(socket),
    user,
    password,
    connectTimeout: ANSWER_MS,
  });
  connection.on('error', () => connection.destroy());
  return connection;
}

async function ask(connection: Connection): Promise<boolean> {
  const [rows] = await connection.query<RowDataPacket[]>({ sql: 'SELECT @@read_only AS isReadOnly', timeout: ANSWER_MS });
  return Number(rows[0]?.isReadOnly) !== 0;
}
