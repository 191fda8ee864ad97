import fc from 'fast-check';
import {
  asInstant,
  type Change,
  createInventory,
  type EntityKey,
  type Heartbeat,
  type InstanceFacts,
  type Instant,
  type Inventory,
  type Ip,
  parseIp,
  type Service,
  type ServiceFacts,
  type View,
} from 'fleetbeat';
import { POWERS } from '../../src/domain/instance.ts';

/** The numbers that these histories count on. */
export const POLICY = {
  tolerance: 2,
  skewMs: 300_000,
  silentIntervals: 3,
  pushEveryMs: 10_000,
  retainMs: 3_600_000,
  turnSize: 3,
} as const;

export const EVERY_MS = 10_000;
const RHYTHM = { everyMs: EVERY_MS, beatMs: 0 };

const ipOf = (text: string): Ip => {
  const ip = parseIp(text);
  if (ip === null) throw new Error(`${text} is no ip`);
  return ip;
};

export const IPS = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map(ipOf);
const IDS = ['i-1', 'i-2', 'i-3', 'i-4'] as const;

export const SERVICES: readonly Service[] = IPS.map((ip, i) => ({
  name: `node${i + 1}`,
  ip,
  mode: 'mariadb',
  status: i === 0 ? 'master' : 'slave',
  settings: undefined,
}));

/** Who speaks: our own drivers of a cloud and of services, and two hosts, each with its own ips. */
export const SPEAKERS = {
  cloud: { isOwn: true, ips: null },
  probe: { isOwn: true, ips: null },
  'host-1': { isOwn: false, ips: IPS.slice(0, 1) },
  'host-2': { isOwn: false, ips: IPS.slice(1) },
} as const satisfies Record<string, { readonly isOwn: boolean; readonly ips: readonly Ip[] | null }>;

export type Speaker = keyof typeof SPEAKERS;

/** What happens to an inventory, `ms` after what happened before. */
export type Happening =
  | { readonly ms: number; readonly is: 'beat'; readonly beat: Spoken }
  | { readonly ms: number; readonly is: 'blind'; readonly source: 'cloud' | 'probe' }
  | { readonly ms: number; readonly is: 'quiet' };

/** A heartbeat before it has a sequence and an instant. */
export interface Spoken {
  readonly source: Speaker;
  readonly isRestarted: boolean;
  readonly isComplete: boolean;
  /** How long before it is told the read began. */
  readonly ageMs: number;
  readonly instances: readonly Omit<InstanceFacts, 'readAt'>[] | null;
  readonly services: readonly Omit<ServiceFacts, 'readAt'>[] | null;
}

const ip = fc.option(fc.constantFrom(...IPS));

const instance = (id: string): fc.Arbitrary<Omit<InstanceFacts, 'readAt'>> =>
  fc
    .record(
      {
        ip,
        power: fc.oneof(
          { weight: 2, arbitrary: fc.constant('running' as const) },
          { weight: 3, arbitrary: fc.constantFrom(...POWERS) },
        ),
        ssh: fc.constantFrom('up', 'up', 'up', 'refused', 'timeout', 'host-key-changed'),
        binaries: fc.constantFrom(null, 'v1'),
        agent: fc.boolean(),
        bootId: fc.constantFrom('boot-1', 'boot-2'),
      },
      { requiredKeys: ['ip'] },
    )
    .map(({ power, ...facts }) => ({
      cloud: 'simulated',
      id,
      ...facts,
      ...(power === undefined ? {} : { power: { state: power, raw: power } }),
    }));

const service = (name: string): fc.Arbitrary<Omit<ServiceFacts, 'readAt'>> =>
  fc
    .record(
      {
        code: fc.constantFrom('000000', '000000', 'ER0019', 'ER0020', 'ER0023', 'ER0024', 'ER0003', 'ER0200', 'ER7777'),
        holds: fc.record(
          { installed: fc.boolean(), up: fc.boolean(), replicating: fc.boolean(), routed: fc.boolean() },
          { requiredKeys: [] },
        ),
        runId: fc.constantFrom('run-1', 'run-2'),
        role: fc.constantFrom('master', 'slave'),
        reason: fc.constantFrom('so it is'),
      },
      { requiredKeys: ['code', 'holds'] },
    )
    .map((facts) => ({ name, ...facts }));

/** Facts of some of `all`, each once, in any order. */
const some = <F>(all: readonly string[], one: (id: string) => fc.Arbitrary<F>): fc.Arbitrary<readonly F[]> =>
  fc.shuffledSubarray([...all]).chain((ids) => fc.tuple(...ids.map(one)));

const instances = some(IDS, instance);
const services = some(
  SERVICES.map(({ name }) => name),
  service,
);

const spoken: fc.Arbitrary<Spoken> = fc
  .record({
    source: fc.constantFrom<Speaker>('cloud', 'cloud', 'cloud', 'probe', 'probe', 'host-1', 'host-2'),
    isRestarted: fc.constantFrom(false, false, false, false, true),
    isComplete: fc.constantFrom(true, true, true, false),
    ageMs: fc.constantFrom(0, 0, 300, 1500),
    instances,
    services,
  })
  .map((beat) => ({
    ...beat,
    instances: beat.source === 'probe' ? null : beat.instances,
    services: beat.source === 'cloud' ? null : beat.services,
  }));

const ms = fc.constantFrom(500, 1000, 2000, 5000, 9000);

/** Mostly heartbeats; now and then a read that failed, or nothing for a long time. */
export const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ ms, is: fc.constant('beat'), beat: spoken }) },
  { weight: 1, arbitrary: fc.record({ ms, is: fc.constant('blind'), source: fc.constantFrom('cloud', 'probe') }) },
  { weight: 1, arbitrary: fc.record({ ms: fc.constantFrom(15_000, 45_000), is: fc.constant('quiet') }) },
);

export const histories = fc.array(happening, { minLength: 1, maxLength: 25 });

/** A heartbeat as it was spoken. */
export interface Told {
  readonly beat: Heartbeat;
  readonly source: Speaker;
}

/** An inventory with its clock and the sequences of its sources in the history's hand. */
export interface Stage {
  readonly inventory: Inventory;
  readonly now: Instant;
  /** Every heartbeat so far, in order. */
  readonly told: readonly Told[];
  /** Lets one thing happen. @returns the changes that it made */
  happen(happening: Happening): readonly Change[];
  /** Tells a heartbeat as it was told before. */
  again(told: Told): readonly Change[];
  /** Tells the same under the source's next sequence. */
  anew(told: Told): readonly Change[];
}

export function stage(): Stage {
  const inventory = createInventory({
    services: SERVICES,
    ladders: new Map([['mariadb', { rungs: ['installed', 'up', 'replicating', 'routed'] }]]),
    policy: POLICY,
  });
  const turns = new Map<Speaker, { readonly epoch: number; readonly seq: number }>();
  const told: Told[] = [];
  let now = asInstant(1_000_000);

  const turnOf = (source: Speaker) => turns.get(source) ?? { epoch: 1, seq: 0 };

  function next(source: Speaker, isRestarted = false): { readonly epoch: string; readonly seq: number } {
    const { epoch, seq } = turnOf(source);
    const turn = isRestarted ? { epoch: epoch + 1, seq: 1 } : { epoch, seq: seq + 1 };
    turns.set(source, turn);
    return { epoch: `epoch-${turn.epoch}`, seq: turn.seq };
  }

  const take = ({ beat, source }: Told): readonly Change[] =>
    finish(inventory.applying(beat, now, SPEAKERS[source].isOwn ? RHYTHM : undefined));

  return {
    inventory,
    told,
    get now() {
      return now;
    },
    happen(happening) {
      now = asInstant(now + happening.ms);
      const silent = inventory.elapse(now);
      if (happening.is === 'quiet') return silent;
      if (happening.is === 'blind') {
        inventory.blind(happening.source, now, RHYTHM);
        return silent;
      }
      const { source, isRestarted } = happening.beat;
      const spoken = { source, beat: { ...heartbeatOf(happening.beat, now), ...next(source, isRestarted) } };
      told.push(spoken);
      return [...silent, ...take(spoken)];
    },
    again: take,
    anew: ({ beat, source }) => take({ source, beat: { ...beat, ...next(source) } }),
  };
}

function heartbeatOf(beat: Spoken, now: Instant): Omit<Heartbeat, 'epoch' | 'seq'> {
  const readAt = asInstant(now - beat.ageMs);
  const { ips } = SPEAKERS[beat.source];
  const reading = <F>(items: readonly F[]) => ({
    items: items.map((facts) => ({ ...facts, readAt })),
    readAt,
    complete: beat.isComplete,
    problems: [],
  });
  return {
    source: beat.source,
    ...(ips ? { host: { ips } } : {}),
    ...(beat.instances ? { instances: reading(beat.instances) } : {}),
    ...(beat.services ? { services: reading(beat.services) } : {}),
  };
}

function finish<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** A view as plain data, so that two can be compared. */
export const dataOf = (view: View): unknown => ({
  ...view,
  holds: [...view.holds].sort(),
  heldSince: [...view.heldSince].sort(),
});

export const viewsOf = (inventory: Inventory): ReadonlyMap<EntityKey, View> =>
  new Map([...inventory.views()].map((view) => [view.key, view]));
