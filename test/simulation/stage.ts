import { asInstant, DEFAULT_POLICY, type Heartbeat, type Instant, type Ip, type Policy, type ServiceFacts } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { type SimulatedFleet, type SimulatedFleetOptions, simulatedFleet, simulatedKinds } from 'fleetbeat/testing';
import type { Tell } from './happenings.ts';
import { begin, type Host, type Life, type Surroundings } from './life.ts';
import type { Network } from './network.ts';

/** The two machines whose cloud, services and numbers all schedules have. */
const FLEET = {
  instances: [
    { id: 'i-1', ip: '10.0.0.1', state: 'running' },
    { id: 'i-2', ip: '10.0.0.2', state: 'stopped' },
  ],
  services: [
    { name: 'cache1', ip: '10.0.0.1', mode: 'memcache', status: 'master' },
    { name: 'cache2', ip: '10.0.0.2', mode: 'memcache', status: 'slave' },
  ],
  latency: { scale: 0.1 },
  everyMs: 5000,
} as const satisfies Omit<SimulatedFleetOptions, 'now'>;

const POLICY: Policy = {
  ...DEFAULT_POLICY,
  freshMs: 3000,
  pushEveryMs: 5000,
  callMs: 20_000,
  settleMs: 10_000,
  needsMs: 10_000,
  callAttempts: 2,
  attempts: 3,
  backoffMs: 1000,
  backoffMaxMs: 4000,
  expiresMs: 600_000,
  leaseMs: 8000,
  claimMs: 10_000,
  graceMs: 3000,
  storeEveryMs: 60_000,
};

const KINDS = simulatedKinds();
export const IPS = FLEET.services.map(({ ip }) => ip);

/** What differs between schedules from their beginning. */
export interface Setting {
  readonly isFenced: boolean;
  /** How far the clock of the second host is from that of the first. */
  readonly skewMs: number;
  /** Whether an inspector watches, so that all charts are actors. */
  readonly isWatched: boolean;
}

/** The world of one schedule: a cloud, a store, two hosts, one clock. */
export interface Stage {
  readonly hosts: readonly Host[];
  readonly policy: Policy;
  readonly simulated: SimulatedFleet;
  now(): number;
  pass(ms: number): void;
  start(host: Host): Life;
  /** What the host at `ip` says of its services now, numbered in its own order; each fleet dates it by its own clock. */
  heartbeatOf(ip: string): Promise<(readAt: Instant) => Heartbeat>;
  /** The host counts its heartbeats from the start, as after a reboot. */
  restartSource(ip: string): void;
}

export function createStage(setting: Setting, network: Network, tell: Tell): Stage {
  let now = 1_000_000;
  const clock = () => asInstant(now);
  const simulated = simulatedFleet({ now: clock, ...FLEET });
  const around: Surroundings = {
    store: memory({ now: clock }),
    simulated,
    network,
    tell,
    kinds: KINDS,
    services: FLEET.services,
    policy: POLICY,
    isWatched: setting.isWatched,
    isFenced: setting.isFenced,
    fences: new Map(),
    now: clock,
  };
  const sources = new Map(IPS.map((ip) => [ip as string, { epoch: 1, seq: 0 }]));
  return {
    hosts: [
      { name: 'A', clockMs: 0, lives: 0 },
      { name: 'B', clockMs: setting.skewMs, lives: 0 },
    ],
    policy: POLICY,
    simulated,
    now: clock,
    pass(ms) {
      now += ms;
    },
    start: (host) => begin(host, around),
    async heartbeatOf(ip) {
      const source = sources.get(ip) ?? { epoch: 1, seq: 0 };
      const reading = await simulated.services.observe({ now: clock(), maxAgeMs: 0 }, new AbortController().signal);
      const items = reading.items.filter((facts: ServiceFacts) => facts.ip === ip);
      const { epoch, seq } = { ...source, seq: ++source.seq };
      return (readAt) => ({
        source: `host-${ip}`,
        epoch: `e${epoch}`,
        seq,
        host: { ips: [ip as Ip] },
        services: { ...reading, readAt, items: items.map((facts) => ({ ...facts, readAt })) },
      });
    },
    restartSource(ip) {
      const source = sources.get(ip);
      if (source) Object.assign(source, { epoch: source.epoch + 1, seq: 0 });
    },
  };
}
