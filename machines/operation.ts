import type { Begun } from '../src/domain/action.ts';
import type { Do } from '../src/domain/command.ts';
import type { Instant, Token } from '../src/domain/identity.ts';
import { backoffMs, DEFAULT_POLICY, type Policy } from '../src/domain/policy.ts';
import type { View } from '../src/domain/view.ts';
import type { Failure } from './effect.ts';

/** The numbers that a chart of an entity goes by. */
export type Limits = Pick<Policy, 'callMs' | 'settleMs' | 'needsMs' | 'callAttempts' | 'backoffMs' | 'backoffMaxMs'>;

export const DEFAULT_LIMITS: Limits = {
  callMs: DEFAULT_POLICY.callMs,
  settleMs: DEFAULT_POLICY.settleMs,
  needsMs: DEFAULT_POLICY.needsMs,
  callAttempts: DEFAULT_POLICY.callAttempts,
  backoffMs: DEFAULT_POLICY.backoffMs,
  backoffMaxMs: DEFAULT_POLICY.backoffMaxMs,
};

/** What we are doing about an entity: at most one operation at a time. Plain JSON. */
export interface Operation {
  readonly do: Do;
  /** Everybody who asked for it; each hears its end. */
  readonly tokens: readonly Token[];
  /** What its calls carry: the token of whoever began it, also after that one has gone. */
  readonly token: Token;
  /** `bootId` or `runId` before the call. */
  readonly mark: string | null;
  /** Failed tries of the present call. */
  readonly failures: number;
  /** The latest instant that reached the chart. */
  readonly seenAt: Instant;
  /** When the present state is overdue, or the wait is over. */
  readonly dueAt: Instant;
  /** Only a reading that began after this counts; null until a beat has come after an acceptance that did not say when. */
  readonly acceptedAt: Instant | null;
  readonly failure: Failure | null;
}

/** An operation that begins now. One whose call was perhaps made before a crash goes by the mark from before that call. */
export const beginOperation = (
  limits: Limits,
  asked: { readonly now: Instant; readonly token: Token; readonly do: Do; readonly begun: Begun | null },
  mark: string | null,
): Operation => ({
  do: asked.do,
  tokens: [asked.token],
  token: asked.begun?.token ?? asked.token,
  mark: asked.begun ? asked.begun.mark : mark,
  failures: 0,
  seenAt: asked.now,
  dueAt: later(asked.now, limits.callMs),
  acceptedAt: null,
  failure: null,
});

/** `tick`, then the deadline of a new call. */
export const callAgain = (operation: Operation, limits: Limits, now: Instant): Operation => ({
  ...operation,
  seenAt: now,
  dueAt: later(now, limits.callMs),
  acceptedAt: null,
});

/** What the next rung needs is not there: wait for it, for a while. */
export const wait = (operation: Operation, limits: Limits): Operation => ({
  ...operation,
  acceptedAt: null,
  dueAt: later(operation.seenAt, limits.needsMs),
});

/** The call was accepted: from now on the observation decides. */
export const expectGoal = (operation: Operation, limits: Limits, acceptedAt: Instant | null): Operation => ({
  ...operation,
  acceptedAt,
  dueAt: later(operation.seenAt, limits.settleMs),
});

/** A beat passed. An acceptance without an instant is given this one. */
export const tick = (operation: Operation, now: Instant): Operation => ({
  ...operation,
  seenAt: now,
  acceptedAt: operation.acceptedAt ?? now,
});

/** A try failed; the next one is due after a backoff. */
export const noteFailure = (operation: Operation, limits: Limits, failure: Failure, now = operation.seenAt): Operation => ({
  ...operation,
  failures: operation.failures + 1,
  failure,
  seenAt: now,
  dueAt: later(now, backoffMs(limits, operation.failures + 1, operation.token)),
});

export const join = (operation: Operation, token: Token): Operation =>
  operation.tokens.includes(token) ? operation : { ...operation, tokens: [...operation.tokens, token] };

export const drop = (operation: Operation, token: Token): Operation => ({
  ...operation,
  tokens: operation.tokens.filter((joined) => joined !== token),
});

/** Whether the present state's time is over, as a fresh beat sees it. */
export const isPastDue = (operation: Operation | null, beat: { readonly now: Instant; readonly fresh: boolean }): boolean =>
  operation !== null && beat.fresh && beat.now >= operation.dueAt;

/** Whether another try is pointless. */
export const isExhausted = (operation: Operation, limits: Limits): boolean =>
  operation.failure !== null && (!operation.failure.retryable || operation.failures >= limits.callAttempts);

/** Whether a reading may speak of the present call: it began after the call was accepted. */
export const counts = (operation: Operation, view: View): boolean =>
  operation.acceptedAt !== null && view.readAt > operation.acceptedAt;

/** The call never showed in an observation. A verb that must not be called twice is not tried again. */
export const overdue = (what: Do): Failure =>
  what.verb === 'reboot' || what.verb === 'restart'
    ? { code: 'ER0213', message: `${what.verb} was perhaps called, but its effect was never seen`, retryable: false }
    : { code: 'ER0212', message: `the effect of ${what.verb} was not seen in time`, retryable: true };

const later = (at: Instant, ms: number): Instant => (at + ms) as Instant;
