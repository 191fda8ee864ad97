import { createAddressBook } from './address-book.ts';
import { deriveInstance, goneAs, UNKNOWN_INSTANCE } from './derive.ts';
import { createGlances } from './glances.ts';
import type { Reading } from './heartbeat.ts';
import { type EntityKey, type Instant, type Ip, instanceKey, wantedKey } from './identity.ts';
import type { InstanceFacts, InstanceState } from './instance.ts';
import type { Policy } from './policy.ts';
import { adopt, type Belief, believe, type InstanceRow, isSameInstance, NEVER, recalled, unseen, viewOf } from './row.ts';
import { countsMisses, noteComplete, type Source, speaksFor } from './source.ts';
import type { Sweep } from './sweep.ts';
import type { View } from './view.ts';

/** The instances of an inventory: newest facts by identity, their ips, their views. */
export interface InstanceRows {
  readonly size: number;
  /** Takes a reading in; yields after each turn's worth of entities. */
  take(reading: Reading<InstanceFacts>, sweep: Sweep): Generator<void, void>;
  /** Puts an instance that nobody has seen since the start where it was. */
  recall(view: View, source: Source): void;
  /** Nobody sees the entities of a source any more. */
  lose(sweep: Sweep, reason: string): void;
  get(key: EntityKey): View | undefined;
  /** Whether what is believed of an instance is only recalled. */
  isUnread(key: EntityKey): boolean;
  /** Whether its last reading had no word of it, or missed it: what is believed is what was seen before. */
  isDoubted(key: EntityKey): boolean;
  atIp(ip: Ip): View | 'none' | 'conflict';
  views(): Generator<View>;
  forget(now: Instant, isWatched: (key: EntityKey) => boolean): readonly EntityKey[];
}

export function createInstanceRows(policy: Pick<Policy, 'tolerance' | 'retainMs' | 'turnSize'>): InstanceRows {
  const byId = new Map<string, Map<string, InstanceRow>>();
  const book = createAddressBook<InstanceRow>();
  const gone = new Set<InstanceRow>();
  const unread = new Set<InstanceRow>();
  const powers = new Map<string, Power>();
  let size = 0;

  function* take(reading: Reading<InstanceFacts>, sweep: Sweep): Generator<void, void> {
    const { source } = sweep;
    const changed: InstanceRow[] = [];
    let listed = 0;
    let turn = 0;
    let last: InstanceRow | null = null;
    for (const facts of reading.items) {
      if (++turn % policy.turnSize === 0) yield;
      const guess: InstanceRow | null = last === null ? null : last.next;
      const row: InstanceRow = guess !== null && isOf(guess, facts, source) ? guess : rowOf(facts);
      if (last !== null && guess !== row) last.next = row;
      last = row;
      if (row.source !== source) {
        if (row.source?.own && !source.own) {
          hint(row, facts, source);
          continue;
        }
        adopt(row, source);
      }
      if (row.sweep !== source.sweeps) listed++;
      row.sweep = source.sweeps;
      if (!row.counting && row.facts !== null && isSameInstance(row.facts, facts)) {
        row.readAt = later(row.readAt, facts.readAt);
        continue;
      }
      row.facts = kept(facts, row);
      changed.push(row);
    }
    const misses = countsMisses(source);
    const countsAbsence = misses && reading.complete && !reading.isRemembered;
    const missing = countsAbsence && listed < source.entities.instances ? yield* unlisted(source) : [];
    const contested = new Set([...changed, ...missing].filter((row) => row.contested).map((row) => row.ip));
    vacate(changed, missing);
    const displaced = changed.flatMap(occupy);
    for (const row of changed) {
      if (++turn % policy.turnSize === 0) yield;
      settle(row, { misses, absence: countsAbsence }, sweep);
    }
    for (const row of missing) miss(row, reading.readAt, sweep);
    displace(displaced, sweep);
    for (const row of changed) if (row.ip !== null) contested.add(row.ip);
    for (const ip of contested) if (ip !== null) contest(ip, sweep);
    if (reading.complete) noteComplete(source, 'instances', reading.readAt);
  }

  function* unlisted(source: Source): Generator<void, readonly InstanceRow[]> {
    const missing: InstanceRow[] = [];
    let turn = 0;
    for (const row of rows()) {
      if (++turn % policy.turnSize === 0) yield;
      if (row.source === source && row.sweep !== source.sweeps) missing.push(row);
    }
    return missing;
  }

  /** Old addresses are left before new ones are taken, so that the order of a list does not matter. */
  function vacate(changed: readonly InstanceRow[], missing: readonly InstanceRow[]): void {
    for (const row of missing) row.reported = false;
    for (const row of changed) {
      const ip = row.facts?.ip ?? null;
      if (row.facts?.power?.state === 'terminated' || (ip !== null && (ip !== row.ip || !row.reported))) {
        book.strike(row);
        row.contested = false;
      }
      if (ip === null) row.reported = false;
    }
  }

  /** @returns who only remembered the address that `row` reports */
  const occupy = (row: InstanceRow): readonly InstanceRow[] =>
    row.facts === null || row.facts.power?.state === 'terminated' ? [] : book.book(row, row.facts.ip);

  /** Where an own driver speaks for an instance, a host's word only fills in what it leaves out, and only for its own ips. */
  function hint(row: InstanceRow, facts: InstanceFacts, source: Source): void {
    if (!speaksFor(source, facts.ip)) return;
    const { power: _, ...rest } = facts;
    row.hint = rest;
    row.counting = true;
  }

  function settle(row: InstanceRow, counts: { readonly misses: boolean; readonly absence: boolean }, sweep: Sweep): void {
    const before = see(row);
    const facts = factsOf(row);
    const power = facts.power?.state ?? (facts.ssh === 'up' ? 'running' : 'unknown');
    // A reading that has no word of ssh, as while a host that hangs is still being asked, neither misses it nor finds it up.
    if (power !== 'running' || facts.ssh === 'up') row.sshMisses = 0;
    else if (facts.ssh !== undefined && counts.misses) row.sshMisses++;
    const past = {
      state: before.state as InstanceState,
      code: before.code,
      ...(before.reason !== undefined && { reason: before.reason }),
      holds: before.holds,
      wasUp: row.wasUp,
      misses: row.sshMisses,
    };
    const derived = deriveInstance(facts, past, policy.tolerance);
    if (facts.ssh === 'up' && power === 'running') row.wasUp = true;
    else if (power !== 'running' && power !== 'unknown') row.wasUp = false;
    row.missed = power === 'terminated' ? row.missed + (counts.absence ? 1 : 0) : 0;
    const isGone = power === 'terminated' && row.missed >= policy.tolerance;
    row.counting = derived.suspect || row.sshMisses > 0 || (power === 'terminated' && !isGone);
    if (!derived.suspect) {
      unread.delete(row);
      row.readAt = later(before.readAt, facts.readAt);
    }
    keep(
      row,
      believe(row, isGone ? goneAs('terminated') : derived, sweep, {
        ip: row.ip,
        raw: facts.power?.raw ?? null,
        role: null,
        mark: facts.bootId ?? before.mark,
        gone: isGone,
      }),
    );
    if (isGone && !before.gone && before.source !== null) sweep.note('vanished', before, see(row));
    else sweep.compare(before, see(row));
  }

  const factsOf = ({ facts, hint }: InstanceRow): InstanceFacts =>
    (hint === null ? facts : { ...hint, ...facts }) as InstanceFacts;

  /** A complete reading did not list it. It is gone only after some of them: NotFound is not gone. */
  function miss(row: InstanceRow, readAt: Instant, sweep: Sweep): void {
    if (row.belief.gone) return;
    row.missed++;
    row.counting = true;
    if (row.missed < policy.tolerance) return;
    const before = see(row);
    unread.delete(row);
    row.readAt = later(row.readAt, readAt);
    row.wasUp = false;
    book.strike(row);
    const derived = goneAs(row.belief.derived.state === 'terminated' ? 'terminated' : 'absent');
    keep(row, believe(row, derived, sweep, { ip: row.ip, raw: null, role: null, mark: null, gone: true }));
    sweep.note('vanished', before, see(row));
  }

  function keep(row: InstanceRow, belief: Belief): void {
    row.belief = belief;
    if (belief.gone) gone.add(row);
    else gone.delete(row);
  }

  /** Who only remembered an address loses it to whoever reports it. */
  function displace(displaced: readonly InstanceRow[], sweep: Sweep): void {
    for (const row of displaced) {
      if (row.belief.ip === row.ip) continue;
      const before = see(row);
      row.belief = { ...row.belief, ip: row.ip };
      sweep.note('moved', before, see(row));
    }
  }

  /** Notes for everybody at an address that they are now in conflict over it, or no longer. */
  function contest(ip: Ip, sweep: Sweep): void {
    const tenants = book.tenants(ip);
    const isConflict = tenants.length > 1;
    for (const row of tenants) {
      if (isConflict && !row.contested) sweep.note('conflict', see(row), see(row));
      row.contested = isConflict;
    }
  }

  /** What a row says already, and what many rows say, is not held twice. */
  function kept(facts: InstanceFacts, row: InstanceRow): InstanceFacts {
    const own = { ...facts, cloud: row.cloud, id: facts.id && row.name, ip: facts.ip === row.ip ? row.ip : facts.ip };
    return facts.power ? { ...own, power: shared(facts.power) } : own;
  }

  function shared(power: Power): Power {
    const text = `${power.state} ${power.raw}`;
    const known = powers.get(text);
    if (!known && powers.size < SHARED_POWERS) powers.set(text, power);
    return known ?? power;
  }

  function rowOf(facts: InstanceFacts): InstanceRow {
    const id = facts.id ?? `wanted/${facts.ip ?? ''}`;
    let here = byId.get(facts.cloud);
    if (!here) {
      here = new Map();
      byId.set(facts.cloud, here);
    }
    let row = here.get(id);
    if (!row) {
      row = newRow(facts.cloud, id);
      here.set(id, row);
      size++;
    }
    return row;
  }

  function* rows(): Generator<InstanceRow> {
    for (const here of byId.values()) yield* here.values();
  }

  function find(key: EntityKey): InstanceRow | undefined {
    const start = 'instances/'.length;
    const end = key.indexOf('/', start);
    return byId.get(key.slice(start, end))?.get(key.slice(end + 1));
  }

  const see = (row: InstanceRow): View => viewOf(row, NOTHING_ELSEWHERE);
  const glance = createGlances(see);

  return {
    get size() {
      return size;
    },
    take,
    recall(view, source) {
      const [cloud = '', ...id] = view.key.slice('instances/'.length).split('/');
      const row = rowOf({ cloud, id: id.join('/'), ip: view.ip, readAt: view.readAt });
      if (row.source !== null) return;
      adopt(row, source);
      row.readAt = view.readAt;
      row.wasUp = view.holds.has('running');
      keep(row, recalled(view));
      if (!view.gone) unread.add(row);
      if (!view.gone && view.state !== 'terminated') book.book(row, view.ip);
    },
    lose(sweep, reason) {
      const lost = { ...UNKNOWN_INSTANCE, reason };
      for (const row of rows()) {
        const { derived, gone } = row.belief;
        if (row.source !== sweep.source || gone || derived.state === 'unknown') continue;
        const before = see(row);
        unread.delete(row);
        row.counting = true;
        row.belief = believe(row, lost, sweep, row.belief);
        sweep.note('silent', before, see(row));
      }
    },
    get(key) {
      const row = find(key);
      return row && glance(row);
    },
    isUnread(key) {
      const row = find(key);
      return row !== undefined && unread.has(row);
    },
    isDoubted: (key) => find(key)?.belief.derived.suspect === true,
    atIp(ip) {
      const tenant = book.at(ip);
      return typeof tenant === 'string' ? tenant : glance(tenant);
    },
    *views() {
      for (const row of rows()) yield see(row);
    },
    forget(now, isWatched) {
      const forgotten: EntityKey[] = [];
      for (const row of gone) {
        if (now - row.belief.since < policy.retainMs || isWatched(row.key)) continue;
        gone.delete(row);
        unread.delete(row);
        book.strike(row);
        if (row.source) row.source.entities.instances--;
        row.source = null;
        byId.get(row.cloud)?.delete(row.name);
        size--;
        forgotten.push(row.key);
      }
      return forgotten;
    },
  };
}

type Power = NonNullable<InstanceFacts['power']>;

/** A cloud has few words for power; a source that makes them up is not remembered for ever. */
const SHARED_POWERS = 1000;

/** Whether a row that was guessed by its place in the last reading is the one; a forgotten one has no source. */
const isOf = (row: InstanceRow, facts: InstanceFacts, source: Source): boolean =>
  row.source === source && row.name === facts.id && row.cloud === facts.cloud;

const later = (a: Instant, b: Instant): Instant => Math.max(a, b) as Instant;

const UNSEEN = unseen(UNKNOWN_INSTANCE, null, null);

/** An instance needs nothing elsewhere, and is its own host. */
const NOTHING_ELSEWHERE = { unmet: [], hostLost: false } as const;

const newRow = (cloud: string, id: string): InstanceRow => ({
  level: 'instances',
  key: id.startsWith('wanted/') ? wantedKey(cloud, id.slice('wanted/'.length) as Ip) : instanceKey(cloud, id),
  cloud,
  name: id,
  source: null,
  facts: null,
  hint: null,
  belief: UNSEEN,
  readAt: NEVER,
  sweep: -1,
  missed: 0,
  sshMisses: 0,
  wasUp: false,
  counting: true,
  ip: null,
  reported: false,
  contested: false,
  next: null,
});
