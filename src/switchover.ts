import type { PerformInput, PerformOutput, RecordInput } from '../machines/index.ts';
import type { EffectFunction } from './charts/effects.ts';
import { type Action, isLive, isSwitchoverBegun } from './domain/action.ts';
import type { Do } from './domain/command.ts';
import { clusterKey, type EntityKey, nameOf } from './domain/identity.ts';
import type { Inventory } from './domain/inventory.ts';
import { ipOf } from './domain/lanes.ts';
import { ENDS_SERVICES } from './domain/maintenance.ts';
import { isClusterVerb, type Service } from './domain/service.ts';
import { FleetError } from './errors.ts';
import type { Lease } from './lease.ts';
import type { Roles } from './roles.ts';
import type { Roster } from './roster.ts';

/** What a change of master asks of everybody else: nothing comes between its steps. */
export interface Switchover {
  /** Why a verb has to wait, or null: the master of its cluster is being changed, by this fleet or by one that has died on the way. */
  reasonAgainst(what: Do): string | null;
  /** Whether it is a change of master past its check: nobody takes writes until it has ended, so that nothing may hold it back. */
  isCommitted(what: Do): boolean;
  /** The same effect, which first looks at the store where a step goes by who is wanted: a record may have been written unheard. */
  lookingFirst(perform: EffectFunction<PerformInput, PerformOutput>): EffectFunction<PerformInput, PerformOutput>;
  /** Writes down who is wanted as master, under the fence. */
  readonly record: EffectFunction<RecordInput, void>;
}

export function createSwitchover(fleet: {
  readonly roster: Pick<Roster, 'services' | 'kinds' | 'configuredMasters'>;
  readonly roles: Roles;
  readonly lease: Pick<Lease, 'held' | 'fence'>;
  readonly lane: (lane: EntityKey) => readonly Action[];
  readonly isSwitching: (cluster: string) => boolean;
  readonly isCommitted: (cluster: string) => boolean;
  readonly inventory: Pick<Inventory, 'get'>;
}): Switchover {
  const { roster, roles, lease } = fleet;
  const members = roster.services.filter(
    ({ mode, cluster }) => cluster !== undefined && roster.kinds.get(mode)?.isSwitched === true,
  );

  /** The clusters whose members a verb touches. */
  function clustersOf(what: Do): readonly string[] {
    if (what.level === 'services') return clusterNames(members.filter(({ name }) => name === what.name));
    if (!ENDS_SERVICES.has(what.verb)) return [];
    const at = ipOf(what, fleet.inventory);
    return at === null ? [] : clusterNames(members.filter(({ ip }) => ip === at));
  }

  const isUnderWay = (cluster: string): boolean =>
    fleet.isSwitching(cluster) || fleet.lane(clusterKey(cluster)).some((action) => isLive(action) && isSwitchoverBegun(action));

  return {
    reasonAgainst(what) {
      if (members.length === 0 || isClusterVerb(what.verb)) return null;
      const cluster = clustersOf(what).find(isUnderWay);
      return cluster === undefined ? null : `the master of ${cluster} is being changed`;
    },
    isCommitted: (what) => isClusterVerb(what.verb) && clustersOf(what).some(fleet.isCommitted),
    lookingFirst: (perform) => async (call) => {
      const { step } = call.input;
      if (step === 'check' || step === 'confirm' || step === 'revert') await roles.refresh();
      return perform(call);
    },
    async record({ input: { key, master } }) {
      const cluster = nameOf(key);
      const configured = roster.configuredMasters.get(cluster);
      if (configured === undefined) throw new FleetError('ER0230', `nobody is configured as master of ${cluster}`);
      if (!lease.held()) throw new FleetError('ER0211', 'this fleet leads no more', { retryable: true });
      await roles.want({ cluster, master, configured, fence: lease.fence });
    },
  };
}

const clusterNames = (services: readonly Service[]): readonly string[] =>
  services.flatMap(({ cluster }) => (cluster === undefined ? [] : [cluster]));
