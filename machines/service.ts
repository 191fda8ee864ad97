import { assign, enqueueActions, setup } from 'xstate';
import type { EntityKey, Instant } from '../src/domain/identity.ts';
import { SERVICE_RUNGS, type ServiceRung, type ServiceState, type ServiceVerb } from '../src/domain/service.ts';
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
  wait,
} from './operation.ts';

/** What the service chart remembers: its kind's ladder, what was observed, what we are doing about it. Plain JSON. */
export interface ServiceContext {
  readonly key: EntityKey;
  readonly limits: Limits;
  /** The rungs of its kind, lowest first. */
  readonly ladder: readonly ServiceRung[];
  readonly observed: {
    readonly state: ServiceState;
    /** The first rung of the ladder that does not hold. */
    readonly missing: ServiceRung | null;
    /** Whether what the next rung needs, its own instance included, is known not to be there. */
    readonly isUnmet: boolean;
    readonly runId: string | null;
    readonly readAt: Instant | null;
  };
  readonly operation: ServiceOperation | null;
}

/** An operation on a service. */
export interface ServiceOperation extends Operation {
  /** Whether it was up when this began. */
  readonly wasUp?: boolean;
}

export type ServiceEvent = EntityHeartbeat | VerbEvent<ServiceVerb> | CancelEvent;

export interface ServiceInput {
  readonly key: EntityKey;
  readonly ladder: readonly ServiceRung[];
  readonly limits?: Limits;
}

const UNSEEN: ServiceContext['observed'] = { state: 'unknown', missing: null, isUnmet: false, runId: null, readAt: null };

const UP: ReadonlySet<ServiceState> = new Set(['up', 'replicating', 'routed']);

const firstMissing = (ladder: readonly ServiceRung[], view: View): ServiceRung | null =>
  ladder.find((rung) => !view.holds.has(rung)) ?? null;

/** Whether every rung up to the operation's last one holds. */
function isClimbed(operation: Operation, missing: ServiceRung | null): boolean {
  if (missing === null) return true;
  return operation.do.verb === 'install' && SERVICE_RUNGS.indexOf(missing) > SERVICE_RUNGS.indexOf('installed');
}

/** A probe that cannot see the configuration of its service leaves it at what the host said when it was written. */
const isConfigured = (view: View): boolean =>
  view.state !== 'unknown' && view.state !== 'uninstalled' && !view.holds.has('misconfigured');

function isReached(operation: ServiceOperation, view: View, ladder: readonly ServiceRung[]): boolean {
  switch (operation.do.verb) {
    case 'stop':
      return view.state === 'stopped' || view.state === 'uninstalled';
    case 'remove':
      return view.state === 'uninstalled';
    case 'restart':
      return view.holds.has('up') && view.mark !== null && view.mark !== operation.mark;
    case 'bootstrap_config':
      return isConfigured(view) && (operation.wasUp !== true || view.holds.has('up'));
    case 'sync':
      return view.holds.has('replicating');
    default:
      return view.state !== 'unknown' && isClimbed(operation, firstMissing(ladder, view));
  }
}

/**
 * One service. `observed` is what heartbeats say; `operation` climbs the ladder of the service's kind rung by rung, or makes one call.
 * Emits `succeeded`, `failed` or `cancelled`, once per token. Needs `perform`.
 */
export const serviceMachine = setup({
  types: {
    context: {} as ServiceContext,
    events: {} as ServiceEvent,
    emitted: {} as EntityEmitted,
    input: {} as ServiceInput | undefined,
    tags: {} as ServiceState | 'running' | 'busy' | 'calling' | 'attention' | 'stable' | 'transient',
  },
  actors: {
    perform: {} as Effect<PerformInput, PerformOutput>,
  },
  guards: {
    reports: ({ event }, state: ServiceState) => event.type === 'heartbeat' && event.view.state === state,
    isClimbed: ({ context: { operation, observed } }) =>
      operation !== null && observed.state !== 'unknown' && isClimbed(operation, observed.missing),
    hasUnmetNeeds: ({ context: { observed } }) => observed.isUnmet || observed.state === 'unknown',
    lacks: ({ context: { observed } }, rung: ServiceRung) => observed.missing === rung,
    needsAreMet: ({ event }) =>
      event.type === 'heartbeat' && !event.view.hostLost && event.view.unmet.length === 0 && event.view.state !== 'unknown',
    rungHolds: ({ context: { operation }, event }, rung: ServiceRung) =>
      event.type === 'heartbeat' && operation !== null && counts(operation, event.view) && event.view.holds.has(rung),
    lowerRungIsLost: ({ context: { operation, ladder }, event }, rung: ServiceRung) =>
      event.type === 'heartbeat' &&
      operation !== null &&
      counts(operation, event.view) &&
      event.view.state !== 'unknown' &&
      ladder.slice(0, ladder.indexOf(rung)).some((lower) => !event.view.holds.has(lower)),
    isAtGoal: ({ context: { operation, ladder }, event }) =>
      event.type === 'heartbeat' &&
      operation !== null &&
      counts(operation, event.view) &&
      isReached(operation, event.view, ladder),
    isAtGoalAfterAll: ({ context: { operation, ladder }, event }) =>
      event.type === 'heartbeat' &&
      operation !== null &&
      event.view.readAt > operation.seenAt &&
      isReached(operation, event.view, ladder),
    isOverdue: ({ context: { operation }, event }) => event.type === 'heartbeat' && isPastDue(operation, event),
    isDue: ({ context: { operation }, event }) =>
      event.type === 'heartbeat' && !event.view.hostLost && isPastDue(operation, event),
    isDueToClimb: ({ context: { operation }, event }) =>
      event.type === 'heartbeat' &&
      !event.view.hostLost &&
      isPastDue(operation, event) &&
      (operation?.do.verb === 'start' || operation?.do.verb === 'install'),
    isExhausted: ({ context: { operation, limits } }) => operation !== null && isExhausted(operation, limits),
    hostIsLost: ({ event }) => event.type === 'heartbeat' && event.fresh && event.view.hostLost,
    isSameVerb: ({ context: { operation }, event }) => operation?.do.verb === event.type,
    isAboveOperation: ({ context: { operation }, event }) =>
      operation !== null && operation.do.verb !== event.type && operation.do.verb !== 'remove',
    isLastToken: ({ context: { operation }, event }) =>
      event.type === 'cancel' && operation !== null && operation.tokens.every((token) => token === event.token),
    wasBegun: ({ event }) => 'begun' in event && event.begun !== null,
    wasPerhapsCalled: ({ context: { operation }, event }) =>
      operation?.do.verb === 'restart' && 'error' in event && failureOf(event.error).code === 'ER0220',
  },
  actions: {
    record: assign({
      observed: ({ context, event }) =>
        event.type === 'heartbeat'
          ? {
              state: event.view.state as ServiceState,
              missing: firstMissing(context.ladder, event.view),
              isUnmet: event.view.unmet.length > 0 || event.view.hostLost,
              runId: event.view.mark,
              readAt: event.view.readAt,
            }
          : context.observed,
    }),
    begin: assign({
      operation: ({ context, event }) =>
        'do' in event
          ? { ...beginOperation(context.limits, event, context.observed.runId), wasUp: UP.has(context.observed.state) }
          : context.operation,
    }),
    beginCall: assign({
      operation: ({ context: { operation, limits } }) => operation && callAgain(operation, limits, operation.seenAt),
    }),
    beginWait: assign({ operation: ({ context: { operation, limits } }) => operation && wait(operation, limits) }),
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
    noteRung: assign({ operation: ({ context: { operation } }) => operation && { ...operation, failures: 0, failure: null } }),
    noteFailure: assign({
      operation: ({ context: { operation, limits }, event }) =>
        operation && noteFailure(operation, limits, failureOf('error' in event ? event.error : undefined)),
    }),
    noteOverdue: assign({
      operation: ({ context: { operation, limits }, event }) =>
        operation && event.type === 'heartbeat' ? noteFailure(operation, limits, overdue(operation.do), event.now) : operation,
    }),
    noteHostLost: assign({
      operation: ({ context: { operation } }) =>
        operation && { ...operation, failure: { code: 'ER0216', message: 'its instance does not run', retryable: true } },
    }),
    noteNeeds: assign({
      operation: ({ context: { operation } }) =>
        operation && {
          ...operation,
          failure: { code: 'ER0218', message: 'what the next rung needs never came', retryable: true },
        },
    }),
    finish: assign({ operation: null }),
    letGo: assign({ operation: ({ context: { operation } }) => operation && { ...operation, tokens: [] } }),
    reportSuccess: enqueueActions(({ context: { key, operation }, enqueue }) => {
      for (const token of operation?.tokens ?? [])
        enqueue.emit({ type: 'succeeded', key, token, code: '000000', message: 'goal observed', retryable: false });
    }),
    reportFailure: enqueueActions(({ context: { key, operation }, enqueue }) => {
      const failure = operation?.failure ?? { code: 'ER0221', message: 'failed', retryable: true };
      for (const token of operation?.tokens ?? []) enqueue.emit({ type: 'failed', key, token, ...failure });
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
  id: 'service',
  options: { maxIterations: 100 },
  description: 'A service on an instance: what heartbeats say of it, beside what we are doing about it.',
  type: 'parallel',
  context: ({ input }) => ({
    key: input?.key ?? ('services/none' as EntityKey),
    limits: input?.limits ?? DEFAULT_LIMITS,
    ladder: input?.ladder ?? ['installed', 'up'],
    observed: UNSEEN,
    operation: null,
  }),
  states: {
    observed: {
      description: 'The last view. Only heartbeats move it.',
      initial: 'unknown',
      on: {
        heartbeat: [
          { guard: { type: 'reports', params: 'unknown' }, target: '.unknown', actions: 'record' },
          { guard: { type: 'reports', params: 'uninstalled' }, target: '.uninstalled', actions: 'record' },
          { guard: { type: 'reports', params: 'stopped' }, target: '.stopped', actions: 'record' },
          { guard: { type: 'reports', params: 'starting' }, target: '.starting', actions: 'record' },
          { guard: { type: 'reports', params: 'stopping' }, target: '.stopping', actions: 'record' },
          { guard: { type: 'reports', params: 'failing' }, target: '.failing', actions: 'record' },
          { guard: { type: 'reports', params: 'up' }, target: '.running.up', actions: 'record' },
          { guard: { type: 'reports', params: 'replicating' }, target: '.running.replicating', actions: 'record' },
          { guard: { type: 'reports', params: 'routed' }, target: '.running.routed', actions: 'record' },
        ],
      },
      states: {
        unknown: { tags: ['unknown'], description: 'Nobody can say: its instance is out of reach, or the source is silent.' },
        uninstalled: { tags: ['uninstalled', 'stable'] },
        stopped: { tags: ['stopped', 'stable'] },
        starting: { tags: ['starting', 'transient'] },
        stopping: { tags: ['stopping', 'transient'] },
        failing: { tags: ['failing'], description: 'It is there and does not answer as it should; the code says how.' },
        running: {
          description: 'It answers its own protocol.',
          tags: ['running', 'up', 'stable'],
          initial: 'up',
          states: {
            up: {},
            replicating: { tags: ['replicating'], meta: { step: 7 } },
            routed: { tags: ['replicating', 'routed'], meta: { step: 8 } },
          },
        },
      },
    },
    operation: {
      description: 'What we are doing about it.',
      initial: 'available',
      states: {
        available: {
          description: 'Takes any verb.',
          initial: 'idle',
          on: {
            start: { target: 'busy.climbing', actions: 'begin' },
            install: { target: 'busy.climbing', actions: 'begin' },
            stop: { target: 'busy.calling', actions: 'begin' },
            remove: { target: 'busy.calling', actions: 'begin' },
            sync: { target: 'busy.calling', actions: 'begin' },
            bootstrap_config: { target: 'busy.calling', actions: 'begin' },
            restart: [
              { guard: 'wasBegun', target: 'busy.settling', actions: ['begin', 'expectGoalSinceBegun'] },
              { target: 'busy.calling', actions: 'begin' },
            ],
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
          initial: 'climbing',
          on: {
            start: { guard: 'isSameVerb', actions: 'join' },
            install: { guard: 'isSameVerb', actions: 'join' },
            restart: { guard: 'isSameVerb', actions: 'join' },
            sync: { guard: 'isSameVerb', actions: 'join' },
            bootstrap_config: { guard: 'isSameVerb', actions: 'join' },
            stop: [
              { guard: 'isSameVerb', actions: 'join' },
              { guard: 'isAboveOperation', target: '.calling', reenter: true, actions: ['reportPreempted', 'begin'] },
            ],
            remove: [
              { guard: 'isSameVerb', actions: 'join' },
              { guard: 'isAboveOperation', target: '.calling', reenter: true, actions: ['reportPreempted', 'begin'] },
            ],
            cancel: [
              { guard: 'isLastToken', target: 'available.idle', actions: ['reportCancelled', 'finish'] },
              { actions: ['reportCancelled', 'dropToken'] },
            ],
            heartbeat: [
              { guard: 'hostIsLost', target: 'available.failed', actions: ['noteHostLost', 'reportFailure', 'letGo'] },
              { actions: 'tick' },
            ],
          },
          states: {
            climbing: {
              description: 'Chooses the first rung that does not hold.',
              always: [
                { guard: 'isClimbed', target: '#service.operation.available.idle', actions: ['reportSuccess', 'finish'] },
                { guard: 'hasUnmetNeeds', target: 'waiting-for-needs', actions: 'beginWait' },
                { guard: { type: 'lacks', params: 'installed' }, target: 'installing', actions: 'beginCall' },
                { guard: { type: 'lacks', params: 'up' }, target: 'bringing-up', actions: 'beginCall' },
                { guard: { type: 'lacks', params: 'replicating' }, target: 'syncing', actions: 'beginCall' },
                { guard: { type: 'lacks', params: 'routed' }, target: 'routing', actions: 'beginCall' },
              ],
            },
            'waiting-for-needs': {
              description: 'The next rung needs something elsewhere, or nobody can say what holds. Costs no attempt.',
              on: {
                heartbeat: [
                  { guard: 'needsAreMet', target: 'climbing', actions: 'tick' },
                  {
                    guard: 'isOverdue',
                    target: '#service.operation.available.failed',
                    actions: ['noteNeeds', 'reportFailure', 'letGo'],
                  },
                ],
              },
            },
            installing: {
              description: 'Its software is put on the instance.',
              meta: { step: 6 },
              initial: 'calling',
              states: {
                calling: {
                  tags: ['calling'],
                  invoke: {
                    src: 'perform',
                    input: ({ context }) => performInput(context, 'installed'),
                    onDone: { target: 'settling', actions: 'expectGoal' },
                    onError: { target: '#service.operation.busy.backing-off', actions: 'noteFailure' },
                  },
                  on: {
                    heartbeat: { guard: 'isOverdue', target: '#service.operation.busy.backing-off', actions: 'noteOverdue' },
                  },
                },
                settling: {
                  on: {
                    heartbeat: [
                      {
                        guard: { type: 'rungHolds', params: 'installed' },
                        target: '#service.operation.busy.climbing',
                        actions: ['noteRung', 'tick'],
                      },
                      { guard: 'isOverdue', target: '#service.operation.busy.backing-off', actions: 'noteOverdue' },
                    ],
                  },
                },
              },
            },
            'bringing-up': {
              description: 'Its server is started.',
              initial: 'calling',
              states: {
                calling: {
                  tags: ['calling'],
                  invoke: {
                    src: 'perform',
                    input: ({ context }) => performInput(context, 'up'),
                    onDone: { target: 'settling', actions: 'expectGoal' },
                    onError: { target: '#service.operation.busy.backing-off', actions: 'noteFailure' },
                  },
                  on: {
                    heartbeat: { guard: 'isOverdue', target: '#service.operation.busy.backing-off', actions: 'noteOverdue' },
                  },
                },
                settling: {
                  on: {
                    heartbeat: [
                      {
                        guard: { type: 'rungHolds', params: 'up' },
                        target: '#service.operation.busy.climbing',
                        actions: ['noteRung', 'tick'],
                      },
                      {
                        guard: { type: 'lowerRungIsLost', params: 'up' },
                        target: '#service.operation.busy.climbing',
                        actions: 'tick',
                      },
                      { guard: 'isOverdue', target: '#service.operation.busy.backing-off', actions: 'noteOverdue' },
                    ],
                  },
                },
              },
            },
            syncing: {
              description: 'It is made to follow its master.',
              meta: { step: 7 },
              initial: 'calling',
              states: {
                calling: {
                  tags: ['calling'],
                  invoke: {
                    src: 'perform',
                    input: ({ context }) => performInput(context, 'replicating'),
                    onDone: { target: 'settling', actions: 'expectGoal' },
                    onError: { target: '#service.operation.busy.backing-off', actions: 'noteFailure' },
                  },
                  on: {
                    heartbeat: { guard: 'isOverdue', target: '#service.operation.busy.backing-off', actions: 'noteOverdue' },
                  },
                },
                settling: {
                  on: {
                    heartbeat: [
                      {
                        guard: { type: 'rungHolds', params: 'replicating' },
                        target: '#service.operation.busy.climbing',
                        actions: ['noteRung', 'tick'],
                      },
                      {
                        guard: { type: 'lowerRungIsLost', params: 'replicating' },
                        target: '#service.operation.busy.climbing',
                        actions: 'tick',
                      },
                      { guard: 'isOverdue', target: '#service.operation.busy.backing-off', actions: 'noteOverdue' },
                    ],
                  },
                },
              },
            },
            routing: {
              description: 'Whoever routes to it is told that it is there.',
              meta: { step: 8 },
              initial: 'calling',
              states: {
                calling: {
                  tags: ['calling'],
                  invoke: {
                    src: 'perform',
                    input: ({ context }) => performInput(context, 'routed'),
                    onDone: { target: 'settling', actions: 'expectGoal' },
                    onError: { target: '#service.operation.busy.backing-off', actions: 'noteFailure' },
                  },
                  on: {
                    heartbeat: { guard: 'isOverdue', target: '#service.operation.busy.backing-off', actions: 'noteOverdue' },
                  },
                },
                settling: {
                  on: {
                    heartbeat: [
                      {
                        guard: { type: 'rungHolds', params: 'routed' },
                        target: '#service.operation.busy.climbing',
                        actions: ['noteRung', 'tick'],
                      },
                      {
                        guard: { type: 'lowerRungIsLost', params: 'routed' },
                        target: '#service.operation.busy.climbing',
                        actions: 'tick',
                      },
                      { guard: 'isOverdue', target: '#service.operation.busy.backing-off', actions: 'noteOverdue' },
                    ],
                  },
                },
              },
            },
            calling: {
              tags: ['calling'],
              description: 'The one call of stop, restart, remove, sync or bootstrap_config is being made.',
              invoke: {
                src: 'perform',
                input: ({ context }) => performInput(context),
                onDone: { target: 'settling', actions: 'expectGoal' },
                onError: [
                  { guard: 'wasPerhapsCalled', target: 'settling', actions: 'expectGoal' },
                  { target: 'backing-off', actions: 'noteFailure' },
                ],
              },
              on: { heartbeat: { guard: 'isOverdue', target: 'backing-off', actions: 'noteOverdue' } },
            },
            settling: {
              description: 'The call was accepted; only a reading that began after that says whether it worked.',
              on: {
                heartbeat: [
                  { guard: 'isAtGoal', target: '#service.operation.available.idle', actions: ['reportSuccess', 'finish'] },
                  { guard: 'isOverdue', target: 'backing-off', actions: 'noteOverdue' },
                ],
              },
            },
            'backing-off': {
              description: 'A try failed; the next one waits.',
              always: {
                guard: 'isExhausted',
                target: '#service.operation.available.failed',
                actions: ['reportFailure', 'letGo'],
              },
              on: {
                heartbeat: [
                  { guard: 'isDueToClimb', target: 'climbing', actions: 'tick' },
                  { guard: 'isDue', target: 'calling', actions: 'callAgain' },
                ],
              },
            },
          },
        },
      },
    },
  },
});

function performInput({ key, operation }: ServiceContext, rung?: ServiceRung): PerformInput {
  if (!operation) throw new Error('a service is called without an operation');
  const step = rung ?? SINGLE_CALL.get(operation.do.verb);
  return {
    key,
    do: operation.do,
    token: operation.token,
    by: operation.tokens[0] ?? operation.token,
    attempt: operation.failures + 1,
    ...(step === undefined ? {} : { step }),
  };
}

const SINGLE_CALL: ReadonlyMap<string, NonNullable<PerformInput['step']>> = new Map([
  ['stop', 'stop'],
  ['remove', 'remove'],
  ['restart', 'restart'],
  ['sync', 'replicating'],
  ['bootstrap_config', 'configure'],
]);
