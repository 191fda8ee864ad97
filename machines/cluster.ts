import { assign, enqueueActions, setup } from 'xstate';
import type { ClusterView } from '../src/domain/cluster.ts';
import type { EntityKey, Instant, Token } from '../src/domain/identity.ts';
import { type ClusterVerb, isClusterVerb, type SwitchoverStep } from '../src/domain/service.ts';
import {
  acceptedAt,
  type CancelEvent,
  type Effect,
  type EntityEmitted,
  type Failure,
  type FenceInput,
  type FenceOutput,
  failureOf,
  type PerformInput,
  type PerformOutput,
  type VerbEvent,
} from './effect.ts';
import {
  beginOperation,
  DEFAULT_LIMITS,
  drop,
  expectGoal,
  isPastDue,
  join,
  type Limits,
  noteFailure,
  type Operation,
  tick,
} from './operation.ts';

/** What the cluster chart remembers: what was observed, what we are doing about it. Plain JSON. */
export interface ClusterContext {
  readonly key: EntityKey;
  readonly limits: Limits;
  readonly observed: Pick<ClusterView, 'master' | 'lacking' | 'readAt'>;
  readonly operation: Operation | null;
}

/** A look at the whole cluster, after a change in it or, while it is busy, with any beat. */
export interface ClusterHeartbeat {
  readonly type: 'heartbeat';
  readonly now: Instant;
  /** False where something of it is not seen at present. */
  readonly fresh: boolean;
  readonly view: ClusterView;
}

export type ClusterEvent = ClusterHeartbeat | VerbEvent<ClusterVerb> | CancelEvent;

export interface ClusterInput {
  readonly key: EntityKey;
  readonly limits?: Limits;
}

/** What `record` is given: who is to be wanted as master from now on. */
export interface RecordInput {
  readonly key: EntityKey;
  readonly master: string;
  readonly token: Token;
}

const UNSEEN: ClusterContext['observed'] = { master: null, lacking: 'it has not been seen', readAt: null };

/**
 * One cluster whose services follow one master. `observed` is what heartbeats say; `operation` changes the master: as planned, by
 * `switch`, or by `failover` where it is lost.
 * From `read-only` on, writes are refused until `routing` is done: these states are left by what the servers themselves answer, not by
 * a beat. Until the new master is recorded, every failure of a switch gives the writes back to the old one; after that, there is only
 * forward. A failover goes on only once it is certain that the old master takes no writes.
 * Emits `succeeded`, `failed` or `cancelled`, once per token. Needs `perform`, `fence` and `record`.
 */
export const clusterMachine = setup({
  types: {
    context: {} as ClusterContext,
    events: {} as ClusterEvent,
    emitted: {} as EntityEmitted,
    input: {} as ClusterInput | undefined,
    tags: {} as 'settled' | 'busy' | 'committed' | 'attention',
  },
  actors: {
    perform: {} as Effect<PerformInput, PerformOutput>,
    fence: {} as Effect<FenceInput, FenceOutput>,
    record: {} as Effect<RecordInput>,
  },
  guards: {
    isSettled: ({ event }) => event.type === 'heartbeat' && event.fresh && event.view.lacking === null,
    isUnsettled: ({ event }) => event.type === 'heartbeat' && event.fresh && event.view.lacking !== null,
    isSameGoal: ({ context: { operation }, event }) =>
      'do' in event &&
      operation?.do.level === 'services' &&
      event.do.level === 'services' &&
      operation.do.verb === event.do.verb &&
      operation.do.name === event.do.name,
    isAtGoal: ({ context: { operation }, event }) =>
      event.type === 'heartbeat' &&
      operation?.do.level === 'services' &&
      operation.acceptedAt !== null &&
      event.view.readAt !== null &&
      event.view.readAt > operation.acceptedAt &&
      event.view.master === operation.do.name &&
      event.view.lacking === null,
    isOverdue: ({ context: { operation }, event }) => event.type === 'heartbeat' && isPastDue(operation, event),
    isFenced: ({ event }) => event.type === 'heartbeat' && event.view.isFenced,
    wasFencedBefore: ({ event }) => 'output' in event && (event.output as FenceOutput | undefined)?.isFenced === true,
    wasBegunBefore: ({ context: { operation } }) => operation?.mark === BEGUN_BEFORE,
    isLastToken: ({ context: { operation }, event }) =>
      event.type === 'cancel' && operation !== null && operation.tokens.every((token) => token === event.token),
  },
  actions: {
    recordView: assign({
      observed: ({ context, event }) =>
        event.type === 'heartbeat'
          ? { master: event.view.master, lacking: event.view.lacking, readAt: event.view.readAt }
          : context.observed,
    }),
    begin: assign({
      operation: ({ context, event }) =>
        isClusterVerb(event.type) && 'do' in event
          ? { ...beginOperation(context.limits, event, null), mark: event.begun === null ? null : BEGUN_BEFORE }
          : context.operation,
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
    expectGoal: assign({
      operation: ({ context: { operation, limits }, event }) => operation && expectGoal(operation, limits, acceptedAt(event)),
    }),
    noteFailure: assign({
      operation: ({ context: { operation, limits }, event }) => operation && noteFailure(operation, limits, failureIn(event)),
    }),
    noteFinalFailure: assign({
      operation: ({ context: { operation, limits }, event }) =>
        operation && noteFailure(operation, limits, { ...failureIn(event), retryable: false }),
    }),
    noteUnreverted: assign({
      operation: ({ context: { operation, limits }, event }) =>
        operation && noteFailure(operation, limits, unreverted(operation.failure, failureIn(event))),
    }),
    noteUnsettled: assign({
      operation: ({ context: { operation, limits }, event }) =>
        operation && event.type === 'heartbeat' ? noteFailure(operation, limits, unsettled(event.view), event.now) : operation,
    }),
    noteUnfenced: assign({
      operation: ({ context: { operation, limits }, event }) =>
        operation && event.type === 'heartbeat' ? noteFailure(operation, limits, UNFENCED, event.now) : operation,
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
    reportCancelled: enqueueActions(({ context: { key, operation }, event, enqueue }) => {
      if (event.type === 'cancel' && operation?.tokens.includes(event.token))
        enqueue.emit({ type: 'cancelled', key, token: event.token, code: event.reason, message: 'cancelled', retryable: false });
    }),
  },
}).createMachine({
  id: 'cluster',
  options: { maxIterations: 100 },
  description: 'A cluster whose services follow one master: what heartbeats say of it, beside what we are doing about it.',
  type: 'parallel',
  context: ({ input }) => ({
    key: input?.key ?? ('clusters/none' as EntityKey),
    limits: input?.limits ?? DEFAULT_LIMITS,
    observed: UNSEEN,
    operation: null,
  }),
  states: {
    observed: {
      description: 'The last look. Only heartbeats move it.',
      initial: 'unknown',
      on: {
        heartbeat: [
          { guard: 'isSettled', target: '.settled', actions: 'recordView' },
          { guard: 'isUnsettled', target: '.unsettled', actions: 'recordView' },
          { target: '.unknown', actions: 'recordView' },
        ],
      },
      states: {
        unknown: { description: 'Something of it is not seen at present.' },
        settled: { tags: ['settled'], description: 'Its master is one, its replicas follow, its balancers route.' },
        unsettled: { description: 'Something is not as its wanted master has it.' },
      },
    },
    operation: {
      description: 'The change of its master.',
      initial: 'available',
      states: {
        available: {
          description: 'Takes a switch or a failover.',
          initial: 'idle',
          on: {
            switch: { target: 'busy.checking', actions: 'begin' },
            failover: { target: 'busy.confirming', actions: 'begin' },
          },
          states: {
            idle: { description: 'Nothing is being done, nothing is left undone.' },
            failed: { tags: ['attention'], description: 'The last change of master failed.' },
          },
        },
        busy: {
          description: 'One change of master is under way.',
          tags: ['busy'],
          initial: 'checking',
          on: {
            switch: { guard: 'isSameGoal', actions: 'join' },
            failover: { guard: 'isSameGoal', actions: 'join' },
            cancel: [
              { guard: 'isLastToken', target: 'available.idle', actions: ['reportCancelled', 'finish'] },
              { actions: ['reportCancelled', 'dropToken'] },
            ],
            heartbeat: { actions: 'tick' },
          },
          states: {
            checking: {
              description: 'Whether the old master answers, and the new one follows it closely and has nothing of its own.',
              invoke: {
                src: 'perform',
                input: ({ context }) => performInput(context, 'check'),
                onDone: { target: 'read-only' },
                onError: [
                  { guard: 'wasBegunBefore', target: 'reverting', actions: 'noteFinalFailure' },
                  { target: '#cluster.operation.available.failed', actions: ['noteFinalFailure', 'reportFailure', 'letGo'] },
                ],
              },
            },
            'read-only': {
              tags: ['committed'],
              description: 'The old master takes no more writes; what it has acknowledged is in its log.',
              invoke: {
                src: 'perform',
                input: ({ context }) => performInput(context, 'read-only'),
                onDone: { target: 'catching-up' },
                onError: { target: 'reverting', actions: 'noteFinalFailure' },
              },
            },
            'catching-up': {
              tags: ['committed'],
              description: 'The new master replays all that the old one has written.',
              invoke: {
                src: 'perform',
                input: ({ context }) => performInput(context, 'catch-up'),
                onDone: { target: 'recording' },
                onError: { target: 'reverting', actions: 'noteFinalFailure' },
              },
            },
            confirming: {
              description: 'Whether the old master answers nobody, and the new one could take its place. Of a failover alone.',
              invoke: {
                src: 'perform',
                input: ({ context }) => performInput(context, 'confirm'),
                onDone: { target: 'fencing' },
                onError: {
                  target: '#cluster.operation.available.failed',
                  actions: ['noteFailure', 'reportFailure', 'letGo'],
                },
              },
            },
            fencing: {
              tags: ['committed'],
              description: 'The old master is turned off, or stopped on its host, where it is not yet.',
              invoke: {
                src: 'fence',
                input: ({ context }) => fenceInput(context),
                onDone: [
                  { guard: 'wasFencedBefore', target: 'gathering' },
                  { target: 'awaiting-fence', actions: 'expectGoal' },
                ],
                onError: {
                  target: '#cluster.operation.available.failed',
                  actions: ['noteFailure', 'reportFailure', 'letGo'],
                },
              },
            },
            'awaiting-fence': {
              tags: ['committed'],
              description: 'Nobody takes its place before it is seen that it takes no writes.',
              on: {
                heartbeat: [
                  { guard: 'isFenced', target: 'gathering', actions: 'tick' },
                  {
                    guard: 'isOverdue',
                    target: '#cluster.operation.available.failed',
                    actions: ['noteUnfenced', 'reportFailure', 'letGo'],
                  },
                  { actions: 'tick' },
                ],
              },
            },
            gathering: {
              tags: ['committed'],
              description: 'The new master replays all that any replica has received of the old one.',
              invoke: {
                src: 'perform',
                input: ({ context }) => performInput(context, 'gather'),
                onDone: { target: 'recording' },
                onError: {
                  target: '#cluster.operation.available.failed',
                  actions: ['noteFailure', 'reportFailure', 'letGo'],
                },
              },
            },
            recording: {
              tags: ['committed'],
              description: 'The wanted role is swapped in the store, under the fence. From here on there is only forward.',
              invoke: {
                src: 'record',
                input: ({ context }) => recordInput(context),
                onDone: { target: 'promoting' },
                onError: {
                  target: '#cluster.operation.available.failed',
                  actions: ['noteFailure', 'reportFailure', 'letGo'],
                },
              },
            },
            promoting: {
              tags: ['committed'],
              description: 'The new master takes writes, once nobody else does.',
              invoke: {
                src: 'perform',
                input: ({ context }) => performInput(context, 'promote'),
                onDone: { target: 'routing' },
                onError: {
                  target: '#cluster.operation.available.failed',
                  actions: ['noteFailure', 'reportFailure', 'letGo'],
                },
              },
            },
            routing: {
              tags: ['committed'],
              description: 'The balancers send writes to the new master and end the connections to the old one.',
              invoke: {
                src: 'perform',
                input: ({ context }) => performInput(context, 'route'),
                onDone: { target: 're-pointing' },
                onError: {
                  target: '#cluster.operation.available.failed',
                  actions: ['noteFailure', 'reportFailure', 'letGo'],
                },
              },
            },
            're-pointing': {
              tags: ['committed'],
              description: 'The old master and the other replicas follow the new one.',
              invoke: {
                src: 'perform',
                input: ({ context }) => performInput(context, 're-point'),
                onDone: { target: 'settling', actions: 'expectGoal' },
                onError: {
                  target: '#cluster.operation.available.failed',
                  actions: ['noteFailure', 'reportFailure', 'letGo'],
                },
              },
            },
            settling: {
              description: 'All calls were accepted; only readings that began after that say whether all is in its place.',
              on: {
                heartbeat: [
                  { guard: 'isAtGoal', target: '#cluster.operation.available.idle', actions: ['reportSuccess', 'finish'] },
                  {
                    guard: 'isOverdue',
                    target: '#cluster.operation.available.failed',
                    actions: ['noteUnsettled', 'reportFailure', 'letGo'],
                  },
                  { actions: 'tick' },
                ],
              },
            },
            reverting: {
              tags: ['committed'],
              description: 'Something failed in time: the old master takes writes again.',
              invoke: {
                src: 'perform',
                input: ({ context }) => performInput(context, 'revert'),
                onDone: { target: '#cluster.operation.available.failed', actions: ['reportFailure', 'letGo'] },
                onError: {
                  target: '#cluster.operation.available.failed',
                  actions: ['noteUnreverted', 'reportFailure', 'letGo'],
                },
              },
            },
          },
        },
      },
    },
  },
});

/** The mark of a change that was begun in an earlier life: perhaps its old master takes no writes already. */
const BEGUN_BEFORE = 'begun before';

const failureIn = (event: ClusterEvent): Failure => failureOf('error' in event ? event.error : undefined);

/** Somebody has to take writes: that is worth another try. */
const unreverted = (failure: Failure | null, why: Failure): Failure => ({
  ...why,
  message: `${failure?.message ?? 'it failed'}; and its old master could not be made to take writes again: ${why.message}`,
  retryable: true,
});

const unsettled = ({ lacking }: ClusterView): Failure => ({
  code: 'ER0212',
  message: `the master is changed, yet not all was seen in its place: ${lacking ?? 'something was not read'}`,
  retryable: true,
});

function performInput({ key, operation }: ClusterContext, step: SwitchoverStep): PerformInput {
  if (!operation) throw new Error('a cluster is called without an operation');
  return {
    key,
    do: operation.do,
    step,
    token: operation.token,
    by: operation.tokens[0] ?? operation.token,
    attempt: operation.failures + 1,
  };
}

/** Whoever tries again looks again: it may be off by then. */
const UNFENCED: Failure = {
  code: 'ER0258',
  message: 'it was not seen in time that the old master takes no writes',
  retryable: true,
};

function fenceInput({ key, operation }: ClusterContext): FenceInput {
  if (!operation) throw new Error('a master is fenced without an operation');
  return { key, do: operation.do, token: operation.token, by: operation.tokens[0] ?? operation.token };
}

function recordInput({ key, operation }: ClusterContext): RecordInput {
  if (operation?.do.level !== 'services') throw new Error('a master is recorded without an operation');
  return { key, master: operation.do.name, token: operation.token };
}
