import { Client, type Response, Server, Utils } from 'memjs';
import { FleetError, messageOf } from '../../src/errors.ts';
import type { Address } from './address.ts';
import type { Reply, Request } from './protocol.ts';

export interface Connection {
  /** Sends one request, once. Rejects with ER0228 where no usable answer came in time: then its outcome is unknown. */
  send(request: Request): Promise<Reply>;
  /** Gives the present connection up; what is in flight on it fails. */
  renew(): void;
  close(): void;
  isClosed(): boolean;
}

/** One memjs client on one server. It is never used again after an error: its buffer may hold half an answer. */
interface Link {
  readonly client: Client;
  readonly server: Server;
  sequence: number;
}

const CAS_OFFSET = 16;
/** memjs's own timeouts leave a socket behind, so ours must be the first to pass. */
const MEMJS_TIMEOUT_FACTOR = 4;

export function connect({ host, port, text: where }: Address, deadlineMs: number): Connection {
  let current: Link | null = null;
  let closed = false;

  const open = (): Link => {
    const server = new Server(host, port, undefined, undefined, {
      timeout: (deadlineMs * MEMJS_TIMEOUT_FACTOR) / 1000,
      keepAlive: true,
    });
    // One attempt: memjs would repeat an increment whose answer was lost. Silent: errors are thrown, not printed.
    const client = new Client([server], { retries: 1, logger: { log() {} } });
    return { client, server, sequence: 0 };
  };

  const giveUp = (link: Link, cause: Error): void => {
    if (current === link) current = null;
    // `close()` would wait for a peer that may never speak again; `error()` destroys the socket and fails what is in flight.
    link.server.error(cause);
  };

  const send = ({ opcode, key, extras, value, cas }: Request): Promise<Reply> =>
    new Promise((resolve, reject) => {
      if (closed) {
        reject(new FleetError('ER0228', `the store at ${where} is closed`));
        return;
      }
      current ??= open();
      const link = current;
      link.sequence = (link.sequence + 1) >>> 0;
      const buffer = Utils.makeRequestBuffer(opcode, key, extras, value, link.sequence);
      cas?.copy(buffer, CAS_OFFSET);

      let settled = false;
      const settle = (error: Error | null, response: Response | null): void => {
        if (settled) return;
        settled = true;
        clearTimeout(deadline);
        if (error === null && response !== null && response.header.opcode === opcode) {
          resolve({ status: response.header.status, cas: response.header.cas, value: response.val });
          return;
        }
        const cause = error ?? new Error('the answer belongs to another request');
        giveUp(link, cause);
        reject(new FleetError('ER0228', `no answer of ${where} about ${key}: ${messageOf(cause)}`, { retryable: true, cause }));
      };

      // An event loop that was blocked runs its timers before its sockets: an answer that is already there still counts.
      const expire = () => setImmediate(() => settle(new Error(`nothing within ${deadlineMs} ms`), null));
      const deadline = setTimeout(expire, deadlineMs);
      link.client.perform(key, buffer, link.sequence, settle);
    });

  return {
    send,
    renew() {
      if (current !== null) giveUp(current, new Error('the connection was given up'));
    },
    close() {
      closed = true;
      if (current !== null) giveUp(current, new Error('the store was closed'));
    },
    isClosed: () => closed,
  };
}
