import type { Answer, Doctor } from '../contracts.ts';
import { withinDeadline } from '../deadline.ts';
import type { KnownCode } from '../domain/codes.ts';
import { excerpt } from '../domain/excerpt.ts';
import type { Problem } from '../domain/heartbeat.ts';
import { asInstant, type EntityKey, type Instant } from '../domain/identity.ts';
import { backoffMs, type Policy } from '../domain/policy.ts';
import type { Change } from '../domain/view.ts';
import { isFleetError, messageOf } from '../errors.ts';
import { batchOf, changesOf, keysOf } from './batches.ts';
import type { Log } from './log.ts';
import { arrivedAt, type Hold, type Parking, type Place, type Progress, type ProgressStore } from './progress.ts';

export type DeliveryPolicy = Pick<Policy, 'backoffMs' | 'backoffMaxMs'> & {
  /** Tries of one batch before it is parked. */
  readonly deliverAttempts: number;
  /** How long a doctor may take for one batch. */
  readonly deliverMs: number;
};

/** What one doctor is told, batch after batch. */
export interface Delivery {
  /** Tells all that is due. @returns the place of the oldest batch that the doctor is still owed */
  run(): Promise<number>;
}

/** A part of the log that is told in order: all but what is held, or what one hold keeps. */
interface Reader {
  readonly place: Place;
  readonly isParked: boolean;
  /** The place after the last one that it may read. */
  readonly end: number;
  reads(key: EntityKey): boolean;
  move(to: Place): Promise<boolean>;
  park(at: number, changes: readonly Change[], parking: Parking): Promise<boolean>;
  /** There was nothing for it up to a place. @returns whether others may go on from here */
  arrive(at: number): Promise<boolean>;
}

/** The longest wait that a doctor may ask for. */
const LONGEST_WAIT_MS = 3_600_000;

export function createDelivery(fleet: {
  readonly doctor: Doctor;
  readonly log: Log;
  readonly progress: ProgressStore;
  readonly policy: DeliveryPolicy;
  readonly now: () => Instant;
  readonly mayGoOn: () => boolean;
  readonly stopping: AbortSignal;
  readonly onAnswer: (answer: Answer, key: string) => Promise<unknown>;
  readonly onParked: (keys: readonly EntityKey[], parking: Parking) => void;
  readonly onProblem: (problem: Problem) => void;
}): Delivery {
  const { doctor, log, policy, now } = fleet;

  function readersOf(progress: Progress): readonly Reader[] {
    const held = new Set(progress.holds.flatMap(({ keys }) => keys));
    const own: Reader = {
      place: progress.own,
      isParked: false,
      end: progress.end,
      reads: (key) => !held.has(key),
      move: (to) => fleet.progress.move(progress, to),
      park(at, changes, parking) {
        return fleet.progress.hold(progress, { ...arrivedAt(at), id: parking.batch, keys: keysOf(changes), parked: parking });
      },
      async arrive(at) {
        if (at > progress.own.at) await fleet.progress.move(progress, arrivedAt(at));
        return false;
      },
    };
    return [...progress.holds.map((hold) => readerOf(hold, progress)), own].sort((a, b) => a.place.at - b.place.at);
  }

  function readerOf(hold: Hold, progress: Progress): Reader {
    const keys = new Set(hold.keys);
    return {
      place: hold,
      isParked: hold.parked !== null,
      end: progress.own.at,
      reads: (key) => keys.has(key),
      move: (to) => fleet.progress.moveHold(hold, to),
      park: (at, _, parked) => fleet.progress.moveHold(hold, { ...arrivedAt(at), parked }),
      arrive: async (at) => at >= progress.own.at && fleet.progress.release(progress, hold),
    };
  }

  /** The first changes for a reader, and where they stand; or how far there is nothing for it. */
  async function seek(reader: Reader): Promise<{ readonly at: number; readonly changes: readonly Change[] }> {
    for (let at = reader.place.at; at < reader.end; at++) {
      const entry = await log.read(at, now());
      if (entry.is === 'pending') {
        await awaitTogether(at + 1, reader.end);
        return { at, changes: [] };
      }
      const all = entry.is === 'text' ? (changesOf(entry.text) ?? (await unreadable(at, entry.text))) : [];
      const changes = all.filter(({ key }) => reader.reads(key));
      if (changes.length > 0) return { at, changes };
    }
    return { at: reader.end, changes: [] };
  }

  /** The places of a gap are waited for at the same time: a counter that was lost goes on far above what it had counted. */
  async function awaitTogether(from: number, end: number): Promise<void> {
    let at = from;
    while (at < end && (await log.read(at, now())).is === 'pending') at++;
  }

  async function unreadable(at: number, text: string): Promise<readonly Change[]> {
    const key = await log.setAside(at, text);
    const message = `changes in the store are of another version than 1, which this fleet knows; they were kept as ${key}`;
    fleet.onProblem({ subject: `doctors/${doctor.name}`, code: 'ER0228', message });
    return [];
  }

  /** @returns whether there may be more to do at once */
  async function advance(reader: Reader): Promise<boolean> {
    if (reader.isParked || now() < reader.place.notBefore) return false;
    const { at, changes } = await seek(reader);
    if (changes.length === 0) return reader.arrive(at);
    const batch = batchOf(changes);
    const failure = await tell(batch);
    if (failure === null) return reader.move(arrivedAt(at + 1));
    if (fleet.stopping.aborted) return false;
    const attempts = (at === reader.place.at ? reader.place.attempts : 0) + 1;
    if (failure.isRetryable && attempts < policy.deliverAttempts) {
      const wait = Math.max(failure.waitMs, backoffMs(policy, attempts, `${doctor.name} ${batch.id}`));
      return reader.move({ at, attempts, notBefore: asInstant(now() + wait) });
    }
    const { code, message } = failure;
    const parking: Parking = { batch: batch.id, since: now(), attempts, changes: changes.length, code, message };
    const isParked = await reader.park(at, changes, parking);
    if (isParked) fleet.onParked(keysOf(changes), parking);
    return isParked;
  }

  async function tell(batch: { readonly id: string; readonly changes: readonly Change[] }): Promise<Failure | null> {
    try {
      const answer = await withinDeadline(policy.deliverMs, doctor.name, fleet.stopping, (signal) =>
        doctor.deliver(batch, signal),
      );
      if (answer && answer.length > 0) await fleet.onAnswer(answer, batch.id);
      return null;
    } catch (error) {
      return failureOf(error);
    }
  }

  return {
    async run() {
      for (;;) {
        const progress = await fleet.progress.load();
        const readers = readersOf(progress);
        if (!(fleet.mayGoOn() && (await someAdvances(readers)))) return Math.min(...readers.map(({ place }) => place.at));
      }
    },
  };

  /** The oldest that is due comes first; after it, all is looked at anew. */
  async function someAdvances(readers: readonly Reader[]): Promise<boolean> {
    for (const reader of readers) if (await advance(reader)) return true;
    return false;
  }
}

interface Failure {
  readonly isRetryable: boolean;
  /** How long the doctor wants to be left alone. */
  readonly waitMs: number;
  readonly code: KnownCode;
  readonly message: string;
}

const failureOf = (error: unknown): Failure => ({
  isRetryable: !isFleetError(error) || error.retryable,
  waitMs: Math.min(retryAfterOf(error), LONGEST_WAIT_MS),
  code: isFleetError(error) ? error.code : 'ER0018',
  message: excerpt(messageOf(error)),
});

function retryAfterOf(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('retryAfterMs' in error)) return 0;
  return typeof error.retryAfterMs === 'number' && error.retryAfterMs > 0 ? error.retryAfterMs : 0;
}
