import type { ActorLogic } from 'xstate';
import type { Action, Begun } from '../src/domain/action.ts';
import type { Code } from '../src/domain/codes.ts';
import type { Do } from '../src/domain/command.ts';
import type { ActionId, EntityKey, Instant, Token } from '../src/domain/identity.ts';
import type { InstanceVerb } from '../src/domain/instance.ts';
import type { ClusterVerb, ServiceRung, ServiceVerb, SwitchoverStep } from '../src/domain/service.ts';
import type { View } from '../src/domain/view.ts';

/**
 * A side effect that a host provides to a chart. Any actor logic fits, so that a durable engine's own promises do:
 * the one place where a public type says so little.
 */
// biome-ignore lint/suspicious/noExplicitAny: a host's actor logic has snapshot, event and system types of its own
export type Effect<TInput, TOutput = unknown> = ActorLogic<any, any, TInput, any, any> & { readonly output?: TOutput };

/** What `perform` is given: one verb, or one step of it, with its token. Resolves when the call was accepted. */
export interface PerformInput {
  readonly key: EntityKey;
  readonly do: Do;
  readonly step?: ServiceRung | 'stop' | 'remove' | 'restart' | 'configure' | SwitchoverStep;
  readonly token: Token;
  /** Who wants it now: one that joined may still want what was begun under the token of another. */
  readonly by: Token;
  readonly attempt: number;
}

/** When the call was accepted. Without it, the first beat afterwards counts as that instant. */
export type PerformOutput = { readonly acceptedAt: Instant } | undefined;

/** What `fence` is given: whose place its master is to leave. */
export interface FenceInput {
  /** The cluster. */
  readonly key: EntityKey;
  readonly do: Do;
  readonly token: Token;
  readonly by: Token;
}

/** Whether there was nothing to do: then nobody has to wait until it is seen. */
export interface FenceOutput {
  readonly isFenced: boolean;
}

export interface ClaimInput {
  readonly id: ActionId;
  /** Of the arming that is meant. */
  readonly token: Token;
  readonly now: Instant;
}

/** Won with a fence, lost to another owner, or the end that the record names (`unknown` where there is no record). */
export type ClaimOutput =
  | { readonly outcome: 'won'; readonly fence: number }
  | { readonly outcome: 'lost' | 'done' | 'expired' | 'cancelled' | 'unknown' };

export interface DispatchInput {
  readonly action: Action;
}

/** How a dispatched action ended; deferred, it waits again as `action` says. A failure is a rejection. */
export type DispatchOutput =
  | { readonly outcome: 'done' | 'cancelled'; readonly code: Code }
  | { readonly outcome: 'deferred'; readonly action: Action };

/** A change that reached an entity, or any beat while it is busy. */
export interface EntityHeartbeat {
  readonly type: 'heartbeat';
  readonly now: Instant;
  /** False where the source of the view is blind. */
  readonly fresh: boolean;
  readonly view: View;
}

export interface VerbEvent<TVerb extends InstanceVerb | ServiceVerb | ClusterVerb> {
  readonly type: TVerb;
  readonly now: Instant;
  readonly token: Token;
  readonly do: Do;
  /** Set where a crash hid whether the verb was called: a reboot or restart is then judged, never called again. */
  readonly begun: Begun | null;
}

export interface CancelEvent {
  readonly type: 'cancel';
  readonly now: Instant;
  readonly token: Token;
  readonly reason: Code;
}

/** How an operation ended, once for each token that had joined it. */
export interface EntityEmitted {
  readonly type: 'succeeded' | 'failed' | 'cancelled';
  readonly key: EntityKey;
  readonly token: Token;
  readonly code: Code;
  readonly message: string;
  readonly retryable: boolean;
}

/** Why a try failed, as plain data. */
export interface Failure {
  readonly code: Code;
  readonly message: string;
  readonly retryable: boolean;
}

/** Reads what an effect threw. What is no error of ours counts as a failed call whose outcome is unknown, worth another try. */
export function failureOf(error: unknown): Failure {
  const { code, detail, message, retryable } = (typeof error === 'object' && error !== null ? error : {}) as {
    readonly [K in 'code' | 'detail' | 'message' | 'retryable']?: unknown;
  };
  const text = detail ?? message;
  const said = typeof text === 'string' ? text : String(error);
  if (typeof code !== 'string' || typeof retryable !== 'boolean') return { code: 'ER0220', message: said, retryable: true };
  return { code, message: said, retryable };
}

/** When the finished `perform` behind this event was accepted, where it said so. */
export function acceptedAt(event: object): Instant | null {
  const output = 'output' in event ? event.output : undefined;
  if (typeof output !== 'object' || output === null || !('acceptedAt' in output)) return null;
  return typeof output.acceptedAt === 'number' ? (output.acceptedAt as Instant) : null;
}
