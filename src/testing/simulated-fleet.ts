import type { Driver } from '../contracts.ts';
import { type Instant, type Ip, parseIp, type Token } from '../domain/identity.ts';
import type { InstanceFacts, Power, SshAnswer } from '../domain/instance.ts';
import type { Service, ServiceFacts, ServiceState } from '../domain/service.ts';
import { FleetError } from '../errors.ts';
import { seededRandom } from './random.ts';
import { createAgenda } from './simulated-agenda.ts';
import { type Effect, simulatedDriver } from './simulated-driver.ts';
import { createFaults, FAULTS, type FaultRates, type SimulatedFaults } from './simulated-faults.ts';
import { createInstances, type SimulatedInstance } from './simulated-instances.ts';
import { DEFAULT_KINDS, type SimulatedKind } from './simulated-kinds.ts';
import { DEFAULT_LATENCY_MS, drawLatency, type SimulatedLatency } from './simulated-latency.ts';
import type { SimulatedService } from './simulated-server.ts';
import { createServices } from './simulated-services.ts';

export interface SimulatedFleetOptions {
  /** Decides every delay, id and fault. Default 1. */
  readonly seed?: number;
  /** The fleet's clock, in milliseconds: the only one there is. */
  readonly now: () => Instant;
  /** The cloud's name. Default `simulated`. */
  readonly cloud?: string;
  readonly instances: readonly SimulatedInstance[];
  readonly services: readonly SimulatedService[];
  /** Kinds by mode, besides {@link DEFAULT_KINDS} or instead of one of them. */
  readonly kinds?: Readonly<Record<string, SimulatedKind>>;
  readonly latency?: SimulatedLatency;
  /** None unless given. */
  readonly faults?: FaultRates;
  /** The interval of both drivers. Default 10,000 ms. */
  readonly everyMs?: number;
  /** Whether a machine's agent runs again by itself after a boot. Default false. */
  readonly agentSurvives?: boolean;
  /** Whether the provider goes on reporting the ip of a stopped instance. Default true. */
  readonly stoppedKeepsIp?: boolean;
}

/** What a test does to the simulated world, and sees of it, past every driver. */
export interface SimulatedWorld {
  /** Pulls the plug of the machine at `ip`, or puts it back in. */
  power(ip: string, power: 'off' | 'on'): void;
  /** What ssh answers at `ip` while its machine runs; `up` gives it back its own answer. */
  setSsh(ip: string, answer: SshAnswer): void;
  /** The service's process ends. */
  crash(name: string): void;
  /** The service's process runs on but answers nobody. */
  hang(name: string): void;
  /** The true power of the machine that owns `ip`; null where there is none. */
  powerAt(ip: string): Power | null;
  /** The true state of a service. */
  stateOf(name: string): ServiceState;
  /** When something happens next by itself; null where nothing is pending. */
  nextAt(): Instant | null;
}

export interface SimulatedFleet {
  readonly instances: Driver<InstanceFacts>;
  /** With `bind`, services that the world does not have are added to it, uninstalled. */
  readonly services: Driver<ServiceFacts> & { bind(services: readonly Service[]): void };
  /** Every accepted call, in order, also those whose answer was lost. */
  readonly log: readonly Effect[];
  /** How many of the accepted calls with this token changed something. */
  applied(token: Token): number;
  readonly faults: SimulatedFaults;
  readonly world: SimulatedWorld;
}

/**
 * A cloud and the services on its instances, simulated behind the driver contract: EC2's lifecycle, seeded delays and faults.
 *
 * Time passes only by the `now` of its calls and reads, so the same seed and the same history give the same fleet, in no
 * time at all. Nothing outside is touched.
 *
 * Throws ER0230 for options that cannot be and ER0204 for a mode that is not known.
 *
 * @example
 * ```ts
 * let ms = 0;
 * const now = () => asInstant(ms);
 * const simulated = simulatedFleet({ now, ...SEED_FLEET, faults: { callLost: 0.1 } });
 * const drivers = { instances: [simulated.instances], services: [simulated.services] };
 * const fleet = createFleet({ drivers, now, … });
 * simulated.world.power('10.0.0.102', 'off');
 * ms += 10_000;
 * await fleet.beat();
 * ```
 */
export function simulatedFleet(options: SimulatedFleetOptions): SimulatedFleet {
  const { now, cloud: name = 'simulated', everyMs = 10_000 } = options;
  const random = seededRandom(options.seed ?? 1);
  const agenda = createAgenda(now());
  const faults = createFaults(FAULTS, options.faults ?? {}, random.fork('faults'));
  const drawMs = drawLatency(DEFAULT_LATENCY_MS, options.latency ?? {}, random.fork('latency'));
  const kinds = new Map(Object.entries({ ...DEFAULT_KINDS, ...options.kinds }));
  const log: Effect[] = [];

  const cloud = createInstances(
    {
      cloud: name,
      instances: options.instances,
      agentSurvives: options.agentSurvives ?? false,
      stoppedKeepsIp: options.stoppedKeepsIp ?? true,
    },
    { agenda, drawMs, faults, random: random.fork('cloud'), onLoss: (ip, isDiskLost) => services.lose(ip, isDiskLost) },
  );
  const services = createServices(options.services, { kinds, agenda, drawMs, faults, hostAt: cloud.at });

  const shared = { everyMs, now, agenda, faults, log };

  /** Lets everything happen that is due by now, so that a test acts on the world as it is. */
  function arrive<T>(then: () => T): T {
    agenda.advance(now());
    return then();
  }

  return {
    instances: simulatedDriver(cloud, { name, ...shared }),
    services: {
      ...simulatedDriver(services, { name: `${name}-services`, ...shared }),
      bind: (configured) => arrive(() => services.bind(configured)),
    },
    log,
    applied: (token) => log.filter((effect) => effect.token === token && effect.outcome === 'applied').length,
    faults,
    world: {
      power: (ip, power) => arrive(() => cloud.setPower(addressOf(ip), power)),
      setSsh(ip, answer) {
        arrive(() => cloud.setSsh(addressOf(ip), answer));
      },
      crash: (service) => arrive(() => services.crash(service)),
      hang: (service) => arrive(() => services.hang(service)),
      powerAt: (ip) => arrive(() => cloud.at(addressOf(ip))?.power ?? null),
      stateOf: (service) => arrive(() => services.stateOf(service)),
      nextAt: () => arrive(() => agenda.nextAt()),
    },
  };
}

function addressOf(text: string): Ip {
  const ip = parseIp(text);
  if (ip === null) throw new FleetError('ER0222', `'${text}' is no address; IPv4 or IPv6 is allowed`);
  return ip;
}
