import type { Store } from '../src/contracts.ts';
import { FleetError } from '../src/errors.ts';
import { parseAddress } from './memcached/address.ts';
import { connect } from './memcached/connection.ts';
import { exptime } from './memcached/exptime.ts';
import { frame, unframe } from './memcached/frame.ts';
import { checkedPrefix, wireKey } from './memcached/keys.ts';
import { OPCODE, type Reply, type Request, STATUS, STATUS_TEXTS } from './memcached/protocol.ts';

export interface MemcachedOptions {
  /**
   * The server: `host`, `host:port` or `[ipv6]:port`; port 11211 unless said. Exactly one: what is swapped and counted here
   * carries leases, and over several servers two owners could hold the same one.
   */
  readonly servers: string;
  /** Stands before every key: printable ASCII, at most 100 characters. Default `fleetbeat:`. No fleet's may start with another's. */
  readonly prefix?: string;
  /** How long one operation may take, in milliseconds; a read is tried twice. Default 1000. */
  readonly deadlineMs?: number;
  /** The server's own limit of an item (`memcached -I`), in bytes. Default 1 MiB. */
  readonly itemBytes?: number;
}

const MIB = 1024 * 1024;
/** What memcached counts as part of an item beside key and value (59 bytes in 1.6), rounded up. */
const ITEM_OVERHEAD_BYTES = 128;
/** How often a swap looks again at a value that was written anew without being changed. */
const SWAP_ATTEMPTS = 8;
const NO_BYTES = Buffer.alloc(0);

/**
 * A store in memcached, over the optional peer `memjs`. The server forgets everything when it restarts, and may evict: run it
 * dedicated and with `-M`. A ttl is kept for at least as long as asked, and up to two seconds more. Credentials for SASL are
 * those that memjs finds in `MEMCACHIER_USERNAME` and `MEMCACHIER_PASSWORD`.
 *
 * @throws FleetError ER0230 for an address, a prefix or a limit that cannot be used, or a server without compare-and-swap;
 * ER0222 for a ttl that is not a positive number; ER0223 for a value over the limit, before it is sent, so that the old value
 * remains; ER0228 when the server fails, retryable unless the store is closed or the key holds no counter. When a write fails
 * so, whether it took effect is unknown.
 * @example
 * ```ts
 * const store = memcached({ servers: '127.0.0.1:11211', prefix: 'shop:' });
 * ```
 */
export function memcached(options: MemcachedOptions): Store {
  const address = parseAddress(options.servers);
  const prefix = checkedPrefix(options.prefix ?? 'fleetbeat:');
  const connection = connect(address, positive('deadlineMs', options.deadlineMs ?? 1000));
  const roomBytes = positive('itemBytes', options.itemBytes ?? MIB) - ITEM_OVERHEAD_BYTES;

  const send = async (request: Request): Promise<Reply> => {
    const reply = await connection.send(request);
    if (OUTCOMES.has(reply.status)) return reply;
    if (!ANSWERS.has(reply.status)) connection.renew();
    const reason = STATUS_TEXTS.get(reply.status) ?? `status ${reply.status}`;
    throw new FleetError('ER0228', `${address.text} answered a request for ${request.key} with: ${reason}`, {
      retryable: reply.status !== STATUS.notNumeric,
    });
  };

  const read = async (key: string): Promise<{ text: string; cas: Buffer } | null> => {
    const reply = await send({ opcode: OPCODE.get, key, extras: NO_BYTES, value: NO_BYTES });
    if (reply.status === STATUS.notFound) return null;
    const text = unframe(key, reply.value);
    if (text !== null) return { text, cas: reply.cas };
    connection.renew();
    throw new FleetError('ER0228', `the value of ${key} at ${address.text} is damaged (${reply.value.length} bytes)`, {
      retryable: true,
    });
  };

  /** A read changes nothing, so what a broken connection interrupted is asked once more, on a new one. */
  const readAgain = (key: string) => read(key).catch((error) => (connection.isClosed() ? Promise.reject(error) : read(key)));

  const write = async (opcode: number, key: string, value: string, ttlMs?: number, cas?: Buffer): Promise<number> => {
    const framed = frame(key, value);
    const excess = key.length + framed.length - roomBytes;
    if (excess > 0) throw new FleetError('ER0223', `the value of ${key} is ${excess} bytes over the limit of ${address.text}`);
    const extras = Buffer.alloc(8);
    extras.writeUInt32BE(exptime(ttlMs, Date.now()), 4);
    const reply = await send({ opcode, key, extras, value: framed, ...(cas && { cas }) });
    return reply.status;
  };

  const remove = async (key: string, cas?: Buffer): Promise<boolean> => {
    const reply = await send({ opcode: OPCODE.delete, key, extras: NO_BYTES, value: NO_BYTES, ...(cas && { cas }) });
    return reply.status === STATUS.ok;
  };

  return {
    async get(key) {
      const found = await readAgain(wireKey(prefix, key));
      return found === null ? null : found.text;
    },

    async set(key, value, ttlMs) {
      await write(OPCODE.set, wireKey(prefix, key), value, ttlMs);
    },

    async add(key, value, ttlMs) {
      return (await write(OPCODE.add, wireKey(prefix, key), value, ttlMs)) === STATUS.ok;
    },

    async swap(key, expected, next, ttlMs) {
      const wire = wireKey(prefix, key);
      for (let attempt = 1; attempt <= SWAP_ATTEMPTS; attempt++) {
        const found = await readAgain(wire);
        if (found === null || found.text !== expected) return false;
        if (found.cas.every((byte) => byte === 0)) {
          throw new FleetError('ER0230', `${address.text} runs without compare-and-swap (-C), which leases need`);
        }
        const swapped =
          next === null ? await remove(wire, found.cas) : (await write(OPCODE.set, wire, next, ttlMs, found.cas)) === STATUS.ok;
        if (swapped) return true;
      }
      throw new FleetError('ER0228', `the value of ${wire} was written anew at each of ${SWAP_ATTEMPTS} tries to swap it`, {
        retryable: true,
      });
    },

    async delete(key) {
      return remove(wireKey(prefix, key));
    },

    async increment(key) {
      const wire = wireKey(prefix, key);
      const extras = Buffer.alloc(20);
      extras.writeBigUInt64BE(1n, 0);
      extras.writeBigUInt64BE(1n, 8);
      for (let attempt = 0; attempt < SWAP_ATTEMPTS; attempt++) {
        const reply = await send({ opcode: OPCODE.increment, key: wire, extras, value: NO_BYTES });
        // Of several that make a new counter at once, memcached lets one and sends the others away.
        if (reply.status === STATUS.notStored) continue;
        const count = reply.value.length === 8 ? Number(reply.value.readBigUInt64BE()) : Number.NaN;
        if (Number.isSafeInteger(count)) return count;
        break;
      }
      throw new FleetError('ER0228', `the counter ${wire} at ${address.text} is beyond what a number can hold`);
    },

    async close() {
      connection.close();
    },
  };
}

/** Answers that an operation expects. */
const OUTCOMES: ReadonlySet<number> = new Set([STATUS.ok, STATUS.notFound, STATUS.exists, STATUS.notStored]);
/** Refusals after which the connection is as good as before. */
const ANSWERS: ReadonlySet<number> = new Set([STATUS.tooLarge, STATUS.notNumeric, STATUS.outOfMemory]);

function positive(option: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  throw new FleetError('ER0230', `the option ${option} of memcached is ${value}, but must be a positive number`);
}
