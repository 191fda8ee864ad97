import type { AnyServiceKind, Neighbours } from './contracts.ts';
import { stateOfCode } from './domain/codes.ts';
import { type EntityKey, serviceKey } from './domain/identity.ts';
import type { Service, ServiceFacts } from './domain/service.ts';

/** A service that routes to others, with its kind, whose settings are hidden from everyone else. */
export interface Balancer {
  readonly service: Service<never>;
  readonly kind: AnyServiceKind & { readonly route: NonNullable<AnyServiceKind['route']> };
}

/** What the balancers of a service say: whether it is routed, and why not; `undefined` where nobody can tell. */
export interface Routing {
  readonly holds: boolean | undefined;
  readonly reason?: string;
}

/** Whether `routed` of this kind is what its balancers say and do; otherwise it is a step of its own. */
export const isRoutedByOthers = ({ ladder, steps }: AnyServiceKind): boolean => ladder.includes('routed') && !steps.routed;

/** Finds those that are to route to a service, running or not: balancers of its cluster. */
export function balancersAmong(
  kinds: ReadonlyMap<string, AnyServiceKind>,
  among: Neighbours,
): (of: Service) => readonly Balancer[] {
  const byCluster = new Map<string, Set<Balancer>>();
  const backends = new Map<Balancer, ReadonlySet<string>>();
  for (const service of among.services()) {
    const kind = kinds.get(service.mode);
    if (service.cluster === undefined || !isBalancing(kind)) continue;
    // Its settings were read by this kind.
    const balancer = { kind, service: service as Service<never> };
    const known = byCluster.get(service.cluster);
    if (known) known.add(balancer);
    else byCluster.set(service.cluster, new Set([balancer]));
    const routesTo = kind.backends?.(balancer.service, among);
    if (routesTo) backends.set(balancer, new Set(routesTo));
  }
  return ({ name, cluster }) =>
    [...(byCluster.get(cluster ?? '') ?? [])].filter(
      (balancer) => balancer.service.name !== name && backends.get(balancer)?.has(name) !== false,
    );
}

const isBalancing = (kind: AnyServiceKind | undefined): kind is Balancer['kind'] => kind?.route !== undefined;

/**
 * Whether a service is routed, by what its balancers were seen to list in one reading.
 *
 * Each that runs has to list it. One that is seen stopped, or whose instance does not run, routes nothing and does not count; but
 * of all, one has to run. One that could not be asked may route wherever it likes: then nobody can tell. A service without
 * balancers is routed as it is.
 */
export function routingOf(
  of: Service,
  balancers: readonly Balancer[],
  seen: ReadonlyMap<string, ServiceFacts>,
  among: Neighbours,
): Routing {
  if (balancers.length === 0) return { holds: true };
  const asked: ServiceFacts[] = [];
  const silent: string[] = [];
  for (const { service } of balancers) {
    const facts = seen.get(service.name);
    if (facts?.routes) asked.push(facts);
    else if (!isSeenOut(facts) && !isHostLost(service, among)) silent.push(service.name);
  }
  const without = asked.filter(({ routes }) => !routes?.includes(of.name));
  if (without.length > 0) return { holds: false, reason: `not up for ${namesOf(without)}` };
  if (silent.length > 0) return { holds: undefined, reason: `${silent.join(', ')} could not be asked where to it routes` };
  return asked.length > 0
    ? { holds: true }
    : { holds: false, reason: `nobody routes to it: ${balancers.map(({ service }) => service.name).join(', ')} not running` };
}

/** Those of a service's balancers that may run: the others take their configuration when they are started. */
export const mayRun = (balancers: readonly Balancer[], among: Neighbours): readonly Balancer[] =>
  balancers.filter(({ service }) => !OUT.has(among.view(serviceKey(service.name))?.state ?? '') && !isHostLost(service, among));

/** What the rung `routed` of a service waits for: until one of its balancers runs, each of them. */
export function needsOfRouted(balancers: readonly Balancer[], among: Neighbours): readonly EntityKey[] {
  const keys = balancers.map(({ service }) => serviceKey(service.name));
  return keys.some((key) => among.view(key)?.holds.has('running')) ? [] : keys;
}

const OUT: ReadonlySet<string> = new Set(['stopped', 'uninstalled']);

const isSeenOut = (facts: ServiceFacts | undefined): boolean => facts !== undefined && OUT.has(stateOfCode(facts.code));

const isHostLost = ({ name }: Service, among: Neighbours): boolean => among.view(serviceKey(name))?.hostLost === true;

const namesOf = (facts: readonly ServiceFacts[]): string => facts.map(({ name }) => name).join(', ');
