import { clusterKeyOf, lookAtCluster, masterAmong, membersOf } from './cluster.ts';
import type { Code } from './codes.ts';
import { doText } from './command.ts';
import { isReadyToSucceed, lookAtLoss } from './failover.ts';
import { type EntityKey, serviceKey } from './identity.ts';
import type { Known, Outcome } from './plan.ts';
import type { Target } from './selection.ts';
import type { ClusterVerb, Service } from './service.ts';
import { NOW } from './trigger.ts';
import type { View } from './view.ts';

/** What making a service the master of its cluster comes to now. One that is half done is brought to its end. */
export function planSwitchover(verb: ClusterVerb, name: string, lane: EntityKey, known: Known): Outcome {
  const what = { level: 'services', name, verb } as const;
  const refuse: Refuse = (code, why) => ({
    is: 'rejected',
    problem: { subject: serviceKey(name), code, message: `${doText(what)}: ${why}` },
  });
  const service = known.services.find((one) => one.name === name);
  if (!service) return refuse('ER0203', 'no service has this name');
  const { cluster, mode, status } = service;
  const kind = known.kinds.get(mode);
  if (kind?.isSwitched !== true) return refuse('ER0206', `a ${mode} follows no master`);
  if (verb === 'failover' && kind.canFailOver !== true) return refuse('ER0206', `a ${mode} takes no place of a lost master`);
  if (cluster === undefined) return refuse('ER0206', 'it is of no cluster');
  const now: Outcome = { is: 'steps', code: '000000', steps: [{ lane, when: NOW, do: what }] };
  const master = masterAmong(membersOf(cluster, known));
  if (!master) return refuse('ER0206', `nobody is wanted as master of ${cluster}`);
  if (master.name === name) return lookAtCluster(cluster, known).lacking === null ? { is: 'satisfied' } : now;
  if (status !== 'slave') return refuse('ER0206', `its role is ${status}; only a slave becomes a master`);

  // Of a lost master nothing has to be known but that it is lost.
  for (const one of verb === 'switch' ? [service, master] : [service]) {
    const view = known.inventory.get(serviceKey(one.name));
    if (view && view.state !== 'unknown') continue;
    const isKnown = { on: 'holds', level: 'services', subject: { key: serviceKey(one.name) }, state: 'known' } as const;
    return { is: 'steps', code: 'ER0016', steps: [{ lane, when: isKnown, do: what }] };
  }
  const refusal =
    verb === 'switch' ? againstSwitch(service, master, known, refuse) : againstFailover(service, master, known, refuse);
  return refusal ?? now;
}

type Refuse = (code: Code, why: string) => Outcome;

function againstSwitch(service: Service, master: Service, known: Known, refuse: Refuse): Outcome | null {
  if (viewOf(master, known)?.holds.has('up') !== true)
    return refuse('ER0206', `the present master ${stateOf(master, known)}; nobody can say what it has written`);
  if (viewOf(service, known)?.holds.has('replicating') === true) return null;
  return refuse('ER0206', `it has to replicate first, and ${stateOf(service, known)}`);
}

function againstFailover(service: Service, master: Service, known: Known, refuse: Refuse): Outcome | null {
  const loss = lookAtLoss(master, known);
  if (!loss.isConfirmed) return refuse('ER0257', `whether ${master.name} is lost is not certain: ${loss.text}`);
  return isReadyToSucceed(service, known) ? null : refuse('ER0206', `${stateOf(service, known)}; it cannot take its place`);
}

const viewOf = ({ name }: Service, { inventory }: Known): View | undefined => inventory.get(serviceKey(name));

function stateOf(service: Service, known: Known): string {
  const view = viewOf(service, known);
  return `${service.name} is ${view?.state}${view?.reason === undefined ? '' : `: ${view.reason}`}`;
}

/** Whom a change of master makes one: a service that is named, and of a cluster that is named the first of its replicas that is ready. */
export function switchoverTargets(verb: ClusterVerb, services: readonly Service[], known: Known): readonly Target[] {
  const byCluster = new Map<EntityKey, Service[]>();
  for (const service of services) {
    const lane = clusterKeyOf(service);
    byCluster.set(lane, [...(byCluster.get(lane) ?? []), service]);
  }
  return [...byCluster].map(([lane, some]) => {
    const { name } = some.length === 1 && some[0] ? some[0] : firstReadyOf(verb, some, known);
    return { lane, key: serviceKey(name), do: { level: 'services', name, verb } };
  });
}

function firstReadyOf(verb: ClusterVerb, services: readonly Service[], known: Known): Service {
  const replicas = services.filter(({ mode, status }) => known.kinds.get(mode)?.isSwitched && status === 'slave');
  const isReady = (one: Service) =>
    verb === 'switch' ? viewOf(one, known)?.holds.has('replicating') === true : isReadyToSucceed(one, known);
  return replicas.find(isReady) ?? replicas[0] ?? (services[0] as Service);
}
