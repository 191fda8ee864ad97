import { connect, type Socket } from 'node:net';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { excerpt } from '../../../src/domain/excerpt.ts';
import { FOREIGN, guardSocket } from '../../host/guarded-socket.ts';
import { reveal, scrubber } from '../../http/secret.ts';
import { type Mariadb, secretsOf } from './service.ts';

/** How a server answered: with rows for each query, not at all since nobody listens, or in some way that is wrong, if it is there. */
export type Answer =
  | { readonly kind: 'sound'; readonly results: readonly (readonly Row[])[] }
  | { readonly kind: 'refused' }
  | { readonly kind: 'unsound'; readonly reason: string; readonly isThere: boolean };

export type Row = Readonly<Record<string, unknown>>;

/** Servers asked through the network as their monitoring user, on one kept connection each. */
export interface Servers {
  /** Rejects only with the signal's reason. */
  ask(of: Mariadb, queries: readonly string[], deadlineMs: number, signal: AbortSignal): Promise<Answer>;
}

interface Link {
  readonly socket: Socket;
  readonly ready: Promise<Connection>;
}

export function servers(): Servers {
  const links = new Map<string, Link>();

  const linkTo = (of: Mariadb): { readonly link: Link; readonly isKept: boolean } => {
    const key = `${of.name} ${of.ip} ${of.settings.port}`;
    const known = links.get(key);
    if (known && !known.socket.destroyed) return { link: known, isKept: true };
    const link = open(of);
    links.set(key, link);
    return { link, isKept: false };
  };

  return {
    async ask(of, queries, deadlineMs, signal) {
      const end = performance.now() + deadlineMs;
      for (;;) {
        const { link, isKept } = linkTo(of);
        try {
          return { kind: 'sound', results: await askOnce(link, queries, { deadlineMs, end }, signal) };
        } catch (error) {
          link.socket.destroy();
          signal.throwIfAborted();
          const failure = failureOf(error);
          // A server that has been restarted meanwhile has ended the connection that was kept; so has another question that had no answer.
          if (isKept && failure.code !== SILENT && performance.now() < end) continue;
          if (failure.code === 'ECONNREFUSED') return { kind: 'refused' };
          const { scrub } = scrubber(secretsOf(of));
          const reason = `${of.ip}:${of.settings.port} ${excerpt(scrub(failure.text))}`;
          return { kind: 'unsound', reason, isThere: failure.isSaid };
        }
      }
    },
  };
}

function open(of: Mariadb): Link {
  const { port, monitor } = of.settings;
  const socket = connect({ host: of.ip, port, noDelay: true, keepAlive: true });
  // It is no reason for a process to stay; who waits for an answer has a timer that is.
  socket.unref();
  const ready = createConnection({
    stream: () => socket,
    user: monitor.user,
    password: reveal(monitor.password),
    // Whoever asks has a deadline of their own; this timer would outlive it.
    connectTimeout: 0,
    // They would show the password, or what it can be found from, to whoever listens there.
    authPlugins: { mysql_clear_password: refuse, sha256_password: refuse, caching_sha2_password: refuse },
  }).then((connection) => {
    // What goes wrong while nobody asks shows when somebody does.
    connection.on('error', () => socket.destroy());
    return connection;
  });
  ready.catch(() => socket.destroy());
  guardSocket(socket, 'MariaDB');
  return { socket, ready };
}

const refuse = (): never => {
  throw new Error('asks for another way to authenticate than mysql_native_password');
};

const SILENT = 'SILENT';

function askOnce(
  { socket, ready }: Link,
  queries: readonly string[],
  { deadlineMs, end }: { readonly deadlineMs: number; readonly end: number },
  signal: AbortSignal,
): Promise<readonly (readonly Row[])[]> {
  return new Promise((resolve, reject) => {
    const giveUp = () => settle(() => reject(signal.reason));
    const timer = setTimeout(
      () => settle(() => reject(Object.assign(new Error(`did not answer within ${deadlineMs} ms`), { code: SILENT }))),
      Math.max(0, end - performance.now()),
    );
    const settle = (end: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
      end();
    };
    if (signal.aborted) return giveUp();
    signal.addEventListener('abort', giveUp, { once: true });
    ready
      .then((connection) => Promise.all(queries.map((query) => connection.query<RowDataPacket[]>(query))))
      .then(
        (all) => settle(() => resolve(all.map(([rows]) => rows))),
        (error: unknown) => settle(() => reject(socket.errored ?? error)),
      );
  });
}

/** A server's refusal has a number; what the network says has a word. */
function failureOf(error: unknown): { readonly code: string | undefined; readonly text: string; readonly isSaid: boolean } {
  const { code, errno, sqlMessage, message } = error as {
    readonly code?: string;
    readonly errno?: number;
    readonly sqlMessage?: string;
    readonly message?: string;
  };
  if (sqlMessage !== undefined) return { code, text: `refuses with ${errno ?? code}: ${sqlMessage}`, isSaid: true };
  const isForeign = code === FOREIGN;
  return { code, text: code === SILENT || isForeign ? String(message) : `failed: ${code ?? message}`, isSaid: isForeign };
}
