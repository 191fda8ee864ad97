import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import type { Ip } from '../../src/domain/identity.ts';
import { FleetError } from '../../src/errors.ts';
import { type Connection, type DialOptions, dial } from './connection.ts';
import { endedBy } from './failure.ts';

/** The connections that are open, one to a host. */
export interface Connections {
  /** The connection to a host; where there is none it is opened, and whoever asks meanwhile shares the attempt. */
  to(ip: Ip, signal: AbortSignal): Promise<Connection>;
  /** The connection to a host if one is open. */
  existing(ip: Ip): Connection | undefined;
  /** Drops all of them and opens no more. */
  close(): void;
}

interface Entry {
  readonly attempt: Promise<Connection>;
  connection: Connection | undefined;
}

export interface ConnectionsOptions extends DialOptions {
  /** At most how long the next attempt waits after a host was lost or not reached: what fell together does not knock together. */
  readonly jitterMs: number;
}

export function connections(portOf: (ip: Ip) => number, options: ConnectionsOptions): Connections {
  const entries = new Map<Ip, Entry>();
  const lost = new Set<Ip>();
  const closing = new AbortController();
  setMaxListeners(0, closing.signal);

  const open = (ip: Ip): Entry => {
    // Not with a caller's signal: the attempt may have other waiters by the time that one is aborted. It has its own limits.
    const delayed = lost.has(ip) && options.jitterMs > 0;
    const attempt = (delayed ? shortly(options.jitterMs, closing.signal) : Promise.resolve()).then(() =>
      dial(ip, portOf(ip), options, closing.signal),
    );
    const entry: Entry = { attempt, connection: undefined };
    const forget = () => {
      lost.add(ip);
      if (entries.get(ip) === entry) entries.delete(ip);
    };
    attempt.then((connection) => {
      lost.delete(ip);
      entry.connection = connection;
      connection.client.once('close', forget);
      if (closing.signal.aborted) connection.drop();
    }, forget);
    entries.set(ip, entry);
    return entry;
  };

  const current = (ip: Ip): Entry | undefined => {
    const entry = entries.get(ip);
    return entry?.connection && !entry.connection.isOpen() ? undefined : entry;
  };

  return {
    async to(ip, signal) {
      closing.signal.throwIfAborted();
      return until(signal, `connecting to ${ip}`, (current(ip) ?? open(ip)).attempt);
    },
    existing: (ip) => current(ip)?.connection,
    close() {
      closing.abort(new FleetError('ER0232', 'the ssh shell is closed'));
      for (const { connection } of entries.values()) connection?.drop();
      entries.clear();
    },
  };
}

/** Resolves also where the signal ends the wait: what comes next looks at it. */
const shortly = (mostMs: number, signal: AbortSignal): Promise<void> =>
  pause(Math.random() * mostMs, undefined, { signal }).catch(() => {});

/** Waits for shared work no longer than the signal allows; the work goes on for whoever else waits. */
function until<T>(signal: AbortSignal, what: string, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(endedBy(signal, what));
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
