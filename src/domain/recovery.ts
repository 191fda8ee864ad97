import { type Code, type KnownCode, OK } from './codes.ts';
import type { EntityKey, Instant } from './identity.ts';
import type { Policy } from './policy.ts';

/** What a look at a service that is kept has come to. */
export interface Look {
  readonly key: EntityKey;
  readonly cluster: string | null;
  readonly is:
    | 'well'
    /** It has lost a rung of its own ladder or of its instance's. */
    | 'lost'
    /** The rung that it lacks waits for another service. */
    | 'dependent'
    /** Nobody can say. */
    | 'unseen'
    /** Somebody's command is at work there. */
    | 'commanded'
    | 'held'
    /** It has never been well, or a person has stopped it. */
    | 'not wanted';
  /** What is lost, in a word or two; for whom it waits or who is at work, where nothing is. */
  readonly why: string;
  /** What counts as one loss: the instance where that is lost, the service elsewhere. */
  readonly unit: string;
  /** When the reading began that says so. */
  readonly readAt: Instant;
  /** Why nothing can be done about it at present, or null. */
  readonly cannot: { readonly code: Code; readonly message: string } | null;
  /** Whether something of its recovery is still under way. */
  readonly isActing: boolean;
  /** Who takes its place, where that is what there is to do; else it is started. */
  readonly failsOverTo: string | null;
  /** Whether what is under way only waits, and would wait in vain: the loss has turned out to be another one. */
  readonly isOvertaken: boolean;
}

export type RecoveryState = 'well' | 'off' | 'unseen' | 'suspect' | 'waiting' | 'held-down' | 'acting' | 'gave-up';

/** How often one cause has been recovered from without lasting. */
export interface Fall {
  readonly cause: string;
  readonly count: number;
  /** Not tried again before. */
  readonly heldUntil: Instant;
}

/** What is remembered of one service that is kept. */
export interface Standing {
  readonly state: RecoveryState;
  /** What is lost; null where nothing is. */
  readonly cause: string | null;
  /** Why it is in this state, for a program. */
  readonly code: Code;
  /** The same for a person. */
  readonly reason: string;
  readonly since: Instant;
  /** Since when what it has lost has been lost, also over the recoveries that did not bring it back. */
  readonly lostSince: Instant | null;
  /** When it is looked at anew, where that is known. */
  readonly next: Instant | null;
  readonly falls: readonly Fall[];
  readonly wellSince: Instant | null;
  /** Since when, and in how many readings, it has been lost, and what counts as that loss. */
  readonly lost: { readonly since: Instant; readonly readings: number; readonly readAt: Instant; readonly unit: string } | null;
}

export type RecoveryPolicy = Pick<
  Policy,
  | 'dwellMs'
  | 'dwellReadings'
  | 'holdDownMs'
  | 'holdDownMaxMs'
  | 'recoveries'
  | 'wellMs'
  | 'radiusLeast'
  | 'radiusPercent'
  | 'recoveriesAtOnce'
  | 'recoveryMs'
>;

export interface Decision {
  readonly standings: ReadonlyMap<EntityKey, Standing>;
  /** To be recovered now. */
  readonly act: readonly EntityKey[];
  /** Whose recovery takes too long, or is overtaken, and is to be ended. */
  readonly end: readonly EntityKey[];
  /** The clusters of which too much is lost at once, and how much that is. */
  readonly observedOnly: ReadonlyMap<string | null, string>;
}

/** How many of so many may be acted on at once. */
export const radiusOf = (count: number, policy: Pick<Policy, 'radiusLeast' | 'radiusPercent'>): number =>
  Math.max(policy.radiusLeast, Math.floor((count * policy.radiusPercent) / 100));

/** The wait after so many recoveries that did not last. */
export const holdDownOf = (count: number, policy: Pick<Policy, 'holdDownMs' | 'holdDownMaxMs'>): number =>
  count === 0 ? 0 : Math.min(policy.holdDownMaxMs, policy.holdDownMs * 2 ** Math.min(count - 1, 30));

/** What a state is told as; what waits has a code of what it waits for. */
export const STATE_CODES = {
  well: OK,
  off: 'ER0247',
  unseen: 'ER0200',
  suspect: 'ER0248',
  waiting: 'ER0227',
  'held-down': 'ER0249',
  acting: 'ER0255',
  'gave-up': 'ER0246',
} as const satisfies Record<RecoveryState, Code>;

/** What holds it back that is no loss of its own. */
const HOLDING_CODES = { held: 'ER0238', dependent: 'ER0218', commanded: 'ER0227' } as const satisfies Record<string, KnownCode>;

/** Of a service that was never looked at. */
export const unlooked = (now: Instant): Standing => ({
  state: 'unseen',
  cause: null,
  code: STATE_CODES.unseen,
  reason: 'not looked at yet',
  since: now,
  lostSince: null,
  next: null,
  falls: [],
  wellSince: null,
  lost: null,
});

interface At {
  readonly now: Instant;
  readonly policy: RecoveryPolicy;
}

/** Decides what is recovered now: pure, and the same for the same looks. */
export function decideRecovery(looks: readonly Look[], before: ReadonlyMap<EntityKey, Standing>, at: At): Decision {
  const standings = new Map<EntityKey, Standing>();
  const ready: Look[] = [];
  for (const look of looks) {
    const { standing, isReady } = judge(look, before.get(look.key) ?? unlooked(at.now), at);
    standings.set(look.key, standing);
    if (isReady) ready.push(look);
  }
  const standingOf = (key: EntityKey): Standing => standings.get(key) ?? unlooked(at.now);
  const act: EntityKey[] = [];
  const observedOnly = new Map<string | null, string>();
  for (const [cluster, members] of byCluster(looks)) {
    const candidates = ready
      .filter((look) => look.cluster === cluster)
      .sort((a, b) => lostSince(standingOf(a.key)) - lostSince(standingOf(b.key)) || (a.key < b.key ? -1 : 1));
    if (candidates.length === 0) continue;
    const excess = excessOf(members, standingOf, at.policy);
    if (excess !== null) observedOnly.set(cluster, excess);
    let free = Math.min(at.policy.recoveriesAtOnce, radiusOf(members.length, at.policy));
    free -= members.filter(({ key }) => standingOf(key).state === 'acting').length;
    for (const { key, why, failsOverTo } of candidates) {
      const standing = standingOf(key);
      if (excess !== null) standings.set(key, waiting(standing, { code: 'ER0239', message: `observed only: ${excess}` }, at.now));
      // Whose recovery is under way may wait for the lost master itself.
      else if (free <= 0 && failsOverTo === null) standings.set(key, waiting(standing, OTHERS_FIRST, at.now));
      else {
        free--;
        act.push(key);
        standings.set(key, beginning(standing, why, at.now));
      }
    }
  }
  const isOverdue = ({ since }: Standing) => at.now - since >= at.policy.recoveryMs;
  const isToEnd = ({ key, is, isOvertaken }: Look) =>
    isOvertaken || (!act.includes(key) && (is === 'not wanted' || isOverdue(standingOf(key))));
  const end = looks.filter((look) => look.isActing && isToEnd(look)).map(({ key }) => key);
  return { standings, act, end, observedOnly };
}

const OTHERS_FIRST = { code: 'ER0256', message: 'another recovery of its cluster is under way' } as const;

const lostSince = ({ lost }: Standing): number => lost?.since ?? 0;

function byCluster(looks: readonly Look[]): ReadonlyMap<string | null, readonly Look[]> {
  const clusters = new Map<string | null, Look[]>();
  for (const look of looks) {
    if (look.is === 'not wanted' || look.is === 'held') continue;
    clusters.set(look.cluster, [...(clusters.get(look.cluster) ?? []), look]);
  }
  return clusters;
}

/**
 * Whether more is lost at once than may be acted on, in words. What stands on a lost instance is one loss with it: otherwise the loss
 * of one machine would be too much in every small cluster.
 */
function excessOf(members: readonly Look[], standingOf: (key: EntityKey) => Standing, policy: RecoveryPolicy): string | null {
  const isLost = ({ key, is }: Look) => is === 'lost' || standingOf(key).state === 'acting';
  const lost = new Set(members.filter(isLost).map(({ unit }) => unit)).size;
  const most = radiusOf(members.length, policy);
  return lost > most ? `${lost} losses at once among ${members.length} services, at most ${most} are acted on` : null;
}

/** What comes of one service by itself; it is ready where nothing but the others of its cluster stands in the way. */
function judge(look: Look, before: Standing, at: At): { readonly standing: Standing; readonly isReady: boolean } {
  const { now, policy } = at;
  if (before.state === 'acting') {
    if (look.isActing && !look.isOvertaken)
      return { standing: { ...before, reason: `recovering: ${before.cause}` }, isReady: false };
    return judge(look, ended(before, at), at);
  }
  const rest = (state: RecoveryState, reason: string, more: Partial<Standing> = {}, code: Code = STATE_CODES[state]) => ({
    standing: become({ ...before, lost: null, lostSince: null, cause: null, ...more }, { state, code, reason }, now),
    isReady: false,
  });
  switch (look.is) {
    case 'not wanted':
      return rest('off', look.why, { falls: NONE, wellSince: null });
    case 'held':
    case 'dependent':
    case 'commanded':
      return rest('waiting', look.why, { wellSince: null }, look.cannot?.code ?? HOLDING_CODES[look.is]);
    case 'unseen':
      return rest('unseen', look.why, { wellSince: null });
    case 'well': {
      const wellSince = before.wellSince ?? now;
      const falls = now - wellSince >= policy.wellMs ? NONE : before.falls;
      return rest('well', '', { wellSince, falls });
    }
    case 'lost':
      return judgeLoss(look, before, at);
    default:
      return look.is satisfies never;
  }
}

const NONE: readonly Fall[] = [];

function judgeLoss(
  look: Look,
  before: Standing,
  { now, policy }: At,
): { readonly standing: Standing; readonly isReady: boolean } {
  // Of a service whose instance is back, what was seen of it before says nothing: it begins anew.
  const known = before.lost?.unit === look.unit ? before.lost : null;
  const { since, readings, readAt } = known ?? { since: now, readings: 0, readAt: null };
  const isNews = readAt === null || look.readAt > readAt;
  const lost = { since, readings: readings + Number(isNews), readAt: look.readAt, unit: look.unit };
  const loss = { ...before, lost, lostSince: before.lostSince ?? now, cause: look.why, wellSince: null };
  const not = (state: RecoveryState, reason: string, next: Instant | null = null, code: Code = STATE_CODES[state]) => ({
    standing: become(loss, { state, code, reason, next }, now),
    isReady: false,
  });
  const dueAt = (since + policy.dwellMs) as Instant;
  const isDoubtful = lost.readings < policy.dwellReadings || now < dueAt;
  if (isDoubtful && before.state === 'gave-up')
    return { standing: { ...before, lost, lostSince: loss.lostSince }, isReady: false };
  if (isDoubtful) return not('suspect', `${look.why}: perhaps it does not last`, dueAt);
  const fall = before.falls.find(({ cause }) => cause === look.why);
  if (fall && fall.count >= policy.recoveries)
    return not('gave-up', `${look.why} again after ${fall.count} recoveries; acknowledge it, or start it`);
  if (fall && now < fall.heldUntil) return not('held-down', `${look.why} again after ${fall.count} recoveries`, fall.heldUntil);
  if (look.cannot !== null) return not('waiting', look.cannot.message, null, look.cannot.code);
  return { standing: loss, isReady: true };
}

/** Its recovery is over, well or not; how long the next one waits is settled here, and counts from now. */
function ended(before: Standing, { now, policy }: At): Standing {
  const falls = before.falls.map((fall) =>
    fall.cause === before.cause ? { ...fall, heldUntil: (now + holdDownOf(fall.count, policy)) as Instant } : fall,
  );
  return { ...before, state: 'waiting', falls, lost: null };
}

function beginning(standing: Standing, cause: string, now: Instant): Standing {
  const count = (standing.falls.find((fall) => fall.cause === cause)?.count ?? 0) + 1;
  const falls = [...standing.falls.filter((fall) => fall.cause !== cause), { cause, count, heldUntil: now }];
  return become(
    { ...standing, cause, falls, lost: null },
    { state: 'acting', code: STATE_CODES.acting, reason: `recovering: ${cause}` },
    now,
  );
}

const waiting = (standing: Standing, { code, message }: NonNullable<Look['cannot']>, now: Instant): Standing =>
  become(standing, { state: 'waiting', code, reason: message }, now);

/** It is in this state from now on, or still. */
const become = (
  standing: Standing,
  told: Pick<Standing, 'state' | 'code' | 'reason'> & Partial<Pick<Standing, 'next'>>,
  now: Instant,
): Standing => ({
  ...standing,
  next: null,
  ...told,
  since: standing.state === told.state ? standing.since : now,
});
