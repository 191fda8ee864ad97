import { isEnded, type Step } from '../domain/action.ts';
import type { Do, Subject } from '../domain/command.ts';
import {
  asEntityKey,
  clusterKey,
  type EntityKey,
  type Ip,
  instanceKey,
  isName,
  isProviderId,
  parseIp,
  serviceKey,
  wantedKey,
} from '../domain/identity.ts';
import type { InstanceRung, InstanceVerb } from '../domain/instance.ts';
import { CLUSTER_VERBS, isClusterVerb, SERVICE_VERBS } from '../domain/service.ts';
import type { FleetError } from '../errors.ts';
import type { ActionRow, ActionsDocument } from './document.ts';
import { oneOf, type Path, pathText, refusal, shown } from './refusal.ts';
import { checkedIp, type KnownService, triggerOf } from './trigger.ts';
import { NONE } from './words.ts';

/** The seed's actions that are a bootstrap, and how far each goes. */
export const BOOTSTRAPS: ReadonlyMap<string, InstanceRung> = new Map([
  ['bootstrap_binaries', 'bootstrapped'],
  ['bootstrap_ncc', 'managed'],
]);

/** The verbs of an instance that the seed calls as we do. */
const INSTANCE_VERBS = ['launch', 'start', 'stop', 'reboot', 'terminate'] as const satisfies readonly InstanceVerb[];

/** Groups that only a fleet can resolve. */
const COLLECTIVE: readonly string[] = ['all', 'local'];

/** What is known where a list of actions is read. */
export interface StepsOptions {
  /** The cloud of instances that a row names by ip or id. */
  readonly cloud: string;
  /** The configured services: what a cluster, an ip or `all` means, and where a service is. */
  readonly services?: readonly KnownService[];
  /** The lane of the instance at an ip; that of an instance wanted there, unless said. */
  readonly laneAt?: (ip: Ip) => EntityKey;
}

/**
 * The steps of a list of actions, in its order, each in the lane of its target: one for each target of a group. Actions that
 * have ended are left out.
 *
 * @throws FleetError ER0202 (an action that cannot be deferred), ER0203 (a group that means nothing here),
 * ER0205 (no service at the awaited ip), ER0222 (an unknown word)
 */
export const toSteps = ({ body }: ActionsDocument, options: StepsOptions): readonly Step[] =>
  body.actions.flatMap((row, index) => {
    if (row.status !== undefined && isEnded({ status: row.status })) return [];
    const at = ['actions', index];
    return row.do_level === 'services' ? serviceSteps(row, at, options) : [instanceStep(row, at, options)];
  });

function serviceSteps(row: ActionRow, at: Path, options: StepsOptions): readonly Step[] {
  const verb = verbOf(row, at, [...SERVICE_VERBS, ...CLUSTER_VERBS]);
  return servicesOf(row, at, options).map(({ name, ip, cluster }) => ({
    lane: row.lane === undefined ? laneOf({ name, cluster }, verb) : asEntityKey(row.lane),
    when: triggerOf(row, at, name, options.services),
    do: verb === 'bootstrap' ? bootstrap(row, { ip: hostIp(row, at, ip) }) : { level: 'services', name, verb },
  }));
}

const laneOf = (of: { readonly name: string; readonly cluster?: string | undefined }, verb: string): EntityKey =>
  isClusterVerb(verb) && of.cluster !== undefined ? clusterKey(of.cluster) : serviceKey(of.name);

function instanceStep(row: ActionRow, at: Path, options: StepsOptions): Step {
  const verb = verbOf(row, at, INSTANCE_VERBS);
  const { subject, lane } = instanceOf(row, at, options);
  return {
    lane: row.lane === undefined ? lane : asEntityKey(row.lane),
    when: triggerOf(row, at, null, options.services),
    do: verb === 'bootstrap' ? bootstrap(row, subject) : { level: 'instances', subject, verb },
  };
}

function instanceOf(row: ActionRow, at: Path, options: StepsOptions): { readonly subject: Subject; readonly lane: EntityKey } {
  const { cloud, laneAt = (ip) => wantedKey(cloud, ip) } = options;
  const ip = parseIp(row.do_group);
  if (ip !== null) return { subject: { ip }, lane: laneAt(ip) };
  if (COLLECTIVE.includes(row.do_group) || !isProviderId(row.do_group)) {
    throw unknownGroup(row, at, 'the ip or the id of one instance');
  }
  const key = instanceKey(row.cloud ?? cloud, row.do_group);
  return { subject: { key }, lane: key };
}

function bootstrap(row: ActionRow, subject: Subject): Do {
  const upTo = row.up_to ?? BOOTSTRAPS.get(row.do_action);
  return { level: 'instances', subject, verb: 'bootstrap', ...(upTo !== undefined && { upTo }) };
}

function verbOf<Verb extends string>(row: ActionRow, at: Path, verbs: readonly Verb[]): Verb | 'bootstrap' {
  if (BOOTSTRAPS.has(row.do_action)) return 'bootstrap';
  const verb = verbs.find((one) => one === row.do_action);
  if (verb !== undefined) return verb;
  const where = pathText([...at, 'do_action']);
  throw refusal('ER0202', {
    what: 'actions',
    where,
    found: shown(row.do_action),
    allowed: oneOf([...verbs, ...BOOTSTRAPS.keys()]),
  });
}

/** The services that a row's group means: by name, ip, cluster or `all`. Without a configuration, a name is believed. */
function servicesOf(row: ActionRow, at: Path, { services }: StepsOptions): readonly (KnownService | Unplaced)[] {
  const { do_group: group } = row;
  if (services === undefined) {
    if (isName(group) && parseIp(group) === null && !COLLECTIVE.includes(group)) return [{ name: group, ip: null }];
    throw unknownGroup(row, at, 'the name of one service');
  }
  const ip = parseIp(group);
  const meant = services.filter(
    (service) => group === 'all' || service.name === group || service.ip === ip || service.cluster === group,
  );
  if (meant.length > 0) return meant;
  const names = services.slice(0, 20).map((service) => service.name);
  throw unknownGroup(row, at, `all, or the name, ip or cluster of a service: ${oneOf(names) || 'none is configured'}`);
}

/** A service of which only the name is known. */
interface Unplaced {
  readonly name: string;
  readonly ip: null;
  readonly cluster?: never;
}

/** The address to bootstrap for a service: told by the row, configured, or where the awaited instance is. */
function hostIp(row: ActionRow, at: Path, configured: Ip | null): Ip {
  if (row.do_ip !== undefined) return checkedIp(row.do_ip, [...at, 'do_ip']);
  if (configured !== null) return configured;
  if (row.event_type === 'instances' && row.event_ip !== NONE) return checkedIp(row.event_ip, [...at, 'event_ip']);
  throw unknownGroup(row, at, 'a service whose ip is configured, or awaited by event_ip');
}

const unknownGroup = (row: ActionRow, at: Path, allowed: string): FleetError =>
  refusal('ER0203', { what: 'actions', where: pathText([...at, 'do_group']), found: shown(row.do_group), allowed });
