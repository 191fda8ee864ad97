import type { AnyStateMachine, InspectionEvent } from 'xstate';
import {
  type ClusterContext,
  clusterMachine,
  type FenceInput,
  type FenceOutput,
  type InstanceContext,
  instanceMachine,
  type Limits,
  type PerformInput,
  type PerformOutput,
  type RecordInput,
  type ServiceContext,
  serviceMachine,
} from '../machines/index.ts';
import type { EffectFunction } from './charts/effects.ts';
import { type Charts, createCharts } from './charts.ts';
import { type ClusterView, clusterKeyOf } from './domain/cluster.ts';
import { ABSENT_INSTANCE, FULL_LADDER } from './domain/derive.ts';
import { clusterKey, type EntityKey, type Instant, levelOf, nameOf, serviceKey, wantedKey } from './domain/identity.ts';
import type { Inventory } from './domain/inventory.ts';
import { NEVER } from './domain/row.ts';
import { isClusterVerb, type Service, type ServiceRung } from './domain/service.ts';
import type { Change, View } from './domain/view.ts';

/** The charts of all instances, services and clusters, told what the inventory says. */
export interface Entities extends Charts<EntityKey> {
  /** Makes ready for a verb: it is not to meet the closed chart of an instance that was there before. */
  open(key: EntityKey): void;
  /** Brings changes to the charts that they concern. */
  tell(changes: readonly Change[], now: Instant): void;
  /** Tells the charts what is believed from an earlier life, which is not fresh. */
  recall(now: Instant): void;
  /** Lets time pass for charts that are busy, whether anything changed or not. */
  tick(now: Instant): void;
  /** Whether the master of a cluster is being changed. */
  isSwitching(cluster: string): boolean;
  /** Whether that has gone so far that nothing may come between. */
  isCommitted(cluster: string): boolean;
}

const NOTHING: InstanceContext['observed'] = { state: 'unknown', bootId: null, gone: false, readAt: null };
const NO_CLUSTER: ClusterContext['observed'] = { master: null, lacking: 'it has not been seen', readAt: null };
const NO_SERVICE: ServiceContext['observed'] = { state: 'unknown', missing: null, isUnmet: false, runId: null, readAt: null };

export function createEntities(fleet: {
  readonly inventory: Inventory;
  readonly perform: EffectFunction<PerformInput, PerformOutput>;
  readonly fence: EffectFunction<FenceInput, FenceOutput>;
  readonly record: EffectFunction<RecordInput, void>;
  readonly services: readonly Service[];
  readonly lookAtCluster: (name: string) => ClusterView;
  readonly limits: Limits;
  readonly ladderOf: (service: string) => readonly ServiceRung[] | undefined;
  /** Where instances are launched. */
  readonly cloud: string | null;
  readonly liveActors: number;
  readonly inspect: ((event: InspectionEvent) => void) | undefined;
  readonly onFault: (key: EntityKey, error: unknown) => void;
}): Entities {
  const { inventory, limits } = fleet;
  const onFault = (key: EntityKey, error: unknown): void => {
    fleet.onFault(key, error);
    const view = inventory.get(key);
    if (view) chartsOf(key).deliver(key, { type: 'heartbeat', now: view.readAt, fresh: false, view } as { type: string });
  };
  const shared = { liveActors: fleet.liveActors, inspect: fleet.inspect, onFault };
  const instances = createCharts<EntityKey>({
    ...shared,
    machine: instanceMachine as unknown as AnyStateMachine,
    effects: { perform: fleet.perform },
    contextOf: (key) => ({ key, limits, observed: NOTHING, operation: null }) satisfies InstanceContext,
  });
  const services = createCharts<EntityKey>({
    ...shared,
    machine: serviceMachine as unknown as AnyStateMachine,
    effects: { perform: fleet.perform },
    contextOf: (key) =>
      ({
        key,
        limits,
        ladder: fleet.ladderOf(nameOf(key)) ?? FULL_LADDER,
        observed: NO_SERVICE,
        operation: null,
      }) satisfies ServiceContext,
  });
  const clusters = createCharts<EntityKey>({
    ...shared,
    machine: clusterMachine as unknown as AnyStateMachine,
    effects: { perform: fleet.perform, fence: fleet.fence, record: fleet.record },
    contextOf: (key) => ({ key, limits, observed: NO_CLUSTER, operation: null }) satisfies ClusterContext,
  });
  const clusterOf = new Map(fleet.services.map((service) => [serviceKey(service.name), clusterKeyOf(service)]));
  const byLevel = { instances, services, clusters };
  const chartsOf = (key: EntityKey): Charts<EntityKey> => byLevel[levelOf(key)];

  function tellCluster(key: EntityKey, now: Instant): void {
    const view = fleet.lookAtCluster(nameOf(key));
    clusters.deliver(key, { type: 'heartbeat', now, fresh: view.readAt !== null, view } as { type: string });
  }

  /**
   * While one of its services is busy, a cluster takes no switch: what that does would come between. A failover cannot wait for
   * those who wait for the lost master themselves: it heeds only what is being called at present, of anybody but that master.
   */
  function isMemberBusy(cluster: EntityKey, verb: string): boolean {
    const { master } = fleet.lookAtCluster(nameOf(cluster));
    const isInTheWay = (key: EntityKey) => verb === 'switch' || (nameOf(key) !== master && services.hasTag(key, 'calling'));
    return services.busy().some((key) => clusterOf.get(key) === cluster && isInTheWay(key));
  }

  const hasTagNow = (cluster: string, tag: string): boolean => {
    const key = clusterKey(cluster);
    return clusters.has(key) && clusters.hasTag(key, tag);
  };

  /** A launch was asked for by ip; the chart that did it is the chart of the instance that has that ip now. */
  function adoptLaunched(view: View): void {
    if (view.level !== 'instances' || view.ip === null || fleet.cloud === null || instances.has(view.key)) return;
    const wanted = wantedKey(fleet.cloud, view.ip);
    if (wanted !== view.key && instances.has(wanted)) instances.alias(view.key, wanted);
  }

  /** An instance that is being launched and that nobody has seen yet: its chart must hear the time all the same. */
  function unlaunched(key: EntityKey, now: Instant): { readonly fresh: boolean; readonly view: View } {
    const readAt = inventory.readAt('instances');
    const at = readAt ?? now;
    return { fresh: readAt !== null, view: absentAt(key, at) };
  }

  /** An instance that is listed again, or launched again at its address, starts with a chart that is not closed. */
  function reopen(view: View): void {
    const value = instances.peek(view.key)?.value as { readonly operation?: unknown } | undefined;
    if (value?.operation === 'closed' && !view.gone) instances.drop(view.key);
  }

  function open(key: EntityKey): void {
    const view = inventory.get(key);
    if (view?.key === key) reopen(view);
  }

  return {
    get size() {
      return instances.size + services.size + clusters.size;
    },
    isSwitching: (cluster) => hasTagNow(cluster, 'busy'),
    isCommitted: (cluster) => hasTagNow(cluster, 'committed'),
    tell(changes, now) {
      for (const { key, kind, to } of changes) {
        if (kind === 'appeared') {
          adoptLaunched(to);
          reopen(to);
        }
        const view = inventory.get(key) ?? to;
        chartsOf(key).deliver(key, { type: 'heartbeat', now, fresh: kind !== 'silent', view } as { type: string });
      }
      if (clusters.size === 0) return;
      const touched = new Set(changes.map(({ key }) => clusterOf.get(key)));
      for (const key of touched) if (key !== undefined && clusters.has(key)) tellCluster(key, now);
    },
    recall(now) {
      for (const view of inventory.views())
        if (view.source !== null)
          chartsOf(view.key).deliver(view.key, { type: 'heartbeat', now, fresh: false, view } as { type: string });
    },
    tick(now) {
      for (const key of [...instances.busy(), ...services.busy()]) {
        const view = inventory.get(key);
        const event = view ? { fresh: !inventory.isBlind(view), view } : unlaunched(key, now);
        chartsOf(key).deliver(key, { type: 'heartbeat', now, ...event } as { type: string });
      }
      for (const key of clusters.busy()) tellCluster(key, now);
    },
    has: (key) => chartsOf(key).has(key),
    deliver: (key, event) => chartsOf(key).deliver(key, event),
    takes: (key, event) => chartsOf(key).takes(key, event) && !(isClusterVerb(event.type) && isMemberBusy(key, event.type)),
    isOver: (key) => chartsOf(key).isOver(key),
    hasTag: (key, tag) => chartsOf(key).hasTag(key, tag),
    listen: (key, listener) => chartsOf(key).listen(key, listener),
    open,
    hold(key) {
      open(key);
      const actor = chartsOf(key).hold(key);
      if (levelOf(key) === 'clusters') tellCluster(key, inventory.readAt('services') ?? NEVER);
      return actor;
    },
    release: (key) => chartsOf(key).release(key),
    peek: (key) => chartsOf(key).peek(key),
    restore: (key, value, context) => chartsOf(key).restore(key, value, context),
    alias: (alias, key) => chartsOf(key).alias(alias, key),
    drop: (key) => chartsOf(key).drop(key),
    busy: () => [...instances.busy(), ...services.busy(), ...clusters.busy()],
    settle() {
      for (const charts of Object.values(byLevel)) charts.settle();
    },
    stop() {
      for (const charts of Object.values(byLevel)) charts.stop();
    },
  };
}

const absentAt = (key: EntityKey, at: Instant): View => ({
  key,
  level: 'instances',
  name: nameOf(key),
  ip: null,
  code: ABSENT_INSTANCE.code,
  state: ABSENT_INSTANCE.state,
  holds: ABSENT_INSTANCE.holds,
  heldSince: new Map(),
  source: null,
  mark: null,
  unmet: [],
  hostLost: false,
  gone: false,
  since: at,
  readAt: at,
  seenSince: at,
});
