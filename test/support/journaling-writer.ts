import { closeSync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import { serverFolder } from './run-folder.ts';

/** The table that is written to; its rows say which server took them. */
export const JOURNAL_TABLE = 'CREATE TABLE app.journal (id BIGINT PRIMARY KEY, server BIGINT NOT NULL)';

/** A row whose write was acknowledged. */
export interface Written {
  readonly id: number;
  /** The id of the server that took it. */
  readonly server: number;
}

/** What came of the writes of a stretch of time. */
export interface Stretch {
  readonly acknowledged: number;
  /** Those that were certainly not made. */
  readonly refused: number;
  /** Those whose connection ended, or said nothing for too long, before an answer: they may have been made. */
  readonly unknown: number;
  /** The longest time without an acknowledgement, up to now where the last one is longest ago, in milliseconds. */
  readonly longestOutageMs: number;
  /** The ids of the servers that took writes, in the order in which they first did. */
  readonly servers: readonly number[];
  /** Why writes failed, each reason once. */
  readonly reasons: readonly string[];
}

/** A program that writes to a database all the time, each row with an id of its own, and keeps a journal of what was acknowledged. */
export interface JournalingWriter {
  /** What its journal says was acknowledged since its start. */
  journal(): readonly Written[];
  /** Begins a new stretch. */
  mark(): void;
  /** What came of the writes since the last `mark`. */
  stretch(): Stretch;
  /** The highest id that was tried so far. */
  lastId(): number;
  /** Ends once all that was begun has come to something. */
  stop(): Promise<void>;
}

export interface JournalingWriterOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** How many writes are begun in a second, as long as connections are free. Default 50. */
  readonly perSecond?: number;
  /** Default 4. */
  readonly connections?: number;
  /** How long the answer to a write, or a connection, is waited for. Default 2000. */
  readonly answerMs?: number;
}

/**
 * Starts to write. An id is tried once only, and enters the journal, synced, once the server has acknowledged it.
 *
 * @example
 * ```ts
 * await shop.sql('db1', `CREATE DATABASE app; ${JOURNAL_TABLE}; ${APP_USER}`);
 * const writer = startJournalingWriter({ host: VIP, port: PORTS.writes, user: 'app', password: 'app', perSecond: 200 });
 * writer.mark();
 * // … something happens to the database …
 * const { acknowledged, longestOutageMs } = writer.stretch();
 * await writer.stop();
 * const lost = lostOf(writer.journal(), await shop.sql('db1', 'SELECT id FROM app.journal'));
 * ```
 */
export function startJournalingWriter({ perSecond = 50, connections = 4, ...to }: JournalingWriterOptions): JournalingWriter {
  const path = join(serverFolder('journal'), 'acknowledged');
  const file = openSync(path, 'a');
  let lastId = 0;
  let isStopping = false;
  let counts = begin(performance.now());

  const acknowledge = (written: Written) => {
    writeSync(file, `${written.id} ${written.server}\n`);
    fdatasyncSync(file);
    const now = performance.now();
    counts.acknowledged++;
    counts.longestOutageMs = Math.max(counts.longestOutageMs, now - counts.lastAt);
    counts.lastAt = now;
    counts.servers.add(written.server);
  };
  const fail = (outcome: 'refused' | 'unknown', error: unknown) => {
    counts[outcome]++;
    counts.reasons.add(reasonOf(error));
  };

  /** One connection after the other; each makes a write whenever one is due. */
  async function writeOn(turns: AsyncIterator<void>): Promise<void> {
    let connection: Connection | null = null;
    for (;;) {
      const { done } = await turns.next();
      if (done) break;
      const id = ++lastId;
      try {
        connection ??= await open(to);
      } catch (error) {
        fail('refused', error);
        continue;
      }
      try {
        acknowledge({ id, server: await write(connection, id, to.answerMs ?? ANSWER_MS) });
      } catch (error) {
        fail(isRefusal(error) ? 'refused' : 'unknown', error);
        connection.destroy();
        connection = null;
      }
    }
    connection?.destroy();
  }

  const turns = pace(perSecond, () => isStopping);
  const writing = Promise.all(Array.from({ length: connections }, () => writeOn(turns)));
  return {
    journal: () => readJournal(path),
    mark() {
      counts = begin(performance.now());
    },
    stretch: () => ({
      ...counts,
      longestOutageMs: Math.max(counts.longestOutageMs, performance.now() - counts.lastAt),
      servers: [...counts.servers],
      reasons: [...counts.reasons],
    }),
    lastId: () => lastId,
    async stop() {
      if (isStopping) return;
      isStopping = true;
      await writing;
      closeSync(file);
    },
  };
}

/** Those of the acknowledged writes that are not among the rows, which come as the database prints them: ids by themselves. */
export function lostOf(journal: readonly Written[], rows: string): readonly Written[] {
  const present = new Set(rows.split('\n').map(Number));
  return journal.filter(({ id }) => !present.has(id));
}

const ANSWER_MS = 2000;

const begin = (lastAt: number) => ({
  acknowledged: 0,
  refused: 0,
  unknown: 0,
  longestOutageMs: 0,
  lastAt,
  servers: new Set<number>(),
  reasons: new Set<string>(),
});

/** Turns for any number of takers, so many in a second; those that nobody takes in time are dropped. */
function pace(perSecond: number, isOver: () => boolean): AsyncIterator<void> {
  const everyMs = 1000 / perSecond;
  let due = performance.now();
  return {
    async next() {
      due = Math.max(due + everyMs, performance.now() - everyMs);
      await pause(Math.max(0, due - performance.now()));
      return isOver() ? { done: true, value: undefined } : { done: false, value: undefined };
    },
  };
}

async function open({ host, port, user, password, answerMs = ANSWER_MS }: JournalingWriterOptions): Promise<Connection> {
  const connection = await mysql.createConnection({ host, port, user, password, connectTimeout: answerMs });
  // What ends it while nobody writes shows with the next write.
  connection.on('error', () => connection.destroy());
  return connection;
}

async function write(connection: Connection, id: number, timeout: number): Promise<number> {
  const sql = 'INSERT INTO app.journal (id, server) VALUES (?, @@server_id) RETURNING server';
  const [[row]] = await connection.query<RowDataPacket[]>({ sql, timeout }, [id]);
  if (row === undefined) throw new Error(`the write of ${id} was answered without a row`);
  return Number(row.server);
}

/** Only a server that answered with an error has certainly not made a write. */
const isRefusal = (error: unknown): boolean => (error as { readonly sqlState?: string }).sqlState !== undefined;

const reasonOf = (error: unknown): string => {
  const { code, errno, message } = error as { readonly code?: string; readonly errno?: number; readonly message?: string };
  return `${code ?? message}${errno !== undefined && errno > 0 ? ` ${errno}` : ''}`;
};

const readJournal = (path: string): readonly Written[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [id, server] = line.split(' ').map(Number);
      return { id: id ?? Number.NaN, server: server ?? Number.NaN };
    });
