/** Every number of the library, once, each with its unit in the name. */
export interface Policy {
  /** Misses before an entity that was up counts as unreachable, and complete readings before one that is missing counts as gone. */
  readonly tolerance: number;
  /** A view whose read began no longer ago than this may fire an action that was armed after it. */
  readonly freshMs: number;
  /** Own intervals without a heartbeat before a source counts as silent. */
  readonly silentIntervals: number;
  /** The interval assumed of a source that pushes, until it has shown its own. */
  readonly pushEveryMs: number;
  /** How far a source's own time may be from the fleet's. */
  readonly skewMs: number;
  /** How long what is gone and unwatched is remembered. */
  readonly retainMs: number;
  /** How old a cloud's word may be while somebody waits for what is on its way there. */
  readonly readMovingMs: number;
  /** The same while somebody waits for what does not move. */
  readonly readStableMs: number;
  /** How long one read of one driver may take. */
  readonly observeMs: number;
  /** How long a driver may take to accept a call; over a shell, that is how long the command may run. */
  readonly callMs: number;
  /** How long after its acceptance a call may take to show in an observation. */
  readonly settleMs: number;
  /** How long an operation waits for what its next rung needs elsewhere. */
  readonly needsMs: number;
  /** Tries of one call within one operation. */
  readonly callAttempts: number;
  /** Tries of a whole action. */
  readonly attempts: number;
  /** First wait after a failure; it doubles with each. */
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  /** How long an action waits before it expires, unless it says otherwise. */
  readonly expiresMs: number;
  /** How long the record of an ended action is kept. */
  readonly historyMs: number;
  /** A rival may take the leader's lease after seeing it unchanged for this long on its own clock. */
  readonly leaseMs: number;
  /** How long a claim on an action lasts without renewal. */
  readonly claimMs: number;
  /** How long an index entry without its item is waited for. */
  readonly graceMs: number;
  /** Tries of one batch of changes before it is parked for its doctor. */
  readonly deliverAttempts: number;
  /** How long a doctor may take for one batch. */
  readonly deliverMs: number;
  /** How often the global heartbeat is stored at most. */
  readonly storeEveryMs: number;
  /** How long a maintenance lasts that does not say so. */
  readonly maintenanceMs: number;
  /** How long one may last at most: whoever forgets it has forgotten it no longer than this. */
  readonly maintenanceMaxMs: number;
  /** How long a loss has to last before it is recovered from. */
  readonly dwellMs: number;
  /** In how many readings it has to be seen before that. */
  readonly dwellReadings: number;
  /** How long the next recovery waits after one that did not last; it doubles with each, for each service and cause. */
  readonly holdDownMs: number;
  readonly holdDownMaxMs: number;
  /** Recoveries of one service from one cause that did not last, before a person has to acknowledge it. */
  readonly recoveries: number;
  /** How long a service has to be well for its recoveries to be forgotten. */
  readonly wellMs: number;
  /** So many losses of a cluster at once are acted on in any case, */
  readonly radiusLeast: number;
  /** and so many in a hundred of its services; where more are lost they are only observed. */
  readonly radiusPercent: number;
  /** Recoveries under way in one cluster. */
  readonly recoveriesAtOnce: number;
  /** How long a recovery may take. */
  readonly recoveryMs: number;
  /** Of provider, ssh, SQL from here and SQL from its replicas, so many have to say that a master is lost before another takes its place. */
  readonly witnesses: number;
  /** Where an inspector watches: entities and actions beyond which quiet ones are no actors. Elsewhere only those held are. */
  readonly liveActors: number;
  /** Entities handled in one turn of the event loop. */
  readonly turnSize: number;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

export const DEFAULT_POLICY: Policy = {
  tolerance: 2,
  freshMs: 5 * SECOND,
  silentIntervals: 3,
  pushEveryMs: 10 * SECOND,
  skewMs: 5 * MINUTE,
  retainMs: HOUR,
  readMovingMs: 2 * SECOND,
  readStableMs: 30 * SECOND,
  observeMs: 10 * SECOND,
  callMs: 15 * MINUTE,
  settleMs: 5 * MINUTE,
  needsMs: 30 * MINUTE,
  callAttempts: 3,
  attempts: 3,
  backoffMs: 2 * SECOND,
  backoffMaxMs: 2 * MINUTE,
  expiresMs: 24 * HOUR,
  historyMs: 24 * HOUR,
  leaseMs: 15 * SECOND,
  claimMs: 30 * SECOND,
  graceMs: 5 * SECOND,
  deliverAttempts: 8,
  deliverMs: 30 * SECOND,
  storeEveryMs: 5 * SECOND,
  maintenanceMs: HOUR,
  maintenanceMaxMs: 7 * 24 * HOUR,
  dwellMs: 20 * SECOND,
  dwellReadings: 3,
  holdDownMs: MINUTE,
  holdDownMaxMs: HOUR,
  recoveries: 5,
  wellMs: 2 * HOUR,
  radiusLeast: 2,
  radiusPercent: 30,
  recoveriesAtOnce: 1,
  recoveryMs: 30 * MINUTE,
  witnesses: 3,
  liveActors: 10_000,
  turnSize: 2_000,
};

/** A timer waits for no longer. */
const LONGEST_MS = 2 ** 31 - 1;

const RANGES: Readonly<Partial<Record<keyof Policy, readonly [least: number, most: number]>>> = {
  tolerance: [1, 1000],
  silentIntervals: [1, 1000],
  observeMs: [1, LONGEST_MS],
  callMs: [1, LONGEST_MS],
  callAttempts: [1, 1000],
  attempts: [1, 1000],
  leaseMs: [1, LONGEST_MS],
  deliverAttempts: [1, 1000],
  deliverMs: [1, LONGEST_MS],
  dwellReadings: [1, 1000],
  recoveries: [1, 1000],
  radiusLeast: [0, 100_000],
  radiusPercent: [0, 100],
  recoveriesAtOnce: [1, 1000],
  recoveryMs: [1, LONGEST_MS],
  witnesses: [1, 4],
  turnSize: [1, LONGEST_MS],
};

/** From where to where a number of the policy means anything. */
export const rangeOf = (name: keyof Policy): readonly [least: number, most: number] => RANGES[name] ?? [0, LONGEST_MS];

/** What is wrong with the numbers of a policy, or null. */
export function wrongIn(policy: Partial<Policy>): string | null {
  for (const [name, found] of Object.entries(policy) as [keyof Policy, unknown][]) {
    if (!Object.hasOwn(DEFAULT_POLICY, name))
      return `policy.${name} is unknown; known are ${Object.keys(DEFAULT_POLICY).join(', ')}`;
    const [least, most] = rangeOf(name);
    if (typeof found !== 'number' || !(found >= least && found <= most))
      return `policy.${name} is ${typeof found === 'string' ? JSON.stringify(found) : String(found)}; allowed is a number from ${least} to ${most}`;
  }
  return null;
}

/**
 * The wait before try `attempt` (from 1): doubling, capped, and spread over its upper half by `seed`,
 * so that what failed together does not come back together, yet a restored chart waits as long as before.
 */
export function backoffMs(limits: Pick<Policy, 'backoffMs' | 'backoffMaxMs'>, attempt: number, seed: string): number {
  const full = Math.min(limits.backoffMaxMs, limits.backoffMs * 2 ** Math.min(attempt - 1, 30));
  let hash = attempt;
  for (let i = 0; i < seed.length; i++) hash = (Math.imul(hash, 31) + seed.charCodeAt(i)) >>> 0;
  return Math.round(full / 2 + (full / 2) * ((hash % 1024) / 1023));
}
