import { FleetError } from '../../src/errors.ts';

/** What was last written to a key. `kept` has no ttl, so it is owed until it is deleted or written with one. */
export interface Entry {
  readonly kind: 'kept' | 'passing' | 'deleted';
  /**
   * Grows with every write of the key: of two entries the one with the higher version is the later. It is the time of the
   * write, in microseconds since 1970, unless a clock was behind what was written before.
   */
  readonly version: number;
  readonly text: string;
  /** Of what is passing. */
  readonly ttlMs?: number;
}

export const VERSIONS_PER_MS = 1000;

/** An entry as it stands in the shared store, with the epoch that its writer was in. */
export interface Framed {
  readonly epoch: string;
  readonly entry: Entry;
}

const MARKS = { kept: '=', passing: '~', deleted: '-' } as const satisfies Record<Entry['kind'], string>;
const KINDS: ReadonlyMap<string, Entry['kind']> = new Map([
  ['=', 'kept'],
  ['~', 'passing'],
  ['-', 'deleted'],
]);
const HEAD = /^([=~-])([\w-]+) (\d{1,16}) /;

export const frame = (epoch: string, { kind, version, text }: Entry): string => `${MARKS[kind]}${epoch} ${version} ${text}`;

/** A counter of the shared store is bare digits, which no frame is. */
export const isCounter = (raw: string): boolean => /^\d+$/.test(raw);

/** @throws FleetError ER0228 for what no journaled store has written */
export function unframe(key: string, raw: string): Framed {
  const [head, mark, epoch, version] = HEAD.exec(raw) ?? [];
  const kind = KINDS.get(mark ?? '');
  if (head === undefined || epoch === undefined || kind === undefined) {
    throw new FleetError(
      'ER0228',
      `key ${JSON.stringify(key)} of the shared store was not written by a journaled one, which needs a prefix of its own`,
    );
  }
  return { epoch, entry: { kind, version: Number(version), text: raw.slice(head.length) } };
}
