import { setTimeout as pause } from 'node:timers/promises';
import type { Driver, Shell } from '../contracts.ts';
import { asInstant, type Instant, type Ip, parseIp, type Token } from '../domain/identity.ts';
import type { InstanceFacts, SshAnswer } from '../domain/instance.ts';
import { FleetError } from '../errors.ts';
import { type CloudEffect, type CloudInstanceInput, createAccount } from './cloud/account.ts';
import type { Ec2Action } from './cloud/actions.ts';
import { type CallCounts, createApi } from './cloud/api.ts';
import { type Buckets, createThrottle, EC2_BUCKETS } from './cloud/buckets.ts';
import { type CloudDriverOptions, cloudDriver } from './cloud/driver.ts';
import { type CloudEndpoint, type EndpointOptions, listenOn } from './cloud/endpoint.ts';
import { CLOUD_FAULTS, CLOUD_LATENCY_MS, type CloudDelay, type CloudFault, type RequestFault } from './cloud/faults.ts';
import { cloudShell, type HostCommand } from './cloud/hosts.ts';
import type { Instance } from './cloud/instances.ts';
import { seededRandom } from './random.ts';
import { createAgenda } from './simulated-agenda.ts';
import { createFaults, type FaultRates, type SimulatedFaults } from './simulated-faults.ts';
import { drawLatency, type SimulatedLatency } from './simulated-latency.ts';
import type { MachinePower } from './simulated-machine.ts';

export interface SimulatedCloudOptions {
  /** Decides every delay, id and fault. Default 1. */
  readonly seed?: number;
  /** The cloud's clock, in milliseconds: the only one there is. Default: the clock of this machine. */
  readonly now?: () => Instant;
  /** How an answer takes its time, and a driver waits. Default: real time. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** The cloud's name, and so its driver's. Default `simulated`. */
  readonly cloud?: string;
  /** Default none. */
  readonly instances?: readonly CloudInstanceInput[];
  /** The public addresses that the account has. Default none. */
  readonly elasticIps?: readonly string[];
  readonly latency?: SimulatedLatency<CloudDelay>;
  /** How often each fault strikes. Default never. */
  readonly errors?: FaultRates<Exclude<CloudFault, 'eventualConsistency'>>;
  /** The token buckets: those of {@link EC2_BUCKETS} unless given, none where it is false. */
  readonly throttling?: Buckets | false;
  /** The share of changes, 0 to 1, that reads show only after `latency.ms.stale`. Default 0. */
  readonly eventualConsistency?: number;
  /** How many instances can run at once before `InsufficientInstanceCapacity`. Default no limit. */
  readonly capacity?: number;
  /** How many instances may run at once before `InstanceLimitExceeded`. Default no limit. */
  readonly quota?: number;
  /** Whether a private address may be given to several instances, as in networks of their own. Default false. */
  readonly overlappingIps?: boolean;
}

/** An instance as it truly is, or was: also one that is not listed yet, or any more. */
export interface CloudInstance {
  readonly id: string;
  /** The private address that it was given. */
  readonly ip: Ip | null;
  readonly power: MachinePower;
  /** The client token that it was launched under; null where there was none. */
  readonly clientToken: string | null;
  readonly launchedAt: Instant;
  /** Boots so far. */
  readonly boots: number;
  readonly publicIp: string | null;
  readonly secondaryIps: readonly Ip[];
  readonly tags: Readonly<Record<string, string>>;
}

/** An EC2 in memory: what a test connects to, does past every client, and asserts on. */
export interface SimulatedCloud {
  /** A driver straight on it, without HTTP. What it remembers is its own: another one is another process. */
  driver(options?: CloudDriverOptions): Driver<InstanceFacts> & Required<Pick<Driver<InstanceFacts>, 'onCall'>>;
  /** Its machines over ssh: `probed(cloud.driver(), cloud.shell())`. A command answers with the id of the boot unless one is given. */
  shell(command?: HostCommand): Shell;
  /** Serves EC2's Query API over HTTP on a loopback address, for the AWS SDK and whatever else speaks it. */
  listen(options?: EndpointOptions): Promise<CloudEndpoint>;
  /** Every request that was ever sent, by action and outcome. */
  calls(): CallCounts;
  /** Every instance that there ever was, in the order of their launches. */
  instances(): readonly CloudInstance[];
  /** Every change of power that a request has made, in order. */
  effects(): readonly CloudEffect[];
  /** How many changes were made under this token. */
  applied(token: Token): number;
  /** What goes wrong with anything that can. */
  readonly faults: SimulatedFaults<CloudFault>;
  /** The fault strikes the next `times` (1) requests of an action, and no other: `strike('RunInstances', 'replyLost')`. */
  strike(action: Ec2Action, fault: RequestFault, times?: number): void;
  /** Pulls the plug of an instance, by id or ip, or puts it back in. */
  power(idOrIp: string, power: 'off' | 'on'): void;
  /** The provider takes an instance back, as it does with spot instances. Default `terminate`. */
  interrupt(idOrIp: string, how?: 'terminate' | 'stop'): void;
  /** What ssh answers while the machine runs; `up` gives it back its own answer. */
  setSsh(idOrIp: string, answer: SshAnswer): void;
  /** When something happens next by itself; null where nothing is pending. */
  nextAt(): Instant | null;
}

const realTime = async (ms: number, signal: AbortSignal): Promise<void> => {
  await pause(ms, undefined, { signal });
};

/**
 * A cloud to test against: EC2's lifecycle, idempotent launches, eventual consistency, token buckets, limits, lost requests and
 * answers, all decided by the seed. It is a driver without HTTP, or a server that the AWS SDK talks to.
 *
 * Time passes only by `now`, whenever it is asked something: with a clock in the test's hand the same history gives the same
 * cloud, in no time at all.
 *
 * Throws ER0230 for options that cannot be.
 *
 * @example
 * ```ts
 * const cloud = simulatedCloud({ seed: 7, eventualConsistency: 0.5, errors: { requestLost: 0.1 } });
 * cloud.strike('RunInstances', 'replyLost');
 * await using endpoint = await cloud.listen();
 * const client = new EC2Client({ endpoint: endpoint.url, region: 'eu-west-1', credentials });
 * …
 * expect(cloud.instances().filter(({ ip }) => ip === '10.0.0.7')).toHaveLength(1);
 * expect(cloud.calls().RunInstances).toMatchObject({ replyLost: 1, ok: 1 });
 * ```
 */
export function simulatedCloud(options: SimulatedCloudOptions = {}): SimulatedCloud {
  const { now = () => asInstant(Date.now()), sleep = realTime, cloud: name = 'simulated', throttling = EC2_BUCKETS } = options;
  const random = seededRandom(options.seed ?? 1);
  const agenda = createAgenda(now());
  const rates = { ...options.errors, eventualConsistency: options.eventualConsistency ?? 0 };
  const faults = createFaults<CloudFault>(CLOUD_FAULTS, rates, random.fork('faults'));
  const drawMs = drawLatency<CloudDelay>(CLOUD_LATENCY_MS, options.latency ?? {}, random.fork('latency'));
  const account = createAccount(
    {
      cloud: name,
      instances: options.instances ?? [],
      elasticIps: options.elasticIps ?? [],
      capacity: options.capacity ?? Number.POSITIVE_INFINITY,
      quota: options.quota ?? Number.POSITIVE_INFINITY,
      overlappingIps: options.overlappingIps ?? false,
    },
    { agenda, drawMs, faults, random: random.fork('cloud') },
  );
  const { instances } = account;
  const throttle = throttling === false ? null : createThrottle(throttling, random.fork('buckets'));
  const api = createApi({ account, agenda, faults, throttle, now, sleep, drawMs });

  /** Lets everything happen that is due by now, so that a test acts on the world as it is. */
  function arrive<T>(then: () => T): T {
    agenda.advance(now());
    return then();
  }

  function instanceOf(idOrIp: string): Instance {
    const ip = parseIp(idOrIp);
    const instance = instances.get(idOrIp) ?? (ip === null ? undefined : instances.at(ip));
    if (!instance) throw new FleetError('ER0205', `the simulated cloud has no instance '${idOrIp}'`);
    return instance;
  }

  return {
    driver: (driven = {}) => cloudDriver(api, name, sleep, driven),
    shell: (command) => cloudShell((ip) => arrive(() => instances.at(ip)?.machine), command),
    listen: (listening = {}) => listenOn(api, listening),
    calls: api.calls,
    instances: () =>
      arrive(() =>
        [...instances.all()].map((instance) => {
          const { machine, clientToken, launchedAt, secondaryIps, tags } = instance;
          const { publicIp } = instances.show(instance);
          const { id, home: ip, power, boots } = machine;
          return {
            id,
            ip,
            power,
            clientToken,
            launchedAt,
            boots,
            publicIp,
            secondaryIps: [...secondaryIps],
            tags: Object.fromEntries(tags),
          };
        }),
      ),
    effects: () => [...account.effects],
    applied: (token) => account.effects.filter((effect) => effect.token === token).length,
    faults,
    strike: (action, fault, times = 1) => api.strike(action, fault, times),
    power: (idOrIp, power) => arrive(() => account.setPower(instanceOf(idOrIp), power)),
    interrupt: (idOrIp, how = 'terminate') => arrive(() => account.interrupt(instanceOf(idOrIp), how)),
    setSsh(idOrIp, answer) {
      arrive(() => {
        instanceOf(idOrIp).machine.sshOverride = answer === 'up' ? null : answer;
      });
    },
    nextAt: () => arrive(() => agenda.nextAt()),
  };
}
