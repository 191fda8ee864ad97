import { balancersAmong, isRoutedByOthers, needsOfRouted } from './balancing.ts';
import type { AnyServiceKind, Neighbours, ServiceInput } from './contracts.ts';
import type { KindTraits } from './domain/cluster.ts';
import { type EntityKey, isName, parseIp } from './domain/identity.ts';
import type { Ladder } from './domain/row.ts';
import { ROLES, type Role, type Service, type ServiceRung } from './domain/service.ts';
import type { View } from './domain/view.ts';
import { FleetError } from './errors.ts';
import type { Roles } from './roles.ts';

/** The configured services and their kinds. */
export interface Roster {
  /** Each with the role that it is wanted in at present: `status` follows a change of master. */
  readonly services: readonly Service[];
  readonly kinds: ReadonlyMap<string, KindTraits>;
  /** Whom the configuration has as master of each cluster that follows one. */
  readonly configuredMasters: ReadonlyMap<string, string>;
  /** The rungs of a service by its name. */
  ladderOf(service: string): readonly ServiceRung[] | undefined;
  /** The kinds' ladders, whose needs look at other entities through `view`. */
  laddersAmong(view: (key: EntityKey) => View | undefined): ReadonlyMap<string, Ladder>;
}

export function createRoster(
  kinds: readonly AnyServiceKind[],
  inputs: readonly ServiceInput[],
  roles: Pick<Roles, 'masterOf'>,
): Roster {
  const byMode = new Map(kinds.map((kind) => [kind.mode, kind]));
  const isSwitched = ({ mode }: Pick<Service, 'mode'>) => byMode.get(mode)?.switchover !== undefined;
  const configuredMasters = new Map<string, string>();
  const services = inputs.map((input) => {
    const service = readService(input, byMode);
    if (service.cluster === undefined || !isSwitched(service)) return service;
    if (service.status === 'master') configuredMasters.set(service.cluster, service.name);
    return withWantedRole(service, service.cluster, service.status, configuredMasters, roles);
  });
  const byName = new Map(services.map((service) => [service.name, service]));
  if (byName.size < services.length) {
    const twice = services.find((service, i) => services.findIndex((other) => other.name === service.name) < i);
    throw new FleetError('ER0230', `two services are called ${twice?.name ?? ''}; names are unique`);
  }
  return {
    services,
    kinds: new Map(
      kinds.map(({ mode, host, ladder, switchover, failover, route, steps }) => [
        mode,
        {
          host,
          rungs: ladder,
          ...(switchover !== undefined && { isSwitched: true }),
          ...(switchover !== undefined && failover !== undefined && { canFailOver: true }),
          ...((steps.configure ?? route) !== undefined && { isConfigured: true }),
          ...(route !== undefined && { isBalancer: true }),
        },
      ]),
    ),
    configuredMasters,
    ladderOf: (name) => byMode.get(byName.get(name)?.mode ?? '')?.ladder,
    laddersAmong(view) {
      const among: Neighbours = { view, services: () => services };
      return new Map(kinds.map((kind) => [kind.mode, ladderOf(kind, byMode, among)]));
    },
  };
}

/** The configured master is a slave while another is wanted in its place. */
function withWantedRole(
  service: Service,
  cluster: string,
  configured: Role,
  masters: ReadonlyMap<string, string>,
  roles: Pick<Roles, 'masterOf'>,
): Service {
  const { name } = service;
  return {
    ...service,
    get status() {
      const configuredMaster = masters.get(cluster);
      const master = configuredMaster === undefined ? null : roles.masterOf(cluster, configuredMaster);
      if (master === null) return configured;
      if (name === master) return 'master';
      return configured === 'master' ? 'slave' : configured;
    },
  };
}

function ladderOf(kind: AnyServiceKind, kinds: ReadonlyMap<string, AnyServiceKind>, among: Neighbours): Ladder {
  const { ladder: rungs, needs } = kind;
  const needsOf: Ladder['needs'] = (service, rung) => {
    const own = needs?.[rung];
    if (own) return own(service as Service<never>, among);
    return rung === 'routed' ? needsOfRouted(balancersAmong(kinds, among)(service), among) : [];
  };
  return needs || isRoutedByOthers(kind) ? { rungs, needs: needsOf } : { rungs };
}

function readService(input: ServiceInput, kinds: ReadonlyMap<string, AnyServiceKind>): Service {
  const where = `service ${JSON.stringify(input.name)}`;
  if (!isName(input.name))
    throw new FleetError('ER0230', `${where}: a name is 1 to 63 letters, digits, dots, dashes or underscores`);
  const ip = parseIp(input.ip);
  if (!ip) throw new FleetError('ER0230', `${where}: ip is ${JSON.stringify(input.ip)}; allowed is an IPv4 or IPv6 address`);
  const kind = kinds.get(input.mode);
  if (!kind)
    throw new FleetError(
      'ER0230',
      `${where}: mode is ${JSON.stringify(input.mode)}; known are ${[...kinds.keys()].join(', ') || 'none'}`,
    );
  if (!ROLES.includes(input.status))
    throw new FleetError('ER0230', `${where}: status is ${JSON.stringify(input.status)}; allowed are ${ROLES.join(', ')}`);
  if (input.cluster !== undefined && !isName(input.cluster))
    throw new FleetError('ER0230', `${where}: cluster ${JSON.stringify(input.cluster)} is no name`);
  return {
    name: input.name,
    ip,
    mode: input.mode,
    status: input.status,
    settings: kind.settings(input.settings),
    ...(input.cluster === undefined ? {} : { cluster: input.cluster }),
  };
}
