import { connect } from 'node:net';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { excerpt } from '../../../src/domain/excerpt.ts';
import { FOREIGN, guardSocket } from '../../host/guarded-socket.ts';
import { reveal, type Secret, scrubber } from '../../http/secret.ts';

/** Who asks: a user that may log in, and needs no rights. */
export interface Monitor {
  readonly user: string;
  readonly password: Secret;
}

/** What was answered through a proxy: by which server, or why by none. */
export type Answered =
  | {
      readonly by: 'server';
      readonly serverId: number;
      /** What it tells its replicas to call it: `host:port`; null where it tells nothing. */
      readonly reportedAs: string | null;
      readonly isReadOnly: boolean;
    }
  | { readonly by: 'nobody'; readonly reason: string };

/**
 * Asks through a port of any SQL proxy which server answers there: over a new connection each time, since an old one tells who
 * answered then. Rejects only with the signal's reason.
 *
 * @param deadlineMs in milliseconds, from connecting to the answer
 * @example
 * ```ts
 * const answered = await askThrough('10.0.0.105', 3306, { user: 'fleetbeat_monitor', password }, 2000, signal);
 * ```
 */
export async function askThrough(
  ip: string,
  port: number,
  monitor: Monitor,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<Answered> {
  signal.throwIfAborted();
  const socket = connect({ host: ip, port, noDelay: true });
  const limit = AbortSignal.timeout(deadlineMs);
  const bounded = AbortSignal.any([signal, limit]);
  const giveUp = () => socket.destroy(new Error(`did not answer within ${deadlineMs} ms`));
  bounded.addEventListener('abort', giveUp, { once: true });
  try {
    const ready = createConnection({
      stream: () => socket,
      user: monitor.user,
      password: reveal(monitor.password),
      // They would show the password, or what it can be found from, to whoever listens there.
      authPlugins: { mysql_clear_password: refuse, sha256_password: refuse, caching_sha2_password: refuse },
    });
    guardSocket(socket, 'MySQL');
    const connection = await ready;
    connection.on('error', () => socket.destroy());
    const [rows] = await connection.query<RowDataPacket[]>(QUESTION);
    return readAnswer(rows[0]);
  } catch (error) {
    signal.throwIfAborted();
    const { scrub } = scrubber([reveal(monitor.password)]);
    return { by: 'nobody', reason: `${ip}:${port} ${excerpt(scrub(reasonOf(socket.errored ?? error)))}` };
  } finally {
    bounded.removeEventListener('abort', giveUp);
    socket.destroy();
  }
}

const QUESTION =
  'SELECT @@global.server_id AS id, @@global.report_host AS host, @@global.report_port AS port, @@global.read_only AS readOnly';

const refuse = (): never => {
  throw new Error('asks for another way to authenticate than mysql_native_password');
};

function readAnswer(row: RowDataPacket | undefined): Answered {
  const serverId = Number(row?.id);
  if (!row || !Number.isInteger(serverId)) return { by: 'nobody', reason: 'the answer has no server id' };
  const host: unknown = row.host;
  const isTold = typeof host === 'string' && host !== '';
  return {
    by: 'server',
    serverId,
    reportedAs: isTold ? `${host}:${Number(row.port)}` : null,
    isReadOnly: String(row.readOnly) !== '0' && row.readOnly !== 'OFF',
  };
}

/** A server's refusal has a number; what the network says has a word. */
function reasonOf(error: unknown): string {
  const { code, errno, sqlMessage, message } = error as {
    readonly code?: string;
    readonly errno?: number;
    readonly sqlMessage?: string;
    readonly message?: string;
  };
  if (sqlMessage !== undefined) return `refuses with ${errno ?? code}: ${sqlMessage}`;
  return code === FOREIGN ? String(message) : `failed: ${code ?? message}`;
}
