import type { Action } from './action.ts';
import { isLive } from './action.ts';
import type { Caller } from './bill.ts';
import type { Strain } from './budget.ts';
import type { EntityKey, Instant } from './identity.ts';
import type { InstanceState } from './instance.ts';
import type { Policy } from './policy.ts';
import { type Sight, subjectsOf } from './trigger.ts';
import type { View } from './view.ts';

/** What is wanted of a source now: how old its word may be, on whose behalf, about what. */
export interface Demand {
  readonly maxAgeMs: number;
  readonly caller: Caller;
  readonly keys: readonly EntityKey[];
}

/** An entity that somebody waits for. */
export interface Awaited {
  readonly key: EntityKey;
  /** Undefined where nobody has seen it yet. */
  readonly view: View | undefined;
  /** Something is being done about it: it will change soon. */
  readonly isBusy: boolean;
  /** Nothing that was read before this counts for whoever waits. */
  readonly since: Instant | null;
}

/** States that do not last: whoever waits for what comes after them wants to know soon. */
const MOVING: ReadonlySet<InstanceState> = new Set<InstanceState>([
  'pending',
  'stopping',
  'shutting-down',
  'absent',
  'unknown',
  'unreachable',
]);

/** The instances that live actions look at or work on. */
export function awaitedBy(actions: readonly Action[], busy: Iterable<EntityKey>, sight: Pick<Sight, 'look'>): readonly Awaited[] {
  const awaited: Awaited[] = [];
  for (const key of busy) awaited.push({ key, view: sight.look('instances', { key }), isBusy: true, since: null });
  for (const action of actions) {
    if (!isLive(action)) continue;
    for (const { level, subject } of subjectsOf(action.when)) {
      if (level !== 'instances') continue;
      const view = sight.look('instances', subject);
      const key = view?.key ?? ('key' in subject ? subject.key : undefined);
      awaited.push({ key: key ?? action.lane, view, isBusy: false, since: action.armedAt });
    }
  }
  return awaited;
}

type Intervals = Pick<Policy, 'readMovingMs' | 'readStableMs' | 'freshMs'>;

/**
 * What is wanted of a source, by who waits for it: seldom where nobody does, often where what is awaited is on its way. A budget
 * that is nearly spent makes it seldomer, of what is stable first; one that is spent leaves what is awaited only.
 */
export function demandOf(
  awaited: readonly Awaited[],
  source: { readonly everyMs: number; readonly strain: Strain },
  at: { readonly now: Instant; readonly policy: Intervals },
): Demand {
  const { now, policy } = at;
  const stretch = source.strain === 'none' ? 1 : SOFT_STRETCH;
  const idleMs = source.strain === 'hard' ? Number.POSITIVE_INFINITY : source.everyMs * stretch;
  if (awaited.length === 0) return { maxAgeMs: idleMs, caller: 'beat', keys: [] };
  const ages = awaited.map(({ view, isBusy, since }) => {
    const interval =
      isBusy || !view || MOVING.has(view.state as InstanceState) ? policy.readMovingMs : policy.readStableMs * stretch;
    const isUnseen = since !== null && view !== undefined && view.readAt < since && now - view.readAt > policy.freshMs;
    return isUnseen ? Math.min(interval, Math.max(0, now - since)) : interval;
  });
  return {
    maxAgeMs: Math.min(idleMs, ...ages),
    caller: 'waiting',
    keys: [...new Set(awaited.map(({ key }) => key))],
  };
}

/** So many times seldomer past a budget's soft limit. */
const SOFT_STRETCH = 4;
