import { type Command, type Do, INSTANCE_ACTIONS, SERVICE_ACTIONS } from './command.ts';
import type { Problem } from './heartbeat.ts';
import { type EntityKey, type Ip, instanceKey, parseIp, serviceKey } from './identity.ts';
import { INSTANCE_VERBS, type InstanceVerb } from './instance.ts';
import { instanceLane, type Known } from './plan.ts';
import { printable } from './printable.ts';
import { isClusterVerb, isOfType, SERVICE_VERBS, type Service, type ServiceVerb } from './service.ts';
import { switchoverTargets } from './switchover.ts';
import type { View } from './view.ts';

/** One target of a command: what is done to it, in its lane. */
export interface Target {
  readonly lane: EntityKey;
  /** Whom the reply names, where that is not the lane. */
  readonly key?: EntityKey;
  readonly do: Do;
}

type Selected = { readonly targets: readonly Target[] } | { readonly rejected: Problem };

/** The subject is what was asked, word for word; the message is for people, and whoever asked may be a stranger. */
const refuse = (code: Problem['code'], subject: string, message: string): Selected => ({
  rejected: { subject, code, message: printable(message) },
});

/** What a command is aimed at. What it names and nobody knows is refused, with what is known. */
export function targetsOf(command: Command, known: Known): Selected {
  switch (command.level) {
    case 'instances':
      return command.action === 'world' ? worldTargets(command, known) : instanceTargets(command, known);
    case 'services':
      return serviceTargets(command, known);
    case 'config':
      return refuse('ER0202', command.action, 'the config level has nothing to plan');
    default:
      return refuse('ER0201', String(command.level satisfies never), 'allowed are instances, services, config');
  }
}

function instanceTargets(command: Command, known: Known): Selected {
  const what = instanceVerbOf(command.action);
  if (!what) return refuse('ER0202', command.action, `allowed for instances are ${verbsOf(INSTANCE_ACTIONS)}`);
  const ip = parseIp(command.group);
  if (ip) {
    const view = known.inventory.atIp(ip);
    return { targets: [{ lane: instanceLane(view, known.cloud, ip), do: { level: 'instances', subject: { ip }, ...what } }] };
  }
  const views = selectInstances(command, known);
  if (views.length === 0)
    return refuse('ER0203', command.group, 'no instance has this id, ip or cluster; allowed are those, local and all');
  return { targets: views.map((view) => ({ lane: view.key, do: { level: 'instances', subject: { key: view.key }, ...what } })) };
}

/** A booted instance announces itself: the services on its ips are started. */
function worldTargets(command: Command, known: Known): Selected {
  const ips = command.host?.ips ?? [];
  const services = known.services.filter((service) => ips.includes(service.ip));
  if (services.length === 0)
    return refuse('ER0203', 'world', `no service is configured on ${ips.join(', ') || 'a host without ips'}`);
  return { targets: services.map((service) => serviceTarget(service, 'start')) };
}

function serviceTargets(command: Command, known: Known): Selected {
  const upTo = BOOTSTRAPS.get(command.action);
  const { action } = command;
  if (!upTo && !isClusterVerb(action) && action !== 'join' && !isServiceVerb(action))
    return refuse('ER0202', command.action, `allowed for services are ${verbsOf(SERVICE_ACTIONS)}`);
  // What nobody has named, nobody has thought of: another master is meant for one cluster.
  if (isClusterVerb(action) && (command.group === 'all' || command.group === 'local'))
    return refuse('ER0203', command.group, `a ${action} is for the service that is to be the master, or for a cluster, by name`);
  const services = selectServices(command, known.services);
  if (services.length === 0) return refuse('ER0203', command.group, unselected(command, known));
  if (isClusterVerb(action)) return { targets: switchoverTargets(action, services, known) };
  if (action === 'join') return joinTargets(command, services, known);
  return {
    targets: (command.action === 'bootstrap_config' ? configuredAmong(services, known) : services).map((service) =>
      upTo
        ? { lane: serviceKey(service.name), do: { level: 'instances', subject: { ip: service.ip }, verb: 'bootstrap', upTo } }
        : serviceTarget(service, command.action as ServiceVerb),
    ),
  };
}

/** A replica joins its cluster by being started: it takes a copy of its master, follows it, and is routed to. */
function joinTargets({ group }: Command, services: readonly Service[], { kinds }: Known): Selected {
  const replicas = services.filter(({ mode, status }) => kinds.get(mode)?.isSwitched === true && status === 'slave');
  if (replicas.length > 0) return { targets: replicas.map((service) => serviceTarget(service, 'start')) };
  const found = services.map(({ name, mode, status }) => `${name} is a ${mode} with the role ${status}`).slice(0, 20);
  return refuse('ER0206', group, `join: only what follows a master joins its cluster, with the role slave; ${found.join(', ')}`);
}

/** A group is brought in line by those that have a configuration; where none has, each is refused. */
function configuredAmong(services: readonly Service[], { kinds }: Known): readonly Service[] {
  const configured = services.filter(({ mode }) => !kinds.has(mode) || kinds.get(mode)?.isConfigured === true);
  return configured.length > 0 ? configured : services;
}

const serviceTarget = (service: Service, verb: ServiceVerb): Target => ({
  lane: serviceKey(service.name),
  do: { level: 'services', name: service.name, verb },
});

function unselected(command: Command, known: Known): string {
  const type = command.type ?? 'all';
  const names = known.services.map((service) => service.name).slice(0, 20);
  return `no service matches group ${command.group} and type ${type}; services are ${names.join(', ') || 'none'}`;
}

/** The configured services that a command means: by name, ip, cluster, `local` or `all`, and by type. */
export const selectServices = (
  command: Pick<Command, 'group' | 'type' | 'host'>,
  services: readonly Service[],
): readonly Service[] =>
  services.filter(
    (service) =>
      isOfType(service.mode, command.type ?? 'all') &&
      (command.group === 'all' ||
        command.group === service.name ||
        command.group === service.ip ||
        command.group === service.cluster ||
        (command.group === 'local' && isLocal(service.ip, command))),
  );

/** The instances that a command means: by id, ip, the cluster of a service on it, `local` or `all`, and by cloud. */
export function selectInstances(
  command: Pick<Command, 'group' | 'type' | 'host'>,
  known: Pick<Known, 'inventory' | 'services'>,
): readonly View[] {
  const { group, type = 'all' } = command;
  const inCluster = new Set(known.services.filter((service) => service.cluster === group).map((service) => service.ip));
  return [...known.inventory.views('instances')].filter(
    (view) =>
      (type === 'all' || view.key === instanceKey(type, view.name)) &&
      (group === 'all' ||
        group === view.name ||
        group === view.ip ||
        (view.ip !== null && (inCluster.has(view.ip) || (group === 'local' && isLocal(view.ip, command))))),
  );
}

const isLocal = (ip: Ip, command: Pick<Command, 'host'>): boolean => command.host?.ips.includes(ip) ?? false;

const BOOTSTRAPS = new Map([
  ['bootstrap_binaries', 'bootstrapped'],
  ['bootstrap_ncc', 'managed'],
] as const) as ReadonlyMap<string, 'bootstrapped' | 'managed'>;

function instanceVerbOf(action: string): { readonly verb: InstanceVerb; readonly upTo?: 'bootstrapped' | 'managed' } | null {
  const upTo = BOOTSTRAPS.get(action);
  if (upTo) return { verb: 'bootstrap', upTo };
  const verb = INSTANCE_VERBS.find((one) => one === action);
  return verb && verb !== 'bootstrap' ? { verb } : null;
}

const isServiceVerb = (action: string): action is ServiceVerb => (SERVICE_VERBS as readonly string[]).includes(action);

const verbsOf = (actions: Readonly<Record<string, string>>): string =>
  Object.keys(actions)
    .filter((action) => actions[action] === 'verb')
    .join(', ');
