import { clusterKeyOf, lookAtCluster, masterAmong, membersOf } from './cluster.ts';
import type { Code } from './codes.ts';
import { doText } from './command.ts';
import { type EntityKey, serviceKey } from './identity.ts';
import type { Known, Outcome } from './plan.ts';
import type { Target } from './selection.ts';
import type { Service } from './service.ts';
import { NOW } from './trigger.ts';

/** What making a service the master of its cluster comes to now. One that is half done is brought to its end. */
export function planSwitch(name: string, lane: EntityKey, known: Known): Outcome {
  const what = { level: 'services', name, verb: 'switch' } as const;
  const refuse = (code: Code, why: string): Outcome => ({
    is: 'rejected',
    problem: { subject: serviceKey(name), code, message: `${doText(what)}: ${why}` },
  });
  const service = known.services.find((one) => one.name === name);
  if (!service) return refuse('ER0203', 'no service has this name');
  const { cluster, mode, status } = service;
  if (known.kinds.get(mode)?.isSwitched !== true) return refuse('ER0206', `a ${mode} follows no master`);
  if (cluster === undefined) return refuse('ER0206', 'it is of no cluster');
  const now: Outcome = { is: 'steps', code: '000000', steps: [{ lane, when: NOW, do: what }] };
  const master = masterAmong(membersOf(cluster, known));
  if (!master) return refuse('ER0206', `nobody is wanted as master of ${cluster}`);
  if (master.name === name) return lookAtCluster(cluster, known).lacking === null ? { is: 'satisfied' } : now;
  if (status !== 'slave') return refuse('ER0206', `its role is ${status}; only a slave becomes a master`);

  for (const one of [service, master]) {
    const view = known.inventory.get(serviceKey(one.name));
    if (view && view.state !== 'unknown') continue;
    const isKnown = { on: 'holds', level: 'services', subject: { key: serviceKey(one.name) }, state: 'known' } as const;
    return { is: 'steps', code: 'ER0016', steps: [{ lane, when: isKnown, do: what }] };
  }
  const stateOf = ({ name: of }: Service): string => {
    const view = known.inventory.get(serviceKey(of));
    return `${of} is ${view?.state}${view?.reason === undefined ? '' : `: ${view.reason}`}`;
  };
  if (known.inventory.get(serviceKey(master.name))?.holds.has('up') !== true)
    return refuse('ER0206', `the present master ${stateOf(master)}; nobody can say what it has written`);
  if (known.inventory.get(serviceKey(name))?.holds.has('replicating') !== true)
    return refuse('ER0206', `it has to replicate first, and ${stateOf(service)}`);
  return now;
}

/** Whom a `switch` makes masters: a service that is named, and of a cluster that is named the first of its replicas that replicate. */
export function switchTargets(services: readonly Service[], known: Known): readonly Target[] {
  const byCluster = new Map<EntityKey, Service[]>();
  for (const service of services) {
    const lane = clusterKeyOf(service);
    byCluster.set(lane, [...(byCluster.get(lane) ?? []), service]);
  }
  return [...byCluster].map(([lane, some]) => {
    const { name } = some.length === 1 && some[0] ? some[0] : firstReadyOf(some, known);
    return { lane, key: serviceKey(name), do: { level: 'services', name, verb: 'switch' } };
  });
}

function firstReadyOf(services: readonly Service[], { kinds, inventory }: Known): Service {
  const replicas = services.filter(({ mode, status }) => kinds.get(mode)?.isSwitched && status === 'slave');
  const isReady = ({ name }: Service) => inventory.get(serviceKey(name))?.holds.has('replicating') === true;
  return replicas.find(isReady) ?? replicas[0] ?? (services[0] as Service);
}
