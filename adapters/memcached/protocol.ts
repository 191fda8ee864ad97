/** The part of memcached's binary protocol that the store speaks: opcodes and statuses of its specification. */
export const OPCODE = { get: 0x00, set: 0x01, add: 0x02, delete: 0x04, increment: 0x05 } as const;

export const STATUS = {
  ok: 0x00,
  notFound: 0x01,
  exists: 0x02,
  tooLarge: 0x03,
  notStored: 0x05,
  notNumeric: 0x06,
  outOfMemory: 0x82,
} as const;

export const STATUS_TEXTS: ReadonlyMap<number, string> = new Map([
  [STATUS.tooLarge, 'value too large'],
  [0x04, 'invalid arguments'],
  [STATUS.notNumeric, 'not a counter'],
  [0x08, 'authentication failed'],
  [0x20, 'authentication needed'],
  [0x81, 'unknown command'],
  [STATUS.outOfMemory, 'out of memory'],
  [0x84, 'internal error'],
  [0x85, 'busy'],
  [0x86, 'temporary failure'],
]);

export interface Request {
  readonly opcode: number;
  readonly key: string;
  readonly extras: Buffer;
  readonly value: Buffer;
  /** The token of an earlier read: the server refuses the request if the value was written since. */
  readonly cas?: Buffer;
}

export interface Reply {
  readonly status: number;
  readonly cas: Buffer;
  readonly value: Buffer;
}
