import type { ServiceStep } from '../contracts.ts';
import { CODE_OF_STATE, type KnownCode } from '../domain/codes.ts';
import { subjectText } from '../domain/command.ts';
import type { Problem } from '../domain/heartbeat.ts';
import type { Instant, Ip } from '../domain/identity.ts';
import {
  isClusterVerb,
  type Service,
  type ServiceFacts,
  type ServiceRung,
  type ServiceState,
  type ServiceVerb,
} from '../domain/service.ts';
import { FleetError } from '../errors.ts';
import type { Agenda } from './simulated-agenda.ts';
import type { Side } from './simulated-driver.ts';
import type { FaultSource } from './simulated-faults.ts';
import type { SimulatedKind } from './simulated-kinds.ts';
import type { DrawMs } from './simulated-latency.ts';
import { holdsRung, type Machine, sshOf } from './simulated-machine.ts';
import { newServer, type Server, type SimulatedService } from './simulated-server.ts';
import { createServerSteps } from './simulated-steps.ts';

/** The services on the simulated machines: the other half of the world. */
export interface SimulatedServices extends Side<ServiceFacts> {
  /** Adds the services that are not there yet, uninstalled; takes the roles of the others. */
  bind(services: readonly Service[]): void;
  stateOf(name: string): ServiceState;
  crash(name: string): void;
  hang(name: string): void;
  /** What ran at an address has ended; what was on its disk too, where that is lost. */
  lose(ip: Ip, isDiskLost: boolean): void;
}

const STEP_OF_VERB: Readonly<Record<ServiceVerb, ServiceStep>> = {
  install: 'installed',
  start: 'up',
  sync: 'replicating',
  stop: 'stop',
  restart: 'restart',
  remove: 'remove',
  bootstrap_config: 'configure',
};

export function createServices(
  services: readonly SimulatedService[],
  world: {
    readonly kinds: ReadonlyMap<string, SimulatedKind>;
    readonly agenda: Agenda;
    readonly drawMs: DrawMs;
    readonly faults: FaultSource;
    readonly hostAt: (ip: Ip) => Machine | undefined;
  },
): SimulatedServices {
  const { faults, hostAt } = world;
  const servers = new Map<string, Server>();
  const byIp = new Map<Ip, Server[]>();
  const databases = new Map<string, Server[]>();

  const steps = createServerSteps({
    ...world,
    isReadyFor: (server, rung) =>
      server.kind.ladder.slice(0, server.kind.ladder.indexOf(rung)).every((below) => holds(server, below)),
  });

  /** A replica replicates while the master of its cluster is up; where nobody is master, its source is none of ours. */
  function hasSource(server: Server): boolean {
    if (server.role !== 'slave' || server.cluster === null) return true;
    const masters = (databases.get(server.cluster) ?? []).filter(({ role }) => role === 'master');
    return masters.length === 0 || masters.some(({ state }) => state === 'up');
  }

  /** Whether a rung holds by itself; whether those below it hold is not asked. */
  function holds(server: Server, rung: ServiceRung): boolean {
    switch (rung) {
      case 'installed':
        return server.state !== 'uninstalled';
      case 'up':
        return server.state === 'up';
      case 'replicating':
        return server.replicates && hasSource(server);
      case 'routed':
        return server.isListed;
      default:
        return rung satisfies never;
    }
  }

  /** The rungs of its ladder, cumulative. */
  function rungsOf(server: Server): Partial<Record<ServiceRung, boolean>> {
    const rungs: Partial<Record<ServiceRung, boolean>> = {};
    let below = true;
    for (const rung of server.kind.ladder) {
      below = below && holds(server, rung);
      rungs[rung] = below;
    }
    return rungs;
  }

  function factsOf(server: Server, readAt: Instant): ServiceFacts {
    const { name, ip, mode, role, state, kind } = server;
    const host = hostAt(ip);
    if (!host || sshOf(host) !== 'up' || faults.strikes('sshFlap')) {
      return { name, readAt, code: CODE_OF_STATE.unknown, holds: {}, reason: 'host does not answer', ip, mode };
    }
    const rungs = rungsOf(server);
    return {
      name,
      readAt,
      code: state === 'failing' ? (kind.failing ?? 'ER0003') : CODE_OF_STATE[state],
      holds: rungs,
      role,
      ip,
      mode,
      ...((state === 'up' || state === 'failing') && { runId: `${name}-run-${server.starts}` }),
      ...(rungs.replicating && role === 'slave' && { lagMs: 0 }),
      ...(state === 'failing' && { reason: 'the server runs but does not answer' }),
    };
  }

  function place(service: SimulatedService): void {
    const server = newServer(service, world);
    if (servers.has(server.name)) throw new FleetError('ER0230', `services: ${server.name} is there twice`);
    servers.set(server.name, server);
    listUnder(byIp, server.ip, server);
    if (server.cluster !== null && server.kind.ladder.includes('replicating')) listUnder(databases, server.cluster, server);
    steps.resume(server);
  }

  function apply(server: Server, step: ServiceStep): 'applied' | 'held' | Problem {
    const { name, ip, mode, kind } = server;
    const host = hostAt(ip);
    if (!host || sshOf(host) !== 'up') return problem(name, 'ER0002', `${ip} does not answer`);
    const needed = step === 'stop' || step === 'remove' ? 'ssh-up' : kind.host;
    if (!holdsRung(host, needed)) return problem(name, 'ER0218', `${ip} is not ${needed}`);
    if ((step === 'replicating' || step === 'routed') && !kind.ladder.includes(step)) {
      return problem(name, 'ER0206', `a ${mode} has no rung '${step}'; it has ${kind.ladder.join(', ')}`);
    }
    if (step === 'configure' && !kind.isConfigured) return problem(name, 'ER0202', `a ${mode} has no configuration on its host`);
    const answer = steps[step](server);
    return typeof answer === 'string' ? answer : problem(name, 'ER0206', `${step}: ${answer.refused}`);
  }

  function serverOf(name: string): Server {
    const server = servers.get(name);
    if (!server) throw new FleetError('ER0205', `the simulated fleet has no service '${name}'`);
    return server;
  }

  for (const service of services) place(service);

  return {
    read(readAt) {
      const items: ServiceFacts[] = [];
      for (const server of servers.values()) items.push(factsOf(server, readAt));
      return items;
    },
    subjectOf: ({ do: what }) => (what.level === 'services' ? what.name : subjectText(what.subject)),
    apply({ do: what, step }) {
      if (what.level !== 'services') return problem(subjectText(what.subject), 'ER0229', 'services have no instances');
      const server = servers.get(what.name);
      if (!server) return problem(what.name, 'ER0205', 'the simulated fleet has no such service');
      if (isClusterVerb(what.verb)) return problem(what.name, 'ER0229', 'no master is changed in the simulated cloud');
      return apply(server, (step as ServiceStep | undefined) ?? STEP_OF_VERB[what.verb]);
    },
    bind(configured) {
      for (const service of configured) {
        const server = servers.get(service.name);
        if (server) server.role = service.status;
        else place({ ...service, state: 'uninstalled' });
      }
    },
    stateOf(name) {
      const server = serverOf(name);
      const { replicating, routed } = rungsOf(server);
      if (routed) return 'routed';
      return replicating ? 'replicating' : server.state;
    },
    crash: (name) => steps.kill(serverOf(name)),
    hang: (name) => steps.hang(serverOf(name)),
    lose(ip, isDiskLost) {
      for (const server of byIp.get(ip) ?? []) (isDiskLost ? steps.wipe : steps.kill)(server);
    },
  };
}

function listUnder<K>(lists: Map<K, Server[]>, key: K, server: Server): void {
  const list = lists.get(key);
  if (list) list.push(server);
  else lists.set(key, [server]);
}

const problem = (subject: string, code: KnownCode, message: string): Problem => ({ subject, code, message });
