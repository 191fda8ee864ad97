import type { ServiceStep } from '../contracts.ts';
import { type Ip, isName, parseIp } from '../domain/identity.ts';
import type { Role, ServiceRung, ServiceState } from '../domain/service.ts';
import { FleetError } from '../errors.ts';
import type { SimulatedKind } from './simulated-kinds.ts';
import type { Machine } from './simulated-machine.ts';

/** A service of the simulated fleet at its beginning. */
export interface SimulatedService {
  readonly name: string;
  readonly ip: string;
  readonly mode: string;
  readonly status: Role;
  readonly cluster?: string;
  /** Default: the top of its kind's ladder where its machine runs, `stopped` where it does not, `uninstalled` where there is none. */
  readonly state?: FirstState;
}

type FirstState = Exclude<ServiceState, 'unknown'> | ServiceRung;

export type ServerState = 'uninstalled' | 'stopped' | 'starting' | 'up' | 'stopping' | 'failing';

/** The server process of a simulated service, as it truly is. */
export interface Server {
  readonly name: string;
  readonly ip: Ip;
  readonly mode: string;
  readonly kind: SimulatedKind;
  readonly cluster: string | null;
  role: Role;
  state: ServerState;
  /** Whether it has been told to replicate since it was started. */
  replicates: boolean;
  /** Whether proxies and balancers list it since it was started. */
  isListed: boolean;
  /** Starts so far. */
  starts: number;
  /** The step that is under way. */
  doing: ServiceStep | null;
  /** Calls off the end of that step. */
  callOff: () => void;
}

const SERVER_STATE = {
  uninstalled: 'uninstalled',
  installed: 'stopped',
  stopped: 'stopped',
  starting: 'starting',
  stopping: 'stopping',
  failing: 'failing',
  up: 'up',
  replicating: 'up',
  routed: 'up',
} as const satisfies Record<FirstState, ServerState>;

/** Reads one service of the options. Throws ER0204 for a mode that is not known and ER0230 for anything else that cannot be. */
export function newServer(
  service: SimulatedService,
  world: { readonly kinds: ReadonlyMap<string, SimulatedKind>; readonly hostAt: (ip: Ip) => Machine | undefined },
): Server {
  const { name, mode, status: role, cluster = null } = service;
  if (!isName(name)) throw new FleetError('ER0230', `services: '${name}' is no name; letters, digits, . _ - are allowed`);
  const ip = parseIp(service.ip);
  if (ip === null) {
    throw new FleetError('ER0230', `services: ${name} has the ip '${service.ip}'; an IPv4 or IPv6 address is allowed`);
  }
  const kind = world.kinds.get(mode);
  if (!kind) {
    const known = [...world.kinds.keys()].join(', ');
    throw new FleetError('ER0204', `services: ${name} has the mode '${mode}'; known are ${known}`);
  }
  const first = firstStateOf(service, kind, world.hostAt(ip));
  const state = SERVER_STATE[first];
  return {
    name,
    ip,
    mode,
    kind,
    cluster,
    role,
    state,
    replicates: first === 'replicating' || first === 'routed',
    isListed: first === 'routed',
    starts: state === 'up' || state === 'failing' ? 1 : 0,
    doing: null,
    callOff: () => {},
  };
}

function firstStateOf({ name, mode, state }: SimulatedService, { ladder }: SimulatedKind, host: Machine | undefined): FirstState {
  if ((state === 'replicating' || state === 'routed') && !ladder.includes(state)) {
    throw new FleetError('ER0230', `services: ${name} is to be ${state}, but the rungs of a ${mode} are ${ladder.join(', ')}`);
  }
  if (!host || state === 'uninstalled') return 'uninstalled';
  return host.power === 'running' ? (state ?? ladder.at(-1) ?? 'up') : 'stopped';
}
