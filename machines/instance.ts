import { assign, enqueueActions, setup } from 'xstate';
import type { EntityKey, Instant } from '../src/domain/identity.ts';
import type { InstanceState, InstanceVerb } from '../src/domain/instance.ts';
import type { View } from '../src/domain/view.ts';
import {
  acceptedAt,
  type CancelEvent,
  type Effect,
  type EntityEmitted,
  type EntityHeartbeat,
  failureOf,
  type PerformInput,
  type PerformOutput,
  type VerbEvent,
} from './effect.ts';
import {
  beginOperation,
  callAgain,
  counts,
  DEFAULT_LIMITS,
  drop,
  expectGoal,
  isExhausted,
  isPastDue,
  join,
  type Limits,
  noteFailure,
  type Operation,
  overdue,
  tick,
} from './operation.ts';

/** What the instance chart remembers: what was observed, and what we are doing about it. Plain JSON. */
export interface InstanceContext {
  readonly key: EntityKey;
  readonly limits: Limits;
  readonly observed: {
    readonly state: InstanceState;
    readonly bootId: string | null;
    readonly gone: boolean;
    readonly readAt: Instant | null;
  };
  readonly operation: Operation | null;
}

export type InstanceEvent = EntityHeartbeat | VerbEvent<InstanceVerb> | CancelEvent;

export interface InstanceInput {
  readonly key: EntityKey;
  readonly limits?: Limits;
}

const UNSEEN: InstanceContext['observed'] = { state: 'unknown', bootId: null, gone: false, readAt: null };

/** What each verb brings about; two verbs with one goal are one operation. */
function goalOf(what: Operation['do']): string {
  switch (what.verb) {
    case 'launch':
    case 'start':
      return 'running';
    case 'bootstrap':
      return what.upTo ?? 'managed';
    default:
      return what.verb;
  }
}

function isReached(operation: Operation, view: View): boolean {
  switch (operation.do.verb) {
    case 'stop':
      return view.state === 'stopped';
    case 'terminate':
      return view.state === 'terminated' || view.gone;
    case 'reboot':
      return view.holds.has('running') && view.mark !== null && view.mark !== operation.mark;
    default:
      return view.holds.has(goalOf(operation.do));
  }
}

/**
 * One machine. `observed` is what heartbeats say; `operation` is what we are doing about it, at most one thing at a time.
 * Emits `succeeded`, `failed` or `cancelled`, once per token. Needs `perform`.
 */
export const instanceMachine = setup({
  types: {
    context: {} as InstanceContext,
    events: {} as InstanceEvent,
    emitted: {} as EntityEmitted,
    input: {} as InstanceInput | undefined,
    tags: {} as InstanceState | 'running' | 'busy' | 'attention' | 'stable' | 'transient',
  },
  actors: {
    perform: {} as Effect<PerformInput, PerformOutput>,
  },
  guards: {
    reports: ({ event }, state: InstanceState) => event.type === 'heartbeat' && event.view.state === state,
    isGone: ({ context }) => context.observed.gone,
    isAtGoal: ({ context: { operation }, event }) =>
      event.type === 'heartbeat' && operation !== null && counts(operation, event.view) && isReached(operation, event.view),
    isAtGoalAfterAll: ({ context: { operation }, event }) =>
      event.type === 'heartbeat' &&
      operation !== null &&
      event.view.readAt > operation.seenAt &&
      isReached(operation, event.view),
    isOverdue: ({ context: { operation }, event }) => event.type === 'heartbeat' && isPastDue(operation, event),
    isDue: ({ context: { operation }, event }) => event.type === 'heartbeat' && isPastDue(operation, event),
    isExhausted: ({ context: { operation, limits } }) => operation !== null && isExhausted(operation, limits),
    isSameGoal: ({ context: { operation }, event }) =>
      'do' in event && operation !== null && goalOf(event.do) === goalOf(operation.do),
    isAboveOperation: ({ context: { operation }, event }) =>
      operation !== null && operation.do.verb !== event.type && operation.do.verb !== 'terminate',
    isLastToken: ({ context: { operation }, event }) =>
      event.type === 'cancel' && operation !== null && operation.tokens.every((token) => token === event.token),
    wasBegun: ({ event }) => 'begun' in event && event.begun !== null,
    wasPerhapsCalled: ({ context: { operation }, event }) =>
      operation?.do.verb === 'reboot' && 'error' in event && failureOf(event.error).code === 'ER0220',
  },
  actions: {
    record: assign({
      observed: ({ context, event }) =>
        event.type === 'heartbeat'
          ? {
              state: event.view.state as InstanceState,
              bootId: event.view.mark,
              gone: event.view.gone,
              readAt: event.view.readAt,
            }
          : context.observed,
    }),
    begin: assign({
      operation: ({ context, event }) =>
        'do' in event ? beginOperation(context.limits, event, context.observed.bootId) : context.operation,
    }),
    join: assign({
      operation: ({ context: { operation }, event }) => (operation && 'do' in event ? join(operation, event.token) : operation),
    }),
    dropToken: assign({
      operation: ({ context: { operation }, event }) =>
        operation && event.type === 'cancel' ? drop(operation, event.token) : operation,
    }),
    tick: assign({
      operation: ({ context: { operation }, event }) =>
        operation && (event.type === 'heartbeat' ? tick(operation, event.now) : operation),
    }),
    callAgain: assign({
      operation: ({ context: { operation, limits }, event }) =>
        operation && (event.type === 'heartbeat' ? callAgain(operation, limits, event.now) : operation),
    }),
    expectGoal: assign({
      operation: ({ context: { operation, limits }, event }) => operation && expectGoal(operation, limits, acceptedAt(event)),
    }),
    expectGoalSinceBegun: assign({
      operation: ({ context: { operation, limits }, event }) =>
        operation && 'begun' in event ? expectGoal(operation, limits, event.begun?.at ?? null) : operation,
    }),
    noteFailure: assign({
      operation: ({ context: { operation, limits }, event }) =>
        operation && noteFailure(operation, limits, failureOf('error' in event ? event.error : undefined)),
    }),
    noteOverdue: assign({
      operation: ({ context: { operation, limits }, event }) =>
        operation && event.type === 'heartbeat' ? noteFailure(operation, limits, overdue(operation.do), event.now) : operation,
    }),
    finish: assign({ operation: null }),
    reportSuccess: enqueueActions(({ context: { key, operation }, enqueue }) => {
      for (const token of operation?.tokens ?? [])
        enqueue.emit({ type: 'succeeded', key, token, code: '000000', message: 'goal observed', retryable: false });
    }),
    letGo: assign({ operation: ({ context: { operation } }) => operation && { ...operation, tokens: [] } }),
    reportFailure: enqueueActions(({ context: { key, operation }, enqueue }) => {
      const failure = operation?.failure ?? { code: 'ER0221', message: 'failed', retryable: true };
      for (const token of operation?.tokens ?? []) enqueue.emit({ type: 'failed', key, token, ...failure });
    }),
    reportGone: enqueueActions(({ context: { key, operation }, enqueue }) => {
      const outcome =
        operation?.do.verb === 'terminate'
          ? ({ type: 'succeeded', code: '000000', message: 'goal observed', retryable: false } as const)
          : ({ type: 'failed', code: 'ER0215', message: 'the instance is gone', retryable: true } as const);
      for (const token of operation?.tokens ?? []) enqueue.emit({ ...outcome, key, token });
    }),
    reportPreempted: enqueueActions(({ context: { key, operation }, event, enqueue }) => {
      for (const token of operation?.tokens ?? [])
        enqueue.emit({ type: 'cancelled', key, token, code: 'ER0217', message: `pre-empted by ${event.type}`, retryable: false });
    }),
    reportCancelled: enqueueActions(({ context: { key, operation }, event, enqueue }) => {
      if (event.type === 'cancel' && operation?.tokens.includes(event.token))
        enqueue.emit({ type: 'cancelled', key, token: event.token, code: event.reason, message: 'cancelled', retryable: false });
    }),
  },
}).createMachine({
  id: 'instance',
  options: { maxIterations: 100 },
  description: 'A cloud instance: what heartbeats say of it, beside what we are doing about it.',
  type: 'parallel',
  context: ({ input }) => ({
    key: input?.key ?? ('instances/none/none' as EntityKey),
    limits: input?.limits ?? DEFAULT_LIMITS,
    observed: UNSEEN,
    operation: null,
  }),
  states: {
    observed: {
      description: 'The last view. Only heartbeats move it.',
      initial: 'unknown',
      on: {
        heartbeat: [
          // First what most heartbeats say: no two of these guards let the same one pass.
          { guard: { type: 'reports', params: 'managed' }, target: '.running.managed', actions: 'record' },
          { guard: { type: 'reports', params: 'bootstrapped' }, target: '.running.bootstrapped', actions: 'record' },
          { guard: { type: 'reports', params: 'ssh-up' }, target: '.running.ssh-up', actions: 'record' },
          { guard: { type: 'reports', params: 'unknown' }, target: '.unknown', actions: 'record' },
          { guard: { type: 'reports', params: 'absent' }, target: '.absent', actions: 'record' },
          { guard: { type: 'reports', params: 'pending' }, target: '.pending', actions: 'record' },
          { guard: { type: 'reports', params: 'unreachable' }, target: '.unreachable', actions: 'record' },
          { guard: { type: 'reports', params: 'stopping' }, target: '.stopping', actions: 'record' },
          { guard: { type: 'reports', params: 'stopped' }, target: '.stopped', actions: 'record' },
          { guard: { type: 'reports', params: 'shutting-down' }, target: '.shutting-down', actions: 'record' },
          { guard: { type: 'reports', params: 'terminated' }, target: '.terminated', actions: 'record' },
        ],
      },
      states: {
        unknown: { tags: ['unknown'], description: 'Nobody has said, or who said it has fallen silent.' },
        absent: { tags: ['absent', 'stable'], description: 'Complete readings do not list it.' },
        pending: {
          tags: ['pending', 'transient'],
          description: 'The provider starts it, or says running though ssh does not answer yet.',
        },
        unreachable: {
          tags: ['unreachable'],
          description: 'It was up, the provider says running, and ssh has stopped answering.',
        },
        stopping: { tags: ['stopping', 'transient'] },
        stopped: { tags: ['stopped', 'stable'] },
        'shutting-down': { tags: ['shutting-down', 'transient'] },
        terminated: { tags: ['terminated', 'stable'] },
        running: {
          description: 'ssh answers. Its rungs are the third to the fifth step to a database service.',
          tags: ['running', 'ssh-up', 'stable'],
          initial: 'ssh-up',
          states: {
            'ssh-up': { meta: { step: 3 } },
            bootstrapped: { tags: ['bootstrapped'], meta: { step: 4 } },
            managed: { tags: ['bootstrapped', 'managed'], meta: { step: 5 } },
          },
        },
      },
    },
    operation: {
      description: 'What we are doing about it.',
      initial: 'open',
      states: {
        open: {
          description: 'It is there, or may be launched.',
          initial: 'available',
          always: { guard: 'isGone', target: 'closed', actions: ['reportGone', 'finish'] },
          states: {
            available: {
              description: 'Takes any verb.',
              initial: 'idle',
              on: {
                launch: { target: 'busy', actions: 'begin' },
                start: { target: 'busy', actions: 'begin' },
                stop: { target: 'busy', actions: 'begin' },
                reboot: [
                  { guard: 'wasBegun', target: 'busy.settling', actions: ['begin', 'expectGoalSinceBegun'] },
                  { target: 'busy', actions: 'begin' },
                ],
                terminate: { target: 'busy', actions: 'begin' },
                bootstrap: { target: 'busy', actions: 'begin' },
              },
              states: {
                idle: { description: 'Nothing is being done, nothing is left undone.' },
                failed: {
                  description: 'The last operation failed and its goal has not been observed since.',
                  tags: ['attention'],
                  on: { heartbeat: { guard: 'isAtGoalAfterAll', target: 'idle', actions: 'finish' } },
                },
              },
            },
            busy: {
              description: 'One operation is under way, until its goal is observed, it fails, or nobody wants it any more.',
              tags: ['busy'],
              initial: 'calling',
              on: {
                launch: { guard: 'isSameGoal', actions: 'join' },
                start: { guard: 'isSameGoal', actions: 'join' },
                reboot: { guard: 'isSameGoal', actions: 'join' },
                bootstrap: { guard: 'isSameGoal', actions: 'join' },
                stop: [
                  { guard: 'isSameGoal', actions: 'join' },
                  { guard: 'isAboveOperation', target: '.calling', reenter: true, actions: ['reportPreempted', 'begin'] },
                ],
                terminate: [
                  { guard: 'isSameGoal', actions: 'join' },
                  { guard: 'isAboveOperation', target: '.calling', reenter: true, actions: ['reportPreempted', 'begin'] },
                ],
                cancel: [
                  { guard: 'isLastToken', target: 'available.idle', actions: ['reportCancelled', 'finish'] },
                  { actions: ['reportCancelled', 'dropToken'] },
                ],
                heartbeat: { actions: 'tick' },
              },
              states: {
                calling: {
                  description: 'The call is being made; the gate may keep it waiting.',
                  invoke: {
                    src: 'perform',
                    input: performInput,
                    onDone: { target: 'settling', actions: 'expectGoal' },
                    onError: [
                      { guard: 'wasPerhapsCalled', target: 'settling', actions: 'expectGoal' },
                      { target: 'backing-off', actions: 'noteFailure' },
                    ],
                  },
                  on: { heartbeat: { guard: 'isOverdue', target: 'backing-off', actions: 'noteOverdue' } },
                },
                'backing-off': {
                  description: 'A try failed; the next one waits.',
                  always: {
                    guard: 'isExhausted',
                    target: '#instance.operation.open.available.failed',
                    actions: ['reportFailure', 'letGo'],
                  },
                  on: { heartbeat: { guard: 'isDue', target: 'calling', actions: 'callAgain' } },
                },
                settling: {
                  description: 'The call was accepted; only a reading that began after that says whether it worked.',
                  on: {
                    heartbeat: [
                      {
                        guard: 'isAtGoal',
                        target: '#instance.operation.open.available.idle',
                        actions: ['reportSuccess', 'finish'],
                      },
                      { guard: 'isOverdue', target: 'backing-off', actions: 'noteOverdue' },
                    ],
                  },
                },
              },
            },
          },
        },
        closed: { type: 'final', description: 'The instance is gone; nothing more can be done about it.' },
      },
    },
  },
});

function performInput({ context }: { readonly context: InstanceContext }): PerformInput {
  const { key, operation } = context;
  if (!operation) throw new Error('an instance is called without an operation');
  const { do: what, token, tokens, failures } = operation;
  return { key, do: what, token, by: tokens[0] ?? token, attempt: failures + 1 };
}
