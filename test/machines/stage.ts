import { asInstant, asToken, type Do, type InstanceState, type ServiceState, type View } from 'fleetbeat';
import type { EntityEmitted, Limits, PerformInput, PerformOutput } from 'fleetbeat/machines';
import { type AnyStateMachine, createActor, fromPromise, type Snapshot } from 'xstate';
import type { Begun } from '../../src/domain/action.ts';
import { turns } from '../support/turns.ts';

/** Short numbers, so that a test can say what passes before what. */
export const LIMITS: Limits = {
  callMs: 10_000,
  settleMs: 20_000,
  needsMs: 60_000,
  callAttempts: 3,
  backoffMs: 1000,
  backoffMaxMs: 4000,
};

/** An effect in the test's hand: every call of it waits until the test answers. */
export function handmade<TInput, TOutput>() {
  const calls: {
    readonly input: TInput;
    readonly signal: AbortSignal;
    readonly resolve: (output: TOutput) => void;
    readonly reject: (error: unknown) => void;
  }[] = [];
  const latest = () => {
    const call = calls.at(-1);
    if (!call) throw new Error('nothing was called');
    return call;
  };
  const effect = ({ input, signal }: { readonly input: TInput; readonly signal: AbortSignal }) =>
    new Promise<TOutput>((resolve, reject) => void calls.push({ input, signal, resolve, reject }));
  return {
    calls,
    effect,
    logic: fromPromise<TOutput, TInput>(effect),
    latest,
    async answer(output: TOutput) {
      latest().resolve(output);
      await turns(1);
    },
    async refuse(error: unknown) {
      latest().reject(error);
      await turns(1);
    },
  };
}

/** Where a chart stands, as dotted text: `open.busy.calling`. */
export function pathOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([state, inner]) => `${state}.${pathOf(inner)}`)
    .join(' ∥ ');
}

/** What a host saves of an actor and reads back in another life. */
export const saved = (actor: { getPersistedSnapshot(): unknown }): Snapshot<unknown> =>
  JSON.parse(JSON.stringify(actor.getPersistedSnapshot()));

export interface Asked {
  readonly token?: string;
  readonly begun?: Begun;
}

/** A chart of an entity with its clock, its heartbeats and its `perform` in the test's hand. */
export function stageEntity<TState extends InstanceState | ServiceState>(options: {
  readonly machine: AnyStateMachine;
  readonly input: object;
  readonly viewOf: (state: TState, overrides: Partial<View>) => View;
}) {
  const perform = handmade<PerformInput, PerformOutput>();
  const machine = options.machine.provide({ actors: { perform: perform.logic } });
  const heard: string[] = [];
  const emitted: EntityEmitted[] = [];
  let now = 0;
  let actor = open();

  function open(snapshot?: Snapshot<unknown>) {
    const opened = createActor(machine, { input: options.input, ...(snapshot && { snapshot }) });
    opened.on('*', (event: EntityEmitted) => {
      emitted.push(event);
      heard.push(`${event.type} ${event.token} ${event.code}`);
    });
    return opened.start();
  }

  const verbEvent = (what: Do, { token = 'A', begun }: Asked = {}) => ({
    type: what.verb,
    now: asInstant(now),
    token: asToken(token),
    do: what,
    begun: begun ?? null,
  });

  return {
    perform,
    /** What was emitted: `succeeded A 000000`. */
    heard,
    emitted,
    now: () => asInstant(now),
    snapshot: () => actor.getSnapshot(),
    context: () => actor.getSnapshot().context,
    observed: () => pathOf(actor.getSnapshot().value.observed),
    operation: () => pathOf(actor.getSnapshot().value.operation),
    hasTag: (tag: string) => actor.getSnapshot().hasTag(tag),
    ask: (what: Do, asked?: Asked) => actor.send(verbEvent(what, asked)),
    mayAsk: (what: Do, asked?: Asked) => actor.getSnapshot().can(verbEvent(what, asked)),
    cancel: (token = 'A') => actor.send({ type: 'cancel', now: asInstant(now), token: asToken(token), reason: 'ER0217' }),
    /** A heartbeat one second after whatever was before, or later; its view was read in that instant unless it says otherwise. */
    beat(state: TState, { after = 1000, fresh = true, ...overrides }: { after?: number; fresh?: boolean } & Partial<View> = {}) {
      now += after;
      const view = options.viewOf(state, { readAt: asInstant(now), ...overrides });
      actor.send({ type: 'heartbeat', now: asInstant(now), fresh, view });
    },
    /** The call is accepted in this instant. */
    accept: () => perform.answer({ acceptedAt: asInstant(now) }),
    refuse: (failure: { readonly code?: string; readonly retryable?: boolean } = {}) =>
      perform.refuse({ code: 'ER0221', retryable: true, message: 'no', ...failure }),
    /** Ends this life and begins another from what a host would have saved. */
    restart() {
      const snapshot = saved(actor);
      actor.stop();
      actor = open(snapshot);
    },
  };
}

/** What every view has; the words that hold and everything else are given. */
export const viewWith = (view: Pick<View, 'key' | 'level' | 'name' | 'state' | 'holds'> & Partial<View>): View => ({
  ip: null,
  code: '000000',
  heldSince: new Map(),
  source: 'test',
  mark: null,
  unmet: [],
  hostLost: false,
  gone: false,
  since: asInstant(0),
  readAt: asInstant(0),
  seenSince: asInstant(0),
  ...view,
});
