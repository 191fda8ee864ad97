import { asInstant, asToken, clusterKey } from 'fleetbeat';
import {
  type ClusterHeartbeat,
  type ClusterInput,
  clusterMachine,
  type EntityEmitted,
  type FenceInput,
  type FenceOutput,
  type PerformInput,
  type PerformOutput,
  type RecordInput,
} from 'fleetbeat/machines';
import { createActor, fromPromise, type Snapshot } from 'xstate';
import type { Begun } from '../../src/domain/action.ts';
import { handmade, LIMITS, pathOf, saved } from './stage.ts';

const KEY = clusterKey('shop');

/** The chart of a cluster whose master is `db1`, with its clock, its heartbeats and its effects in the test's hand. */
export function stageCluster() {
  const perform = handmade<PerformInput, PerformOutput>();
  const fence = handmade<FenceInput, FenceOutput>();
  const record = handmade<RecordInput, void>();
  const machine = clusterMachine.provide({
    actors: { perform: perform.logic, fence: fence.logic, record: fromPromise<void, RecordInput>(record.effect) },
  });
  const emitted: EntityEmitted[] = [];
  let now = 0;
  let actor = open();

  function open(snapshot?: Snapshot<unknown>) {
    const input: ClusterInput = { key: KEY, limits: LIMITS };
    const opened = createActor(machine, { input, ...(snapshot && { snapshot: snapshot as never }) });
    opened.on('*', (event: EntityEmitted) => emitted.push(event));
    return opened.start();
  }

  const change = (verb: 'switch' | 'failover', to: string, token: string, begun: Begun | null = null) =>
    ({
      type: verb,
      now: asInstant(now),
      token: asToken(token),
      do: { level: 'services', name: to, verb },
      begun,
    }) as const;

  return {
    perform,
    fence,
    record,
    emitted,
    snapshot: () => actor.getSnapshot(),
    observed: () => pathOf(actor.getSnapshot().value.observed),
    operation: () => pathOf(actor.getSnapshot().value.operation),
    hasTag: (tag: 'settled' | 'busy' | 'committed' | 'attention') => actor.getSnapshot().hasTag(tag),
    switch: (to: string, { token = 'A', begun }: { token?: string; begun?: Begun } = {}) =>
      actor.send(change('switch', to, token, begun)),
    maySwitch: (to: string) => actor.getSnapshot().can(change('switch', to, 'B')),
    failOver: (to: string, { token = 'A', begun }: { token?: string; begun?: Begun } = {}) =>
      actor.send(change('failover', to, token, begun)),
    cancel: (token = 'A') => actor.send({ type: 'cancel', now: asInstant(now), token: asToken(token), reason: 'ER0217' }),
    /** A look at the cluster a second later, at what was read in that instant unless it says otherwise. */
    beat(view: Partial<ClusterHeartbeat['view']> = {}, { after = 1000, fresh = true } = {}) {
      now += after;
      const seen = { name: 'shop', master: 'db1', lacking: null, isFenced: false, readAt: asInstant(now), ...view };
      actor.send({ type: 'heartbeat', now: asInstant(now), fresh, view: seen });
    },
    accept: () => perform.answer({ acceptedAt: asInstant(now) }),
    refuse: (failure: { readonly code?: string; readonly retryable?: boolean; readonly message?: string } = {}) =>
      perform.refuse({ code: 'ER0254', retryable: true, message: 'no', ...failure }),
    /** The steps that were asked for, in their order. */
    steps: () => perform.calls.map(({ input }) => input.step),
    /** Ends this life and begins another from what a host would have saved. */
    restart() {
      const snapshot = saved(actor);
      actor.stop();
      actor = open(snapshot);
    },
  };
}
