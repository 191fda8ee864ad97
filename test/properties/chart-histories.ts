import fc from 'fast-check';
import {
  type Action,
  type ActionId,
  asActionId,
  asInstant,
  asToken,
  clusterKey,
  type Do,
  INSTANCE_RUNGS,
  instanceKey,
  NOW,
  type ServiceRung,
  serviceKey,
  type Token,
  type View,
} from 'fleetbeat';
import {
  type ActionContext,
  actionMachine,
  clusterMachine,
  heartbeatMachine,
  instanceMachine,
  serviceMachine,
} from 'fleetbeat/machines';
import { type AnyStateMachine, fromPromise } from 'xstate';
import { INSTANCE_VERBS } from '../../src/domain/instance.ts';
import { SERVICE_RUNGS, SERVICE_VERBS } from '../../src/domain/service.ts';

/** What happens to a chart: an event reaches it, or the effect that it waits for ends. */
export type Happening =
  | { readonly send: { readonly type: string } }
  | { readonly answer: unknown }
  | { readonly fail: { readonly code: string; readonly message: string; readonly retryable: boolean } };

/** The effect that a chart has asked for last; the history ends it when it likes. */
export interface Pending {
  end(answer: (resolve: (output: unknown) => void, reject: (error: unknown) => void) => void): void;
}

/** A chart, what can happen to it, and how it is made with its effects in the history's hand. */
export interface ChartUnderTest {
  readonly name: string;
  readonly input: unknown;
  /** The context that a chart without its input begins with. */
  readonly context: unknown;
  readonly happening: fc.Arbitrary<Happening>;
  make(): {
    readonly machine: AnyStateMachine;
    /** What the machine was provided with, as functions. */
    readonly effects: Readonly<Record<string, () => Promise<unknown>>>;
    readonly pending: Pending;
  };
}

const limits = {
  callMs: 4000,
  settleMs: 6000,
  needsMs: 8000,
  callAttempts: 2,
  backoffMs: 1000,
  backoffMaxMs: 4000,
  attempts: 2,
  claimMs: 3000,
};

/** An effect that does nothing until the history ends it. */
function inHand(...names: readonly string[]) {
  let end: ((output: unknown) => void) | null = null;
  let fail: ((error: unknown) => void) | null = null;
  const effect = () =>
    new Promise<unknown>((resolve, reject) => {
      end = resolve;
      fail = reject;
    });
  return {
    effects: Object.fromEntries(names.map((name) => [name, effect])),
    actors: Object.fromEntries(names.map((name) => [name, fromPromise<unknown, unknown>(effect)])) as never,
    pending: {
      end(answer: (resolve: (output: unknown) => void, reject: (error: unknown) => void) => void) {
        if (end && fail) answer(end, fail);
        end = fail = null;
      },
    },
  };
}

/** Time goes on with every event; a minute here and there is past every deadline. */
const instants = fc.integer({ min: 0, max: 40_000 }).map(asInstant);
const tokens = fc.constantFrom('a', 'b', 'c').map((text): Token => asToken(text));
const failures = fc
  .record({
    fail: fc.record({
      code: fc.constantFrom('ER0220', 'ER0221', 'ER0206'),
      message: fc.constant('it failed'),
      retryable: fc.boolean(),
    }),
  })
  .map((happening): Happening => happening);
const accepted = fc.oneof(fc.constant(undefined), fc.record({ acceptedAt: instants })).map((answer): Happening => ({ answer }));
const begun = fc.option(fc.record({ at: instants, mark: fc.constantFrom(null, 'boot-1', 'boot-2') }));

/** Words as the inventory gives them, and some that it never would. */
function viewsOf(
  base: Pick<View, 'key' | 'level' | 'name'>,
  states: Readonly<Record<string, readonly string[]>>,
  isStrange: boolean,
): fc.Arbitrary<View> {
  const state = isStrange
    ? fc.oneof(fc.constantFrom(...Object.keys(states)), fc.string())
    : fc.constantFrom(...Object.keys(states));
  return fc
    .record({
      state,
      strays: isStrange ? fc.array(fc.constantFrom(...Object.values(states).flat()), { maxLength: 4 }) : fc.constant([]),
      mark: fc.constantFrom(null, 'boot-1', 'boot-2'),
      gone: fc.boolean(),
      unmet: fc.constantFrom<readonly string[]>([], [], ['services/other']),
      hostLost: fc.constantFrom(false, false, false, true),
      readAt: isStrange ? fc.oneof(instants, fc.constantFrom(Number.NaN, -Infinity).map(asInstant)) : instants,
    })
    .map(({ state: word, strays, gone, ...rest }) => {
      const words = Object.hasOwn(states, word) ? (states[word] ?? []) : [word];
      return {
        ...base,
        ...rest,
        ip: null,
        code: '000000',
        state: word as View['state'],
        holds: new Set([...words, ...strays]),
        heldSince: new Map(),
        source: 'test',
        gone: gone && (isStrange || word === 'terminated' || word === 'absent'),
        since: rest.readAt,
        seenSince: rest.readAt,
      };
    });
}

const rungsUpTo = <T extends string>(rungs: readonly T[], top: T): readonly T[] => rungs.slice(0, rungs.indexOf(top) + 1);

const INSTANCE_STATES = {
  ...Object.fromEntries(
    ['unknown', 'absent', 'pending', 'unreachable', 'stopping', 'stopped', 'shutting-down', 'terminated'].map((state) => [
      state,
      [state],
    ]),
  ),
  ...Object.fromEntries(INSTANCE_RUNGS.map((rung) => [rung, ['running', ...rungsUpTo(INSTANCE_RUNGS, rung)]])),
};

const SERVICE_STATES = {
  unknown: ['unknown'],
  uninstalled: ['uninstalled'],
  ...Object.fromEntries(['stopped', 'starting', 'stopping', 'failing'].map((state) => [state, [state, 'installed']])),
  ...Object.fromEntries(
    (['up', 'replicating', 'routed'] as const).map((rung) => [rung, ['running', ...rungsUpTo(SERVICE_RUNGS, rung)]]),
  ),
};

const sent = (event: fc.Arbitrary<{ readonly type: string }>): fc.Arbitrary<Happening> => event.map((send) => ({ send }));

function entityHappenings(verbs: fc.Arbitrary<Do>, views: fc.Arbitrary<unknown>): fc.Arbitrary<Happening> {
  return fc.oneof(
    {
      weight: 6,
      arbitrary: sent(
        fc.record({
          type: fc.constant('heartbeat'),
          now: instants,
          fresh: fc.constantFrom(true, true, true, false),
          view: views,
        }),
      ),
    },
    {
      weight: 3,
      arbitrary: sent(
        fc.record({ do: verbs, now: instants, token: tokens, begun }).map((event) => ({ type: event.do.verb, ...event })),
      ),
    },
    {
      weight: 1,
      arbitrary: sent(fc.record({ type: fc.constant('cancel'), now: instants, token: tokens, reason: fc.constant('ER0217') })),
    },
    { weight: 3, arbitrary: accepted },
    { weight: 1, arbitrary: failures },
  );
}

const instance = instanceKey('cloud', 'i-1');

const instanceVerbs: fc.Arbitrary<Do> = fc
  .record({ verb: fc.constantFrom(...INSTANCE_VERBS), upTo: fc.constantFrom(...INSTANCE_RUNGS) })
  .map(({ verb, upTo }) => ({
    level: 'instances',
    subject: { key: instance },
    verb,
    ...(verb === 'bootstrap' ? { upTo } : {}),
  }));

function instanceChart(isStrange: boolean): ChartUnderTest {
  const observed = { state: 'unknown', bootId: null, gone: false, readAt: null };
  return {
    name: 'instance',
    input: { key: instance, limits },
    context: { key: instance, limits, observed, operation: null },
    happening: entityHappenings(
      instanceVerbs,
      viewsOf({ key: instance, level: 'instances', name: 'i-1' }, INSTANCE_STATES, isStrange),
    ),
    make() {
      const { effects, actors, pending } = inHand('perform');
      return { machine: instanceMachine.provide({ actors }) as unknown as AnyStateMachine, effects, pending };
    },
  };
}

const service = serviceKey('node1');
const ladder: readonly ServiceRung[] = SERVICE_RUNGS;

const serviceVerbs: fc.Arbitrary<Do> = fc
  .constantFrom(...SERVICE_VERBS)
  .map((verb) => ({ level: 'services', name: 'node1', verb }));

function serviceChart(isStrange: boolean): ChartUnderTest {
  const observed = { state: 'unknown', missing: null, isUnmet: false, runId: null, readAt: null };
  return {
    name: 'service',
    input: { key: service, limits, ladder },
    context: { key: service, limits, ladder, observed, operation: null },
    happening: entityHappenings(
      serviceVerbs,
      viewsOf({ key: service, level: 'services', name: 'node1' }, SERVICE_STATES, isStrange),
    ),
    make() {
      const { effects, actors, pending } = inHand('perform');
      return { machine: serviceMachine.provide({ actors }) as unknown as AnyStateMachine, effects, pending };
    },
  };
}

const cluster = clusterKey('shop');

const switches: fc.Arbitrary<Do> = fc.constantFrom('db1', 'db2').map((name) => ({ level: 'services', name, verb: 'switch' }));

const looks = (isStrange: boolean): fc.Arbitrary<unknown> =>
  fc.record({
    name: fc.constant('shop'),
    master: fc.constantFrom(null, 'db1', 'db2'),
    lacking: fc.constantFrom(null, null, 'db2 does not replicate'),
    readAt: isStrange ? fc.oneof(instants, fc.constantFrom(null, Number.NaN, -Infinity)) : fc.oneof(instants, fc.constant(null)),
  });

function clusterChart(isStrange: boolean): ChartUnderTest {
  const observed = { master: null, lacking: 'it has not been seen', readAt: null };
  return {
    name: 'cluster',
    input: { key: cluster, limits },
    context: { key: cluster, limits, observed, operation: null },
    happening: entityHappenings(switches, looks(isStrange)),
    make() {
      const { effects, actors, pending } = inHand('perform', 'record');
      return { machine: clusterMachine.provide({ actors }) as unknown as AnyStateMachine, effects, pending };
    },
  };
}

const waiting: Action = {
  lane: service,
  when: NOW,
  do: { level: 'services', name: 'node1', verb: 'start' },
  id: asActionId('action') satisfies ActionId,
  token: asToken('action.1'),
  order: 1,
  armedAt: asInstant(0),
  expiresAt: asInstant(30_000),
  onExpire: 'drop',
  status: 'waiting',
  attempts: 0,
  begun: null,
  history: [],
};

const claims = fc
  .constantFrom<unknown>(
    { outcome: 'won', fence: 3 },
    { outcome: 'lost' },
    { outcome: 'done' },
    { outcome: 'expired' },
    { outcome: 'cancelled' },
    { outcome: 'unknown' },
  )
  .map((answer): Happening => ({ answer }));
const dispatches = fc
  .constantFrom<unknown>(
    { outcome: 'done', code: '000000' },
    { outcome: 'cancelled', code: 'ER0217' },
    { outcome: 'deferred', action: { ...waiting, when: { on: 'any', of: [] } } },
  )
  .map((answer): Happening => ({ answer }));

function actionChart(onExpire: Action['onExpire']): ChartUnderTest {
  const action: Action = { ...waiting, onExpire };
  const context = { action, limits, seenAt: action.armedAt, notBefore: action.armedAt, fence: 0, retryable: true };
  return {
    name: `action that will ${onExpire} when it expires`,
    input: { action, limits },
    context: context satisfies ActionContext,
    happening: fc.oneof(
      {
        weight: 6,
        arbitrary: sent(fc.record({ type: fc.constant('heartbeat'), now: instants, fresh: fc.boolean(), holds: fc.boolean() })),
      },
      { weight: 1, arbitrary: sent(fc.record({ type: fc.constantFrom('cancel', 'retry', 'discard'), now: instants })) },
      { weight: 3, arbitrary: claims },
      { weight: 3, arbitrary: dispatches },
      { weight: 2, arbitrary: failures },
    ),
    make() {
      const { effects, actors, pending } = inHand('claim', 'dispatch');
      return {
        machine: actionMachine.provide({ actors }) as unknown as AnyStateMachine,
        effects,
        pending,
      };
    },
  };
}

const heartbeatChart: ChartUnderTest = {
  name: 'heartbeat',
  input: { source: 'cloud' },
  context: { source: 'cloud', askedAt: null, owed: false, failure: null },
  happening: fc.oneof(
    { weight: 3, arbitrary: sent(fc.record({ type: fc.constant('beat'), now: instants })) },
    { weight: 3, arbitrary: fc.constant<Happening>({ answer: { source: 'cloud', epoch: 'e', seq: 1 } }) },
    { weight: 1, arbitrary: failures },
  ),
  make() {
    const { effects, actors, pending } = inHand('observe', 'apply');
    return {
      machine: heartbeatMachine.provide({ actors }) as unknown as AnyStateMachine,
      effects,
      pending,
    };
  },
};

/** All charts; a `strange` one also gets views that no inventory would make. */
export const charts = (kind: 'plain' | 'strange' = 'plain'): readonly ChartUnderTest[] => [
  instanceChart(kind === 'strange'),
  serviceChart(kind === 'strange'),
  clusterChart(kind === 'strange'),
  actionChart('drop'),
  actionChart('run'),
  actionChart('fail'),
  heartbeatChart,
];

/** Instants of a history go on: each event comes at the latest instant so far, or later. */
export function inOrder(history: readonly Happening[]): readonly Happening[] {
  let now = 0;
  return history.map((happening) => {
    if (!('send' in happening) || !('now' in happening.send)) return happening;
    now += Number(happening.send.now) % 3000;
    return { send: { ...happening.send, now: asInstant(now), ...readBefore(happening.send, now) } };
  });
}

/** A reading began at most a little before the heartbeat that tells it. */
function readBefore(event: { readonly type: string }, now: number): { readonly view?: View } {
  if (!('view' in event)) return {};
  const view = event.view as View;
  return { view: { ...view, readAt: asInstant(now - (Number(view.readAt) % 1500)) } };
}

/** Lets the chart hear of what its effect came to. */
export async function happen(
  happening: Happening,
  pending: Pending,
  send: (event: { readonly type: string }) => void,
): Promise<void> {
  if ('send' in happening) send(happening.send);
  else
    pending.end((resolve, reject) => {
      if ('fail' in happening) reject(happening.fail);
      else resolve(happening.answer);
    });
  await new Promise((resolve) => setImmediate(resolve));
}
