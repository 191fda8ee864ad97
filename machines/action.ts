import { assign, setup } from 'xstate';
import type { Action, Attempt } from '../src/domain/action.ts';
import type { Instant } from '../src/domain/identity.ts';
import { backoffMs, DEFAULT_POLICY, type Policy } from '../src/domain/policy.ts';
import { type ClaimInput, type ClaimOutput, type DispatchInput, type DispatchOutput, type Effect, failureOf } from './effect.ts';

/** The numbers that the action chart goes by. */
export type ActionLimits = Pick<Policy, 'attempts' | 'backoffMs' | 'backoffMaxMs' | 'claimMs'>;

/** The action itself and what the chart knows of its tries. Plain JSON. */
export interface ActionContext {
  readonly action: Action;
  readonly limits: ActionLimits;
  /** The latest instant that reached the chart. */
  readonly seenAt: Instant;
  /** Not claimed, and not tried again, before this. */
  readonly notBefore: Instant;
  readonly fence: number;
  /** False after a failure that another try cannot mend. */
  readonly retryable: boolean;
}

export type ActionEvent =
  | {
      readonly type: 'heartbeat';
      readonly now: Instant;
      /** Whether what says `holds` is fresh. */
      readonly fresh: boolean;
      /** Whether the trigger holds and the lane is free. */
      readonly holds: boolean;
    }
  | { readonly type: 'cancel' | 'retry' | 'discard'; readonly now: Instant };

export interface ActionInput {
  readonly action: Action;
  readonly limits?: ActionLimits;
}

/**
 * One deferred action; whatever acts is one. It waits for its trigger, is claimed, dispatched, and ends by itself alone.
 * Needs `claim` and `dispatch`.
 */
export const actionMachine = setup({
  types: {
    context: {} as ActionContext,
    events: {} as ActionEvent,
    input: {} as ActionInput,
    tags: {} as 'waiting' | 'busy' | 'attention' | 'ended',
  },
  actors: {
    claim: {} as Effect<ClaimInput, ClaimOutput>,
    dispatch: {} as Effect<DispatchInput, DispatchOutput>,
  },
  guards: {
    isClaimedElsewhere: ({ context, event }) => event.type === 'heartbeat' && event.now < context.notBefore,
    isTriggered: ({ event }) => event.type === 'heartbeat' && event.fresh && event.holds,
    isExpired: ({ context: { action }, event }, onExpire: Action['onExpire']) =>
      event.type === 'heartbeat' &&
      event.fresh &&
      action.onExpire === onExpire &&
      action.expiresAt !== null &&
      event.now >= action.expiresAt,
    isDue: ({ context, event }) => event.type === 'heartbeat' && event.fresh && event.now >= context.notBefore,
    isOverdue: ({ context, event }) => event.type === 'heartbeat' && event.now >= context.notBefore + context.limits.claimMs,
    isExhausted: ({ context }) => !context.retryable || context.action.attempts >= context.limits.attempts,
    hasOutcome: ({ event }, outcome: string) => outcomeOf(event) === outcome,
    /** What has fired goes on, whatever it once waited for: its own doing may have ended that state. */
    isLostRetry: ({ context: { action }, event }) =>
      outcomeOf(event) === 'lost' && (action.status !== 'waiting' || action.attempts > 0),
  },
  actions: {
    tick: assign({ seenAt: ({ context, event }) => ('now' in event ? event.now : context.seenAt) }),
    noteClaim: assign({
      fence: ({ context, event }) => {
        const output = outputOf(event);
        return output && 'fence' in output && typeof output.fence === 'number' ? output.fence : context.fence;
      },
    }),
    noteLost: assign({ notBefore: ({ context }) => (context.seenAt + context.limits.claimMs) as Instant }),
    beginClaim: assign({
      seenAt: ({ context, event }) => ('now' in event ? event.now : context.seenAt),
      notBefore: ({ context, event }) => ('now' in event ? event.now : context.seenAt),
    }),
    defer: assign({
      action: ({ context, event }) => {
        const output = outputOf(event);
        if (!output || !('action' in output)) return context.action;
        const action = output.action as Action;
        const { history } = attempted(context, { outcome: 'deferred' });
        // What ran because its time was over has had its turn: its time is not over again at once.
        const hasRunOut = action.onExpire === 'run' && action.expiresAt !== null && context.seenAt >= action.expiresAt;
        return { ...action, status: 'waiting', history, expiresAt: hasRunOut ? null : action.expiresAt };
      },
    }),
    noteDone: assign({ action: ({ context }) => attempted(context, { outcome: 'done' }) }),
    noteCancelled: assign({ action: ({ context }) => attempted(context, { outcome: 'cancelled', code: 'ER0217' }) }),
    noteExpired: assign({ action: ({ context }) => attempted(context, { outcome: 'expired', code: 'ER0219' }) }),
    noteUnknown: assign({
      retryable: false,
      action: ({ context }) =>
        attempted(context, { outcome: 'failed', code: 'ER0220', message: 'its record is gone from the store' }),
    }),
    noteOverdue: assign({
      notBefore: ({ context }) => notBefore(context),
      action: ({ context }) =>
        attempted(context, { outcome: 'failed', code: 'ER0212', message: 'the claim was not answered in time' }, 1),
    }),
    noteFailure: assign({
      retryable: ({ event }) => failureOf('error' in event ? event.error : undefined).retryable,
      notBefore: ({ context }) => notBefore(context),
      action: ({ context, event }) => {
        const { code, message } = failureOf('error' in event ? event.error : undefined);
        return attempted(context, { outcome: 'failed', code, message }, 1);
      },
    }),
    forgive: assign({
      retryable: true,
      seenAt: ({ context, event }) => ('now' in event ? event.now : context.seenAt),
      notBefore: ({ context, event }) => ('now' in event ? event.now : context.seenAt),
      action: ({ context }) => ({ ...context.action, attempts: 0 }),
    }),
  },
}).createMachine({
  id: 'action',
  options: { maxIterations: 100 },
  description: 'A deferred action: it waits for a state and then acts, once.',
  context: ({ input }) => ({
    action: input.action,
    limits: input.limits ?? DEFAULT_POLICY,
    seenAt: input.action.armedAt,
    notBefore: input.action.armedAt,
    fence: 0,
    retryable: true,
  }),
  initial: 'waiting',
  states: {
    waiting: {
      tags: ['waiting'],
      description: 'Its trigger does not hold yet, or its lane is not free.',
      on: {
        heartbeat: [
          { guard: 'isClaimedElsewhere', actions: 'tick' },
          { guard: 'isTriggered', target: 'claiming', actions: 'beginClaim' },
          { guard: { type: 'isExpired', params: 'drop' }, target: 'expired', actions: ['tick', 'noteExpired'] },
          { guard: { type: 'isExpired', params: 'run' }, target: 'claiming', actions: 'beginClaim' },
          { guard: { type: 'isExpired', params: 'fail' }, target: 'failed', actions: ['tick', 'noteExpired'] },
          { actions: 'tick' },
        ],
        cancel: { target: 'cancelled', actions: ['tick', 'noteCancelled'] },
      },
    },
    claiming: {
      tags: ['busy'],
      description: 'Makes sure that nobody else acts on it.',
      invoke: {
        src: 'claim',
        input: ({ context }) => ({ id: context.action.id, token: context.action.token, now: context.seenAt }),
        onDone: [
          { guard: { type: 'hasOutcome', params: 'won' }, target: 'dispatching', actions: 'noteClaim' },
          { guard: 'isLostRetry', target: 'backing-off', actions: 'noteLost' },
          { guard: { type: 'hasOutcome', params: 'lost' }, target: 'waiting', actions: 'noteLost' },
          { guard: { type: 'hasOutcome', params: 'done' }, target: 'done' },
          { guard: { type: 'hasOutcome', params: 'expired' }, target: 'expired' },
          { guard: { type: 'hasOutcome', params: 'cancelled' }, target: 'cancelled' },
          { target: 'failed', actions: 'noteUnknown' },
        ],
        onError: { target: 'backing-off', actions: 'noteFailure' },
      },
      on: {
        heartbeat: [{ guard: 'isOverdue', target: 'backing-off', actions: ['tick', 'noteOverdue'] }, { actions: 'tick' }],
        cancel: { target: 'cancelled', actions: ['tick', 'noteCancelled'] },
      },
    },
    dispatching: {
      tags: ['busy'],
      description: 'The verb is with its entity; resolved when the operation ends.',
      invoke: {
        src: 'dispatch',
        input: ({ context }) => ({ action: context.action }),
        onDone: [
          { guard: { type: 'hasOutcome', params: 'done' }, target: 'done', actions: 'noteDone' },
          { guard: { type: 'hasOutcome', params: 'deferred' }, target: 'waiting', actions: 'defer' },
          { target: 'cancelled', actions: 'noteCancelled' },
        ],
        onError: { target: 'backing-off', actions: 'noteFailure' },
      },
      on: {
        heartbeat: { actions: 'tick' },
        cancel: { target: 'cancelled', actions: ['tick', 'noteCancelled'] },
      },
    },
    'backing-off': {
      description: 'A try failed; the next one waits.',
      always: { guard: 'isExhausted', target: 'failed' },
      on: {
        heartbeat: [
          { guard: { type: 'isExpired', params: 'drop' }, target: 'expired', actions: ['tick', 'noteExpired'] },
          { guard: { type: 'isExpired', params: 'fail' }, target: 'failed', actions: ['tick', 'noteExpired'] },
          { guard: 'isDue', target: 'claiming', actions: 'beginClaim' },
          { actions: 'tick' },
        ],
        cancel: { target: 'cancelled', actions: ['tick', 'noteCancelled'] },
      },
    },
    failed: {
      tags: ['attention'],
      description: 'It holds its lane until somebody decides.',
      on: {
        retry: { target: 'claiming', actions: 'forgive' },
        discard: { target: 'cancelled', actions: ['tick', 'noteCancelled'] },
      },
    },
    done: { type: 'final', tags: ['ended'] },
    expired: { type: 'final', tags: ['ended'] },
    cancelled: { type: 'final', tags: ['ended'] },
  },
});

const attempted = (context: ActionContext, attempt: Omit<Attempt, 'at' | 'fence'>, failures = 0): Action => ({
  ...context.action,
  attempts: context.action.attempts + failures,
  history: [...context.action.history, { at: context.seenAt, fence: context.fence, ...attempt }],
});

const notBefore = ({ action, limits, seenAt }: ActionContext): Instant =>
  (seenAt + backoffMs(limits, action.attempts + 1, action.token)) as Instant;

const outputOf = (event: object): object | null => ('output' in event && typeof event.output === 'object' ? event.output : null);

function outcomeOf(event: object): unknown {
  const output = outputOf(event);
  return output && 'outcome' in output ? output.outcome : undefined;
}
