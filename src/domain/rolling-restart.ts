import type { Step } from './action.ts';
import { masterAmong, membersOf } from './cluster.ts';
import { type Code, OK } from './codes.ts';
import type { Problem } from './heartbeat.ts';
import { clusterKey, type EntityKey, serviceKey } from './identity.ts';
import type { Known } from './plan.ts';
import { printable } from './printable.ts';
import type { Service, ServiceVerb } from './service.ts';
import type { Trigger } from './trigger.ts';

/** What the restart of clusters, one service after the other, comes to: steps of one lane for each cluster, or why not. */
export interface RollingRestart {
  readonly steps: readonly Step[];
  readonly rejected: readonly Problem[];
  readonly targets: readonly { readonly key: EntityKey; readonly code: Code }[];
}

/**
 * Restarts the services that follow a master one at a time, replicas first; then the first of them becomes the master, and the old one
 * is restarted. Each restart waits until all of the cluster are well, so that never two are away: with the first that does not come
 * back, it ends.
 *
 * @param group what was asked for
 * @param services what that means
 */
export function planRollingRestart(group: string, services: readonly Service[], known: Known): RollingRestart {
  const meant = services.filter(({ mode }) => known.kinds.get(mode)?.isSwitched === true);
  const clusters = [...new Set(meant.flatMap(({ cluster }) => cluster ?? []))];
  if (clusters.length === 0)
    return refused([
      { subject: group, code: 'ER0206', message: printable(`rolling_restart: nothing in ${group} follows a master`) },
    ]);
  const plans = clusters.map((cluster) => planCluster(cluster, known));
  return {
    steps: plans.flatMap(({ steps }) => steps),
    rejected: plans.flatMap(({ rejected }) => rejected),
    targets: plans.flatMap(({ targets }) => targets),
  };
}

function planCluster(cluster: string, known: Known): RollingRestart {
  const all = membersOf(cluster, known).filter(({ status }) => status === 'master' || status === 'slave');
  const master = masterAmong(all);
  const replicas = all.filter((one) => one !== master);
  const [successor] = replicas;
  const refuse = (why: string) =>
    refused(
      all.map(({ name }) => ({ subject: serviceKey(name), code: 'ER0206', message: `rolling_restart of ${cluster}: ${why}` })),
    );
  if (!master) return refuse('nobody is wanted as its master');
  if (!successor) return refuse(`${master.name} has no replica that could take its place`);
  const unwell = all.find(({ name }) => known.inventory.get(serviceKey(name))?.holds.has('replicating') !== true);
  if (unwell) {
    const { state = 'unknown', reason } = known.inventory.get(serviceKey(unwell.name)) ?? {};
    return refuse(
      `${unwell.name} is ${state}${reason === undefined ? '' : `, ${reason}`}; all have to be well before one is restarted`,
    );
  }
  const allWell: Trigger = {
    on: 'all',
    of: all.map(({ name }) => ({ on: 'holds', level: 'services', subject: { key: serviceKey(name) }, state: 'replicating' })),
  };
  const step = ({ name }: Service, verb: ServiceVerb | 'switch', when: Trigger): Step => ({
    lane: clusterKey(cluster),
    when,
    do: { level: 'services', name, verb },
  });
  // The start brings it back to its last rung, where the restart has left it on a lower one.
  const restarted = (one: Service): readonly Step[] => [step(one, 'restart', allWell), step(one, 'start', { on: 'now' })];
  return {
    steps: [...replicas.flatMap(restarted), step(successor, 'switch', allWell), ...restarted(master)],
    rejected: [],
    targets: all.map(({ name }) => ({ key: serviceKey(name), code: OK })),
  };
}

const refused = (rejected: readonly Problem[]): RollingRestart => ({
  steps: [],
  rejected,
  targets: rejected.map(({ subject, code }) => ({ key: subject as EntityKey, code })),
});
