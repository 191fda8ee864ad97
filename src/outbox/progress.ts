import type { Store } from '../contracts.ts';
import type { KnownCode } from '../domain/codes.ts';
import { asInstant, type EntityKey, type Instant } from '../domain/identity.ts';
import { FleetError } from '../errors.ts';
import type { Log } from './log.ts';

/** Where a reader of the log stands, and how often it has failed there. */
export interface Place {
  readonly at: number;
  /** Failed deliveries of what stands here. */
  readonly attempts: number;
  /** No delivery before that. */
  readonly notBefore: Instant;
}

/** What was given up for now: a batch that its doctor did not take. */
export interface Parking {
  /** The batch's id. */
  readonly batch: string;
  readonly since: Instant;
  readonly attempts: number;
  /** How many changes there are in the batch. */
  readonly changes: number;
  readonly code: KnownCode;
  readonly message: string;
}

/**
 * A reader of its own for the entities of a batch that was parked: what comes of them later waits behind that batch, in order,
 * while the doctor's own reader goes on without them.
 */
export interface Hold extends Place {
  /** The id of the batch that it began with. */
  readonly id: string;
  readonly keys: readonly EntityKey[];
  readonly parked: Parking | null;
}

/** How far one doctor has been told. */
export interface Progress {
  readonly own: Place;
  readonly holds: readonly Hold[];
  /** The place after the last one that was taken. */
  readonly end: number;
}

/** The progress of one doctor in the store. What writes says false where somebody else has written since the last `load`. */
export interface ProgressStore {
  load(): Promise<Progress>;
  move(progress: Progress, own: Place): Promise<boolean>;
  moveHold(hold: Hold, to: Partial<Hold>): Promise<boolean>;
  /** Leaves a batch to a new hold, and moves on. */
  hold(progress: Progress, hold: Hold): Promise<boolean>;
  /** Ends a hold that has come as far as the doctor's own reader. */
  release(progress: Progress, hold: Hold): Promise<boolean>;
}

interface OwnRecord extends Place {
  readonly version: 1;
  readonly holds: readonly Pick<Hold, 'id' | 'at'>[];
}

interface HoldRecord extends Hold {
  readonly version: 1;
}

/** At a place where nothing has been tried yet. */
export const arrivedAt = (at: number): Place => ({ at, attempts: 0, notBefore: asInstant(0) });

export function createProgress(store: Store, log: Log, doctor: string): ProgressStore {
  const ownKey = `d:at:${doctor}`;
  const holdKey = (id: string): string => `d:hold:${doctor}:${id}`;
  /** What stands in the store as far as we know: all that a write may replace. */
  const known = new Map<string, string | null>();

  async function read<Kept extends { readonly version: 1 }>(key: string): Promise<Kept | null> {
    const text = await store.get(key);
    known.set(key, text);
    return text === null ? null : recordOf<Kept>(key, text);
  }

  async function write(key: string, record: OwnRecord | HoldRecord): Promise<boolean> {
    const before = known.get(key) ?? null;
    const text = JSON.stringify(record);
    const isWritten = before === null ? await store.add(key, text) : await store.swap(key, before, text);
    if (isWritten) known.set(key, text);
    return isWritten;
  }

  const writeOwn = ({ own, holds }: Pick<Progress, 'own' | 'holds'>): Promise<boolean> =>
    write(ownKey, { version: 1, ...own, holds: holds.map(({ id, at }) => ({ id, at })) });

  return {
    async load() {
      const record = await read<OwnRecord>(ownKey);
      const { first, last } = await log.bounds();
      const listed = record?.holds ?? [];
      const found = await Promise.all(listed.map(({ id }) => read<HoldRecord>(holdKey(id))));
      const holds = found.flatMap((hold) => hold ?? []);
      const lost = listed.filter((_, i) => found[i] === null).map(({ at }) => at);
      // Where the store has lost a hold, all since then is told again: rather twice than never.
      const at = Math.min(record?.at ?? first, ...lost);
      const end = last + 1;
      const { attempts, notBefore } = record ?? arrivedAt(at);
      return { own: at >= first && at <= end ? { at, attempts, notBefore } : arrivedAt(first), holds, end };
    },
    move: ({ holds }, own) => writeOwn({ own, holds }),
    moveHold: (hold, to) => write(holdKey(hold.id), { version: 1, ...hold, ...to }),
    async hold({ holds }, hold) {
      await store.set(holdKey(hold.id), JSON.stringify({ version: 1, ...hold } satisfies HoldRecord));
      return writeOwn({ own: arrivedAt(hold.at + 1), holds: [...holds, hold] });
    },
    async release({ own, holds }, hold) {
      const isReleased = await writeOwn({ own, holds: holds.filter(({ id }) => id !== hold.id) });
      if (isReleased) await store.delete(holdKey(hold.id));
      return isReleased;
    },
  };
}

function recordOf<Kept extends { readonly version: 1 }>(key: string, text: string): Kept {
  const record: unknown = JSON.parse(text);
  if (typeof record === 'object' && record !== null && 'version' in record && record.version === 1) return record as Kept;
  throw new FleetError('ER0228', `the record ${key} is of another version than 1, which this fleet knows; it was left as it is`);
}
