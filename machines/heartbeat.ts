import { assign, setup } from 'xstate';
import type { Instant } from '../src/domain/identity.ts';
import { type Effect, type Failure, failureOf } from './effect.ts';

export interface HeartbeatContext {
  readonly source: string;
  /** When the last beat was asked for. */
  readonly askedAt: Instant | null;
  /** A beat asked for while one ran: one more after it, never two at once. */
  readonly owed: boolean;
  readonly failure: Failure | null;
}

export type HeartbeatEvent = { readonly type: 'beat'; readonly now: Instant };

export interface ObserveInput {
  readonly source: string;
  readonly now: Instant;
}

/** The beat of one source: observe, apply, rest. Needs `observe` (rejects on failure or past its deadline) and `apply`. */
export const heartbeatMachine = setup({
  types: {
    context: {} as HeartbeatContext,
    events: {} as HeartbeatEvent,
    input: {} as { readonly source: string } | undefined,
    tags: {} as 'at-rest' | 'attention',
  },
  actors: {
    observe: {} as Effect<ObserveInput>,
    apply: {} as Effect<{ readonly reading: unknown }>,
  },
  guards: {
    isOwed: ({ context }) => context.owed,
  },
  actions: {
    ask: assign({ askedAt: ({ context, event }) => ('now' in event ? event.now : context.askedAt), owed: false }),
    owe: assign({ askedAt: ({ context, event }) => ('now' in event ? event.now : context.askedAt), owed: true }),
    payOff: assign({ owed: false }),
    noteFailure: assign({ failure: ({ event }) => failureOf('error' in event ? event.error : undefined) }),
    noteSuccess: assign({ failure: null }),
  },
}).createMachine({
  id: 'heartbeat',
  options: { maxIterations: 100 },
  description: 'The beat of one source.',
  context: ({ input }) => ({ source: input?.source ?? '', askedAt: null, owed: false, failure: null }),
  initial: 'resting',
  states: {
    resting: {
      tags: ['at-rest'],
      description: 'Nothing is being read; waits for the next beat.',
      always: { guard: 'isOwed', target: 'observing', actions: 'payOff' },
      on: { beat: { target: 'observing', actions: 'ask' } },
    },
    observing: {
      description: 'The source is being read, once.',
      invoke: {
        src: 'observe',
        input: ({ context }) => ({ source: context.source, now: context.askedAt ?? (0 as Instant) }),
        onDone: { target: 'applying' },
        onError: { target: 'blind', actions: 'noteFailure' },
      },
      on: { beat: { actions: 'owe' } },
    },
    applying: {
      description: 'What was read is being brought to the inventory and the charts.',
      invoke: {
        src: 'apply',
        input: ({ event }) => ({ reading: 'output' in event ? event.output : null }),
        onDone: { target: 'resting', actions: 'noteSuccess' },
        onError: { target: 'blind', actions: 'noteFailure' },
      },
      on: { beat: { actions: 'owe' } },
    },
    blind: {
      tags: ['at-rest', 'attention'],
      description: 'The last read failed or took too long. Nothing of this source is believed gone, nothing fires from it.',
      always: { guard: 'isOwed', target: 'observing', actions: 'payOff' },
      on: { beat: { target: 'observing', actions: 'ask' } },
    },
  },
});
