import type { Answer, Doctor, Store } from './contracts.ts';
import type { KnownCode } from './domain/codes.ts';
import type { Problem } from './domain/heartbeat.ts';
import { asInstant, type EntityKey, type Instant, isName } from './domain/identity.ts';
import type { Policy } from './domain/policy.ts';
import type { Change } from './domain/view.ts';
import { FleetError } from './errors.ts';
import { textsOf } from './outbox/batches.ts';
import { createDelivery, type DeliveryPolicy } from './outbox/delivery.ts';
import { createLog } from './outbox/log.ts';
import { createProgress, type Hold, type Parking } from './outbox/progress.ts';
import { createCoalesced, createTurns } from './turns.ts';

/** A batch that a doctor did not take, past `policy.deliverAttempts` or for good. What comes of its entities later waits behind it. */
export interface Parked {
  /** `<doctor>:<batch>`, for `redeliver` and `dismiss`. */
  readonly id: string;
  readonly doctor: string;
  readonly batch: string;
  readonly keys: readonly EntityKey[];
  readonly since: Instant;
  readonly attempts: number;
  /** How many changes there are in the batch. */
  readonly changes: number;
  readonly code: KnownCode;
  readonly message: string;
}

/**
 * What the doctors are to be told, in the store: what was posted outlives the process, and is delivered by whoever leads.
 *
 * Every doctor is told on its own: in order per entity, at least once, one batch at a time. A batch that fails is tried again with
 * backoff; past its attempts, or where its failure is final, it is parked. Then its entities wait behind it until it is redelivered
 * or dismissed, and those of other entities go on.
 */
export interface Outbox {
  /**
   * Stores changes, and lets their delivery begin. Resolves once they are stored, which waits for no doctor; where the store
   * fails it rejects, keeps them in memory and stores them with the next `post` or `pump`.
   */
  post(changes: readonly Change[]): Promise<void>;
  /** Whether changes are still in memory alone. */
  readonly isBehind: boolean;
  /** Lets everything that is due be delivered, beside the caller; called on each beat. Only the leader delivers. */
  pump(): void;
  parked(): Promise<readonly Parked[]>;
  /** Lets a parked batch be tried again. @throws FleetError ER0205 where none has this id */
  redeliver(id: string): Promise<void>;
  /** Gives a parked batch up for good. @throws FleetError ER0205 where none has this id */
  dismiss(id: string): Promise<void>;
  /** Resolves once nothing is being stored or delivered. */
  idle(): Promise<void>;
  /** Ends all deliveries; what was under way is delivered again by whoever leads next. */
  stop(): Promise<void>;
}

export interface OutboxOptions {
  readonly store: Store;
  readonly doctors: readonly Doctor[];
  readonly policy: DeliveryPolicy & Pick<Policy, 'graceMs' | 'historyMs'>;
  readonly now: () => Instant;
  readonly isLeader: () => boolean;
  /**
   * Does what a doctor answered. Its batch counts as delivered only afterwards, so that it may be asked for the same again:
   * `key` is the batch's id, and serves as the key of all that is armed.
   */
  readonly onAnswer: (answer: Answer, from: { readonly doctor: string; readonly key: string }) => Promise<unknown>;
  readonly onParked: (parked: Parked) => void;
  readonly onProblem: (problem: Problem) => void;
  /** Told where the store failed; everything is tried again with the next `pump`. */
  readonly onStoreError: (error: unknown) => void;
  /** Gives way to the event loop between two batches. */
  readonly yieldTurn: () => Promise<void>;
}

/** @throws FleetError ER0230 where a doctor's name cannot be one, or is there twice */
export function createOutbox(options: OutboxOptions): Outbox {
  const { store, doctors, policy, now, isLeader } = options;
  refuseNames(doctors.map(({ name }) => name));
  const log = createLog(store, policy);
  const stopping = new AbortController();
  const inTurn = createTurns();
  let unposted: readonly Change[] = [];
  /** The oldest batch that each doctor is still owed. */
  const oldest = new Map<string, number>();
  let forgottenBefore = 0;
  const underWay = new Set<Promise<void>>();

  const runs = doctors.map((doctor) => {
    const delivery = createDelivery({
      doctor,
      log,
      progress: createProgress(store, log, doctor.name),
      policy,
      now,
      mayGoOn: () => isLeader() && !stopping.signal.aborted,
      stopping: stopping.signal,
      onAnswer: (answer, key) => options.onAnswer(answer, { doctor: doctor.name, key }),
      onParked: (keys, parking) => options.onParked(parkedOf(doctor.name, keys, parking)),
      onProblem: options.onProblem,
    });
    return createCoalesced(async () => {
      try {
        oldest.set(doctor.name, await delivery.run());
        await forget();
      } catch (error) {
        options.onStoreError(error);
      }
    });
  });

  /** Removes what every doctor has. */
  async function forget(): Promise<void> {
    const owed = Math.min(...oldest.values());
    if (oldest.size < doctors.length || owed <= forgottenBefore) return;
    forgottenBefore = owed;
    await inTurn(() => log.forget(owed));
  }

  async function storeUnposted(): Promise<void> {
    for (const { text, count } of textsOf(unposted)) {
      await log.append(text);
      unposted = unposted.slice(count);
      if (unposted.length > 0) await options.yieldTurn();
    }
  }

  function deliver(): void {
    if (!isLeader() || stopping.signal.aborted) return;
    for (const run of runs) track(run());
  }

  function track(work: Promise<void>): void {
    underWay.add(work);
    void work.finally(() => underWay.delete(work));
  }

  async function idle(): Promise<void> {
    await inTurn(async () => {});
    while (underWay.size > 0) await Promise.all(underWay);
  }

  async function holds(): Promise<readonly { readonly doctor: string; readonly hold: Hold; readonly parking: Parking }[]> {
    const each = doctors.map(async ({ name }) => {
      const progress = await createProgress(store, log, name).load();
      return progress.holds.flatMap((hold) => (hold.parked ? [{ doctor: name, hold, parking: hold.parked }] : []));
    });
    return (await Promise.all(each)).flat();
  }

  /** Lets a hold go on, unless somebody else was first. */
  async function decide(id: string, change: (hold: Hold) => Partial<Hold>): Promise<void> {
    for (const { name } of doctors) {
      const progress = createProgress(store, log, name);
      const { holds } = await progress.load();
      const hold = holds.find(({ parked }) => parked !== null && idOf(name, parked) === id);
      if (!hold) continue;
      await progress.moveHold(hold, { ...change(hold), attempts: 0, notBefore: asInstant(0), parked: null });
      deliver();
      return;
    }
    throw new FleetError('ER0205', `no parked batch has the id ${JSON.stringify(id)}`);
  }

  return {
    get isBehind() {
      return unposted.length > 0;
    },
    async post(changes) {
      if (doctors.length === 0 || changes.length === 0) return;
      unposted = [...unposted, ...changes];
      await inTurn(storeUnposted);
      deliver();
    },
    pump() {
      if (unposted.length > 0) track(inTurn(storeUnposted).then(deliver, options.onStoreError));
      deliver();
    },
    async parked() {
      return (await holds()).map(({ doctor, hold, parking }) => parkedOf(doctor, hold.keys, parking));
    },
    redeliver: (id) => decide(id, () => ({})),
    dismiss: (id) => decide(id, ({ at }) => ({ at: at + 1 })),
    idle,
    async stop() {
      stopping.abort(new FleetError('ER0232', 'the fleet was stopped', { retryable: true }));
      await idle();
    },
  };
}

const idOf = (doctor: string, { batch }: Parking): string => `${doctor}:${batch}`;

const parkedOf = (doctor: string, keys: readonly EntityKey[], parking: Parking): Parked => ({
  id: idOf(doctor, parking),
  doctor,
  keys,
  ...parking,
});

function refuseNames(names: readonly string[]): void {
  for (const [i, name] of names.entries()) {
    if (!isName(name))
      throw new FleetError('ER0230', `the name of a doctor has letters, digits, . _ -, found ${JSON.stringify(name)}`);
    if (names.indexOf(name) !== i) throw new FleetError('ER0230', `the doctor ${name} is there twice`);
  }
}
