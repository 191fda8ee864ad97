import type { Tenant } from './address-book.ts';
import type { Derived } from './derive.ts';
import type { EntityKey, Instant, Ip } from './identity.ts';
import type { InstanceFacts } from './instance.ts';
import type { Following, Role, Service, ServiceFacts, ServiceRung } from './service.ts';
import type { Source } from './source.ts';
import type { Sweep } from './sweep.ts';
import type { View } from './view.ts';

/** A kind's ladder, and what its rungs need elsewhere. */
export interface Ladder {
  readonly rungs: readonly ServiceRung[];
  /** What `rung` of a service needs; every key must be running. */
  readonly needs?: (service: Service, rung: ServiceRung) => readonly EntityKey[];
}

/** The readAt of what was never read: a number, since views are written down as JSON. */
export const NEVER = 0 as Instant;

/** What the inventory remembers of one instance. Counters live here, so that an unchanged observation changes no view. */
export interface InstanceRow extends Tenant {
  readonly level: 'instances';
  readonly key: EntityKey;
  readonly cloud: string;
  readonly name: string;
  /** Who is believed for its existence and power. */
  source: Source | null;
  facts: InstanceFacts | null;
  /** What a host said of its own instance, beneath the facts of an own driver. */
  hint: InstanceFacts | null;
  belief: Belief;
  readAt: Instant;
  /** The sweep of its source that listed it last. */
  sweep: number;
  /** Complete readings in a row that did not list it, or listed it as terminated. */
  missed: number;
  sshMisses: number;
  wasUp: boolean;
  /** Whether equal facts may still lead to another view. */
  counting: boolean;
  /** Whether it has been told that others report its ip too. */
  contested: boolean;
  /** The row that followed it in a reading: where to look first, since most readings have the order of the one before. */
  next: InstanceRow | null;
}

/** What the inventory remembers of one service. */
export interface ServiceRow {
  readonly level: 'services';
  readonly key: EntityKey;
  readonly name: string;
  readonly service: Service | null;
  readonly ladder: Ladder | null;
  source: Source | null;
  facts: ServiceFacts | null;
  belief: Belief;
  readAt: Instant;
  counting: boolean;
}

export type Row = InstanceRow | ServiceRow;

/** What the facts of an entity came to. A view is made of it when somebody looks: a large fleet keeps beliefs, not views. */
export interface Belief extends Pick<View, 'ip' | 'heldSince' | 'source' | 'mark' | 'gone' | 'since'> {
  /** Shared by the entities that are alike. */
  readonly derived: Derived;
  readonly raw: string | null;
  readonly role: Role | null;
  readonly following?: Following;
}

export const isSameInstance = (a: InstanceFacts, b: InstanceFacts): boolean =>
  a.ip === b.ip &&
  a.power?.state === b.power?.state &&
  a.power?.raw === b.power?.raw &&
  a.ssh === b.ssh &&
  a.binaries === b.binaries &&
  a.agent === b.agent &&
  a.bootId === b.bootId;

export const isSameService = (a: ServiceFacts, b: ServiceFacts): boolean =>
  a.code === b.code &&
  a.runId === b.runId &&
  a.configured === b.configured &&
  a.role === b.role &&
  a.reason === b.reason &&
  a.following?.hears === b.following?.hears &&
  a.following?.isFit === b.following?.isFit &&
  a.holds.installed === b.holds.installed &&
  a.holds.up === b.holds.up &&
  a.holds.replicating === b.holds.replicating &&
  a.holds.routed === b.holds.routed;

/** Whether a service's instance is known not to run: then nothing on it can be done. */
export function hostIsLost(host: View | 'none' | 'conflict', instancesAreRead: boolean): boolean {
  if (host === 'conflict') return false;
  if (host === 'none') return instancesAreRead;
  return !host.holds.has('running') && host.state !== 'unknown' && host.state !== 'pending';
}

/** From now on, `source` is believed for the existence of `row`. */
export function adopt(row: Row, source: Source): void {
  if (row.source) row.source.entities[row.level]--;
  source.entities[row.level]++;
  row.source = source;
  row.counting = true;
  if (row.level === 'services') return;
  row.sweep = -1;
  row.missed = 0;
  row.sshMisses = 0;
}

/** What is believed of an entity that nobody has seen yet. */
export const unseen = (derived: Derived, ip: Ip | null, role: Role | null): Belief => ({
  derived,
  heldSince: new Map([...derived.holds].map((word) => [word, NEVER])),
  ip,
  source: null,
  raw: null,
  role,
  mark: null,
  gone: false,
  since: NEVER,
});

/** What was believed of an entity in an earlier life: to be compared with, never to fire from. */
export const recalled = (view: View): Belief => ({
  derived: {
    state: view.state,
    code: view.code,
    holds: view.holds,
    suspect: false,
    ...(view.reason === undefined ? {} : { reason: view.reason }),
  },
  heldSince: view.heldSince,
  ip: view.ip,
  source: view.source,
  raw: view.raw ?? null,
  role: view.role ?? null,
  mark: view.mark,
  gone: view.gone,
  since: view.since,
});

/** What is believed of a row, now that its facts come to `derived`. */
export function believe(
  row: Row,
  derived: Derived,
  sweep: Pick<Sweep, 'source' | 'heldSince'>,
  what: Pick<Belief, 'ip' | 'raw' | 'role' | 'mark' | 'gone' | 'following'>,
): Belief {
  const before = row.belief.source === null ? null : row.belief;
  // As the view will say it: a reading that comes late has begun before one that did not say so yet.
  const readAt = what.gone ? lastUnlisted(row) : row.readAt;
  return {
    derived,
    heldSince: sweep.heldSince(before, derived.holds, readAt),
    ip: what.ip,
    source: sweep.source.name,
    raw: what.raw,
    role: what.role,
    ...(what.following && { following: what.following }),
    mark: what.mark,
    gone: what.gone,
    since: before?.derived.state === derived.state ? before.since : readAt,
  };
}

/** What is gone is confirmed by every complete reading that does not list it. */
const lastUnlisted = ({ level, readAt, source }: Pick<Row, 'level' | 'readAt' | 'source'>): Instant =>
  Math.max(readAt, source?.completeAt[level] ?? readAt) as Instant;

/** The view of a row as it is now; what a service needs elsewhere is not in its row. */
export function viewOf(
  row: Pick<InstanceRow, 'level' | 'key' | 'name' | 'belief' | 'readAt' | 'source'> | ServiceRow,
  elsewhere: Pick<View, 'unmet' | 'hostLost'>,
): View {
  const { derived, heldSince, ip, source, raw, role, following, mark, gone, since } = row.belief;
  const mode = row.level === 'services' ? (row.service?.mode ?? row.facts?.mode) : undefined;
  const view: Open<View> = {
    key: row.key,
    level: row.level,
    name: row.name,
    ip,
    code: derived.code,
    state: derived.state,
    holds: derived.holds,
    heldSince,
    source,
    mark,
    unmet: elsewhere.unmet,
    hostLost: elsewhere.hostLost,
    gone,
    since,
    readAt: gone ? lastUnlisted(row) : row.readAt,
    seenSince: row.source?.seenSince ?? row.readAt,
  };
  // One by one, since to spread what is not there would make an object of each.
  if (derived.reason !== undefined) view.reason = derived.reason;
  if (raw !== null) view.raw = raw;
  if (role !== null) view.role = role;
  if (following !== undefined) view.following = following;
  if (mode !== undefined) view.mode = mode;
  return view;
}

type Open<T> = { -readonly [K in keyof T]: T[K] };
