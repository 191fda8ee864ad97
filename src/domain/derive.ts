import { type Code, OK, stateOfCode, textOf } from './codes.ts';
import type { Instant } from './identity.ts';
import { INSTANCE_RUNGS, type InstanceFacts, type InstanceState } from './instance.ts';
import { SERVICE_RUNGS, type ServiceFacts, type ServiceRung, type ServiceState } from './service.ts';
import { SSH_CODES } from './ssh.ts';

/** What the facts of one entity come to. */
export interface Derived {
  readonly state: InstanceState | ServiceState;
  readonly code: Code;
  readonly holds: ReadonlySet<string>;
  readonly reason?: string;
  /** Whether these facts are doubted: the state is the one from before, and nothing may fire from it. */
  readonly suspect: boolean;
}

/** What is remembered of an instance between readings. */
export interface InstancePast extends Pick<Derived, 'code' | 'reason'> {
  readonly state: InstanceState;
  readonly holds: ReadonlySet<string>;
  /** Whether ssh has answered since the machine last started. */
  readonly wasUp: boolean;
  /** Readings in a row, of those that tell of ssh, this one included, in which it did not answer though the provider says running. */
  readonly misses: number;
}

const instanceWords = (state: InstanceState): ReadonlySet<string> => {
  const rung = (INSTANCE_RUNGS as readonly string[]).indexOf(state);
  const words = rung < 0 ? [state] : ['running', ...INSTANCE_RUNGS.slice(0, rung + 1)];
  return new Set(state === 'unknown' || state === 'unreachable' ? words : [...words, 'known']);
};

const INSTANCE_WORDS: { readonly [S in InstanceState]: ReadonlySet<string> } = {
  absent: instanceWords('absent'),
  unknown: instanceWords('unknown'),
  unreachable: instanceWords('unreachable'),
  pending: instanceWords('pending'),
  stopping: instanceWords('stopping'),
  stopped: instanceWords('stopped'),
  'shutting-down': instanceWords('shutting-down'),
  terminated: instanceWords('terminated'),
  'ssh-up': instanceWords('ssh-up'),
  bootstrapped: instanceWords('bootstrapped'),
  managed: instanceWords('managed'),
};

const instanceIs = (state: InstanceState, code: Code = OK, reason?: string): Derived => ({
  state,
  code,
  holds: INSTANCE_WORDS[state],
  suspect: false,
  ...(reason === undefined ? {} : { reason }),
});

export const UNKNOWN_INSTANCE = instanceIs('unknown');
export const ABSENT_INSTANCE = instanceIs('absent');
const PLAIN = {
  unknown: UNKNOWN_INSTANCE,
  pending: instanceIs('pending'),
  stopping: instanceIs('stopping'),
  stopped: instanceIs('stopped'),
  'shutting-down': instanceIs('shutting-down'),
  terminated: instanceIs('terminated'),
} as const;
const RUNNING = {
  'ssh-up': instanceIs('ssh-up'),
  bootstrapped: instanceIs('bootstrapped'),
  managed: instanceIs('managed'),
} as const;
/** What does not come back: many providers list nothing of what was terminated, so whoever waits for either word has waited enough. */
const GONE_WORDS: ReadonlySet<string> = new Set(['absent', 'terminated', 'known']);
export const goneAs = (state: 'absent' | 'terminated'): Derived => GONE[state];
const GONE = {
  absent: { ...ABSENT_INSTANCE, holds: GONE_WORDS },
  terminated: { ...PLAIN.terminated, holds: GONE_WORDS },
} as const;
const NOT_PROBED = instanceIs('pending', OK, 'ssh was not observed');

/**
 * The state of an instance. Running means that ssh answers: where the provider says running but ssh does not,
 * it is `pending` until it has been up once, then `unreachable` after `tolerance` misses.
 */
export function deriveInstance(facts: InstanceFacts, past: InstancePast, tolerance: number): Derived {
  const power = facts.power?.state ?? (facts.ssh === 'up' ? 'running' : 'unknown');
  if (power !== 'running') return PLAIN[power];
  if (facts.ssh === 'up') return RUNNING[rungOf(facts)];
  if (facts.ssh === undefined)
    return past.wasUp ? { ...instanceIs(past.state, past.code, past.reason), holds: past.holds, suspect: true } : NOT_PROBED;
  const reason = `ssh ${facts.ssh}`;
  if (!past.wasUp) return instanceIs('pending', SSH_CODES[facts.ssh], reason);
  if (past.misses >= tolerance) return instanceIs('unreachable', SSH_CODES[facts.ssh], reason);
  return { state: past.state, code: SSH_CODES[facts.ssh], holds: past.holds, suspect: true, reason };
}

function rungOf(facts: InstanceFacts): keyof typeof RUNNING {
  if (facts.binaries == null) return 'ssh-up';
  return facts.agent === true ? 'managed' : 'bootstrapped';
}

const UP: ReadonlySet<ServiceState> = new Set(['up', 'replicating', 'routed']);

/** The ladder of a kind that is not configured: whatever is reported counts. */
export const FULL_LADDER = SERVICE_RUNGS;

/** The state of a service: its code, and for one that runs, the highest rung below which none is missing. */
export function deriveService(facts: ServiceFacts, ladder: readonly ServiceRung[]): Derived {
  const state = stateOfCode(facts.code);
  const derived = serviceIs(UP.has(state) ? topRung(facts, ladder) : state, facts, ladder);
  return facts.reason === undefined ? derived : { ...derived, reason: facts.reason };
}

function topRung(facts: ServiceFacts, ladder: readonly ServiceRung[]): 'up' | 'replicating' | 'routed' {
  let top: 'up' | 'replicating' | 'routed' = 'up';
  for (const rung of ladder) {
    if (rung === 'installed' || rung === 'up') continue;
    if (facts.holds[rung] === undefined && ladder === FULL_LADDER) continue;
    if (facts.holds[rung] !== true) break;
    top = rung;
  }
  return top;
}

const ALIKE = new Map<string, Derived>();

/** One for all services that are alike: a fleet of many keeps few of them. */
function serviceIs(state: ServiceState, { code, holds, configured }: ServiceFacts, ladder: readonly ServiceRung[]): Derived {
  const isUp = UP.has(state);
  const isInstalled = isUp || (state !== 'unknown' && state !== 'uninstalled' && holds.installed !== false);
  const isMisconfigured = state !== 'unknown' && configured === false;
  const alike = `${state} ${isInstalled} ${isMisconfigured} ${ladder.join()} ${code}`;
  const known = ALIKE.get(alike);
  if (known) return known;
  const words = new Set<string>([state, textOf(code)]);
  if (isInstalled) words.add('installed');
  if (isMisconfigured) words.add('misconfigured');
  if (isUp)
    for (const rung of SERVICE_RUNGS.slice(1, SERVICE_RUNGS.indexOf(state as ServiceRung) + 1))
      if (ladder.includes(rung)) words.add(rung);
  if (state !== 'unknown') words.add('known');
  const derived: Derived = { state, code, holds: words, suspect: false };
  if (ALIKE.size < 10_000) ALIKE.set(alike, derived);
  return derived;
}

export const UNKNOWN_SERVICE: Derived = {
  state: 'unknown',
  code: 'ER0200',
  holds: new Set(['unknown']),
  suspect: false,
};

/** Since when each word has held: kept from before where it held then. Sets and maps that are alike are shared. */
export function createHeldSince(): (
  before: { readonly derived: Derived; readonly heldSince: ReadonlyMap<string, Instant> } | null,
  holds: ReadonlySet<string>,
  at: Instant,
) => ReadonlyMap<string, Instant> {
  const shared = new Map<
    ReadonlyMap<string, Instant> | null,
    Map<ReadonlySet<string>, Map<Instant, ReadonlyMap<string, Instant>>>
  >();
  return (before, holds, at) => {
    if (before?.derived.holds === holds) return before.heldSince;
    const past = before?.heldSince ?? null;
    const byHolds = entry(shared, past, () => new Map());
    const byInstant = entry(byHolds, holds, () => new Map());
    return entry(byInstant, at, () => new Map([...holds].map((word) => [word, past?.get(word) ?? at])));
  };
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
