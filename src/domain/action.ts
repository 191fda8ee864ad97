import type { Code } from './codes.ts';
import type { Do } from './command.ts';
import type { ActionId, EntityKey, Instant, Token } from './identity.ts';
import { isClusterVerb } from './service.ts';
import type { Trigger } from './trigger.ts';

/** One step of a plan: do this once that holds, in this lane. */
export interface Step {
  /** The command's target, not the step's: its steps run one after another. */
  readonly lane: EntityKey;
  readonly when: Trigger;
  readonly do: Do;
}

export type ActionStatus = 'waiting' | 'claiming' | 'dispatching' | 'backing-off' | 'failed' | 'done' | 'expired' | 'cancelled';

/** One try of an action. */
export interface Attempt {
  readonly at: Instant;
  readonly fence: number;
  readonly outcome: 'done' | 'deferred' | 'cancelled' | 'failed' | 'expired';
  readonly code?: Code;
  readonly message?: string;
}

/** Written before the first call of a verb, so that a crash cannot hide that it was perhaps called. */
export interface Begun {
  readonly at: Instant;
  /** `bootId` or `runId` before the call. */
  readonly mark: string | null;
  /** What the call carries, where it was begun for another action that wanted the same. */
  readonly token?: Token;
}

/** A deferred action: a step with an identity, a status and a history. Whatever acts is one. */
export interface Action extends Step {
  readonly id: ActionId;
  readonly token: Token;
  /** Its place in its lane; a step put in front takes a value between its neighbours. */
  readonly order: number;
  readonly armedAt: Instant;
  readonly expiresAt: Instant | null;
  readonly onExpire: 'drop' | 'run' | 'fail';
  readonly status: ActionStatus;
  /** Failed tries so far; a deferral is none. */
  readonly attempts: number;
  readonly begun: Begun | null;
  readonly history: readonly Attempt[];
}

/** An action as it is listed: with why what it does waits, where something holds it back. */
export interface ListedAction extends Action {
  readonly held?: string;
  /** The same for a program. */
  readonly heldCode?: Code;
}

/** Whether the action has come to its end; a failed one has not, it holds its lane until `retry` or `discard`. */
export const isEnded = (action: Pick<Action, 'status'>): boolean =>
  action.status === 'done' || action.status === 'expired' || action.status === 'cancelled';

/** Whether the action will go on by itself. */
export const isLive = (action: Pick<Action, 'status'>): boolean => !isEnded(action) && action.status !== 'failed';

/**
 * Whether what a verb does shows in a mark that changes, and nowhere else. Such a call that was perhaps made is judged by the mark and
 * never made again by itself: only a person can want it a second time.
 */
export const isMarked = ({ verb }: Do): boolean => verb === 'reboot' || verb === 'restart';

/** What another try, wanted by a person, knows of the calls before: of a launch that it may have been made already. */
export const begunBefore = ({ do: what, begun }: Action): Begun | null => (isMarked(what) ? null : begun);

/** Whether a change of master has begun: its old master perhaps takes no writes already. */
export const isSwitchoverBegun = ({ do: what, begun }: Pick<Action, 'do' | 'begun'>): boolean =>
  isClusterVerb(what.verb) && begun !== null;

/** `stop` and `terminate` do not wait for their lane. */
export const passesLane = (what: Do): boolean => what.verb === 'stop' || what.verb === 'terminate';
