import { setTimeout as pause } from 'node:timers/promises';
import { FleetError } from '../../src/errors.ts';
import { type Connection, failureOf } from './connection.ts';
import { isBusy } from './engine.ts';

/** Operations in the order in which they were asked for. What is asked for in one turn of the event loop is synced once. */
export interface Turns {
  read<T>(act: (connection: Connection) => T): Promise<T>;
  /** Resolves when what was written is on the disk. */
  write<T>(act: (connection: Connection) => T): Promise<T>;
  /** Lets what was asked for come to its end, then closes the file. */
  close(): Promise<void>;
}

interface Job {
  readonly writes: boolean;
  /** Resolves or rejects what was asked for, later: not before it is on the disk. */
  act(connection: Connection): () => void;
  fail(error: unknown): void;
}

/** So many operations in one transaction keep the event loop waiting for some milliseconds. */
const TURN_SIZE = 250;
const RETRY_MS = 4;

export function createTurns(options: {
  readonly path: string;
  readonly open: () => Promise<Connection>;
  /** How long a file that another process writes to is waited for. */
  readonly busyMs: number;
  /** Called in each transaction, before it ends. */
  readonly beforeEnd: (connection: Connection) => void;
}): Turns {
  const { path, busyMs } = options;
  const waiting: Job[] = [];
  let connection: Connection | null = null;
  let working: Promise<void> | null = null;
  let closed = false;

  function ask<T>(writes: boolean, act: (connection: Connection) => T): Promise<T> {
    if (closed) return Promise.reject(new FleetError('ER0228', `the store ${path} is closed`));
    return new Promise((resolve, reject) => {
      waiting.push({
        writes,
        act(open) {
          try {
            const result = act(open);
            return () => resolve(result);
          } catch (error) {
            if (isBusy(error)) throw error;
            return () => reject(failureOf(error, path));
          }
        },
        fail: reject,
      });
      working ??= work();
    });
  }

  async function work(): Promise<void> {
    while (waiting.length > 0) {
      await nextTurn();
      const jobs = waiting.splice(0, TURN_SIZE);
      try {
        for (const settle of await patiently(jobs)) settle();
      } catch (error) {
        const failure = failureOf(error, path);
        for (const job of jobs) job.fail(failure);
      }
    }
    working = null;
  }

  /** Another process holds the file for one transaction at a time, so a try a moment later finds it free. */
  async function patiently(jobs: readonly Job[]): Promise<readonly (() => void)[]> {
    const deadline = performance.now() + busyMs;
    for (;;) {
      try {
        connection ??= await options.open();
        return run(jobs, connection);
      } catch (error) {
        if (!isBusy(error) || performance.now() >= deadline) throw error;
        await pause(RETRY_MS * Math.random());
      }
    }
  }

  function run(jobs: readonly Job[], open: Connection): readonly (() => void)[] {
    const acted = () => jobs.map((job) => job.act(open));
    if (!jobs.some((job) => job.writes)) return acted();
    return open.transaction(() => {
      const settled = acted();
      options.beforeEnd(open);
      return settled;
    });
  }

  return {
    read: (act) => ask(false, act),
    write: (act) => ask(true, act),
    async close() {
      closed = true;
      await working;
      connection?.close();
      connection = null;
    },
  };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
