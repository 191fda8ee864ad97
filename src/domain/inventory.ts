import { createAddressBook } from './address-book.ts';
import type { Subject } from './command.ts';
import {
  ABSENT_INSTANCE,
  createHeldSince,
  deriveInstance,
  deriveService,
  FULL_LADDER,
  UNKNOWN_INSTANCE,
  UNKNOWN_SERVICE,
} from './derive.ts';
import type { Heartbeat, Problem, Reading } from './heartbeat.ts';
import {
  type EntityKey,
  type Instant,
  type Ip,
  instanceKey,
  type Level,
  levelOf,
  serviceKey,
  wantedKey,
  wantedOf,
} from './identity.ts';
import type { InstanceFacts, InstanceState } from './instance.ts';
import { DEFAULT_POLICY, type Policy } from './policy.ts';
import { hostIsLost, type InstanceRow, isSameInstance, isSameService, type Row, type ServiceRow, viewOf } from './row.ts';
import type { Service, ServiceFacts, ServiceRung } from './service.ts';
import { createSource, hear, isOverdue, refusalOf, type Source } from './source.ts';
import type { Sight } from './trigger.ts';
import type { Change, View } from './view.ts';

/** A kind's ladder, and what its rungs need elsewhere. */
export interface Ladder {
  readonly rungs: readonly ServiceRung[];
  /** What `rung` of a service needs; every key must be running. */
  readonly needs?: (service: Service, rung: ServiceRung) => readonly EntityKey[];
}

export interface InventoryOptions {
  readonly services?: readonly Service[];
  /** Ladders by mode. */
  readonly ladders?: ReadonlyMap<string, Ladder>;
  readonly policy?: Pick<Policy, 'tolerance' | 'skewMs' | 'silentIntervals' | 'pushEveryMs' | 'retainMs' | 'turnSize'>;
  /** Told of every heartbeat and item that is refused. */
  readonly onProblem?: (problem: Problem) => void;
}

/** The newest facts of every source, by identity, and one view per entity. */
export interface Inventory extends Sight {
  /** Takes a heartbeat in. Refused ones change nothing. */
  apply(beat: Heartbeat, now: Instant): readonly Change[];
  /** The same, a turn's worth of entities at a time; `own` says that one of our own drivers read it. */
  applying(beat: Heartbeat, now: Instant, own?: { readonly everyMs: number }): Generator<void, readonly Change[]>;
  /** The read of one of our own drivers failed: nothing of it is believed gone, nothing fires from it. */
  blind(source: string, now: Instant, everyMs: number): void;
  /** Lets time pass: a source that has been quiet too long is silent, its entities unknown. */
  elapse(now: Instant): readonly Change[];
  get(key: EntityKey): View | undefined;
  atIp(ip: Ip): View | 'none' | 'conflict';
  views(level?: Level): Iterable<View>;
  readonly size: number;
  isBlind(view: View): boolean;
  /** Whether a complete reading of `level` has been taken from `source`, or from any. */
  hasRead(level: Level, source?: string): boolean;
  /** Forgets what has been gone and unwatched for `policy.retainMs`. */
  forget(now: Instant, isWatched: (key: EntityKey) => boolean): readonly EntityKey[];
}

/** Makes an empty inventory that knows of the configured services. */
export function createInventory(options: InventoryOptions = {}): Inventory {
  const policy = options.policy ?? DEFAULT_POLICY;
  const report = options.onProblem ?? (() => {});
  const sources = new Map<string, Source>();
  const byId = new Map<string, Map<string, InstanceRow>>();
  const services = new Map<string, ServiceRow>();
  const book = createAddressBook<InstanceRow>();
  const gone = new Set<InstanceRow>();
  let size = 0;

  for (const service of options.services ?? []) {
    services.set(service.name, newServiceRow(service.name, service, options.ladders?.get(service.mode)));
    size++;
  }

  function* applying(beat: Heartbeat, now: Instant, own?: { readonly everyMs: number }): Generator<void, readonly Change[]> {
    const source = sourceOf(beat.source, now, own);
    const refusal = refusalOf(source, beat, now, policy);
    if (refusal !== null) {
      report({ subject: beat.source, code: 'ER0234', message: `heartbeat of ${beat.source} refused: ${refusal}` });
      return [];
    }
    hear(source, beat, now);
    const sweep = new Sweep(source, now, `${beat.epoch}:${beat.seq}`);
    if (beat.instances) yield* takeInstances(beat.instances, sweep);
    if (beat.services) yield* takeServices(beat.services, sweep);
    return sweep.changes;
  }

  function sourceOf(name: string, now: Instant, own: { readonly everyMs: number } | undefined): Source {
    let source = sources.get(name);
    if (!source) sources.set(name, (source = createSource(name, own !== undefined, own?.everyMs ?? policy.pushEveryMs, now)));
    if (own) {
      source.own = true;
      source.everyMs = own.everyMs;
    }
    return source;
  }

  function* takeInstances(reading: Reading<InstanceFacts>, sweep: Sweep): Generator<void, void> {
    const { source } = sweep;
    let listed = 0;
    let turn = 0;
    for (const facts of reading.items) {
      if (++turn % policy.turnSize === 0) yield;
      const row = instanceRow(facts);
      if (row.source !== source) {
        if (row.source?.own && !source.own) {
          row.hint = speaksFor(source, facts.ip) ? facts : row.hint;
          row.counting = true;
          continue;
        }
        adopt(row, source, 'instances');
      }
      if (row.seq !== source.seq) listed++;
      row.seq = source.seq;
      if (!row.counting && row.facts !== null && isSameInstance(row.facts, facts)) {
        row.readAt = facts.readAt;
        continue;
      }
      row.facts = facts;
      settleInstance(row, row.hint === null ? facts : { ...row.hint, ...facts }, reading.complete, sweep);
    }
    if (!reading.complete) return;
    source.completeAt.instances = reading.readAt;
    if (listed === source.entities.instances) return;
    for (const rows of byId.values())
      for (const row of rows.values()) {
        if (++turn % policy.turnSize === 0) yield;
        if (row.source === source && row.seq !== source.seq) missInstance(row, reading.readAt, sweep);
      }
  }

  /** Where an own driver speaks for an instance, a host's word only fills in what it leaves out, and only for its own ips. */
  const speaksFor = (source: Source, ip: Ip | null): boolean => source.ips === null || (ip !== null && source.ips.includes(ip));

  function settleInstance(row: InstanceRow, facts: InstanceFacts, complete: boolean, sweep: Sweep): void {
    const before = row.view;
    const power = facts.power?.state ?? (facts.ssh === 'up' ? 'running' : 'unknown');
    row.sshMisses = power === 'running' && facts.ssh !== 'up' && facts.ssh !== undefined ? row.sshMisses + 1 : 0;
    const derived = deriveInstance(
      facts,
      {
        state: (before?.state ?? 'unknown') as InstanceState,
        holds: before?.holds ?? UNKNOWN_INSTANCE.holds,
        wasUp: row.wasUp,
        misses: row.sshMisses,
      },
      policy.tolerance,
    );
    if (power !== 'running' && power !== 'unknown') row.wasUp = false;
    else if (facts.ssh === 'up') row.wasUp = true;
    row.missed = power === 'terminated' ? row.missed + (complete ? 1 : 0) : 0;
    const isGone = power === 'terminated' && row.missed >= policy.tolerance;
    row.counting = derived.suspect || row.sshMisses > 0 || (power === 'terminated' && !isGone);
    if (!derived.suspect) row.readAt = facts.readAt;
    const claim = claimIp(row, power === 'terminated' ? 'none' : facts.ip, sweep);
    const view = viewOf(row, derived, sweep.held, sweep.source, {
      mark: facts.bootId ?? before?.mark ?? null,
      gone: isGone,
      raw: facts.power?.raw,
    });
    show(row, view, isGone && before?.gone === false ? 'vanished' : undefined, sweep);
    if (claim) sweep.note('conflict', row, before, view);
  }

  function missInstance(row: InstanceRow, readAt: Instant, sweep: Sweep): void {
    if (row.view?.gone) return;
    row.missed++;
    row.counting = true;
    if (row.missed < policy.tolerance) return;
    row.readAt = readAt;
    row.wasUp = false;
    book.strike(row);
    const before = row.view;
    const derived =
      before?.state === 'terminated'
        ? { ...ABSENT_INSTANCE, state: 'terminated' as const, holds: before.holds }
        : ABSENT_INSTANCE;
    show(row, viewOf(row, derived, sweep.held, sweep.source, { mark: null, gone: true, raw: undefined }), 'vanished', sweep);
  }

  /** @returns whether two live instances now report one ip */
  function claimIp(row: InstanceRow, reported: Ip | null | 'none', sweep: Sweep): boolean {
    if (reported === 'none') {
      book.strike(row);
      return false;
    }
    const { displaced, conflict } = book.book(row, reported);
    for (const other of displaced) {
      const before = other.view;
      if (!before) continue;
      other.view = { ...before, ip: null };
      sweep.note('moved', other, before, other.view);
    }
    return conflict;
  }

  function* takeServices(reading: Reading<ServiceFacts>, sweep: Sweep): Generator<void, void> {
    const { source } = sweep;
    let turn = 0;
    let foreign = 0;
    for (const facts of reading.items) {
      if (++turn % policy.turnSize === 0) yield;
      const row = serviceRow(facts);
      const ip = row.service?.ip ?? facts.ip ?? null;
      if (!source.own && !speaksFor(source, ip)) {
        foreign++;
        continue;
      }
      if (row.source !== source) adopt(row, source, 'services');
      row.seq = source.seq;
      row.readAt = facts.readAt;
      if (!row.counting && row.facts !== null && isSameService(row.facts, facts)) continue;
      row.facts = facts;
      row.counting = false;
      settleService(row, facts, sweep);
    }
    if (foreign > 0)
      report({
        subject: source.name,
        code: 'ER0233',
        message: `${source.name} spoke of ${foreign} services that are not on its ips; not believed`,
      });
    if (reading.complete) source.completeAt.services = reading.readAt;
  }

  function settleService(row: ServiceRow, facts: ServiceFacts, sweep: Sweep): void {
    const derived = deriveService(facts, row.ladder?.rungs ?? FULL_LADDER);
    show(
      row,
      viewOf(row, derived, sweep.held, sweep.source, { mark: facts.runId ?? null, gone: false, raw: undefined }),
      undefined,
      sweep,
    );
  }

  function show(row: Row, view: View, kind: Change['kind'] | undefined, sweep: Sweep): void {
    const before = row.view;
    row.view = view;
    if (row.level === 'instances') {
      if (view.gone) gone.add(row);
      else gone.delete(row);
    }
    if (kind !== undefined) sweep.note(kind, row, before, view);
    else if (before === null || (before.gone && !view.gone) || before.source === null) sweep.note('appeared', row, before, view);
    else {
      if (before.ip !== view.ip) sweep.note('moved', row, before, view);
      if (differs(before, view)) sweep.note('changed', row, before, view);
    }
  }

  function adopt(row: Row, source: Source, level: Level): void {
    if (row.source) row.source.entities[level]--;
    source.entities[level]++;
    row.source = source;
    row.counting = true;
  }

  function instanceRow(facts: InstanceFacts): InstanceRow {
    const id = facts.id ?? `wanted/${facts.ip ?? ''}`;
    let rows = byId.get(facts.cloud);
    if (!rows) byId.set(facts.cloud, (rows = new Map()));
    let row = rows.get(id);
    if (!row) {
      rows.set(id, (row = newInstanceRow(facts.cloud, id)));
      size++;
    }
    return row;
  }

  function serviceRow(facts: ServiceFacts): ServiceRow {
    let row = services.get(facts.name);
    if (!row) {
      services.set(facts.name, (row = newServiceRow(facts.name, null, options.ladders?.get(facts.mode ?? ''))));
      size++;
    }
    return row;
  }

  function* rowsOf(level?: Level): Generator<Row> {
    if (level !== 'services') for (const rows of byId.values()) yield* rows.values();
    if (level !== 'instances') yield* services.values();
  }

  function find(key: EntityKey): Row | undefined {
    if (levelOf(key) === 'services') return services.get(key.slice('services/'.length));
    const start = 'instances/'.length;
    const end = key.indexOf('/', start);
    return byId.get(key.slice(start, end))?.get(key.slice(end + 1));
  }

  const see = (row: Row): View => (row.level === 'instances' ? seeInstance(row) : seeService(row));

  function seeInstance(row: InstanceRow): View {
    const seenSince = row.source?.seenSince ?? row.view?.seenSince;
    const view = row.view ?? viewOf(row, UNKNOWN_INSTANCE, createHeldSince(), null, { mark: null, gone: false, raw: undefined });
    if (view.readAt === row.readAt && (seenSince === undefined || view.seenSince === seenSince)) return view;
    return (row.view = { ...view, readAt: row.readAt, seenSince: seenSince ?? view.seenSince });
  }

  function seeService(row: ServiceRow): View {
    const view = row.view ?? unseenService(row);
    const unmet = unmetOf(row, view);
    const hostLost = view.ip !== null && hostIsLost(atIp(view.ip), hasRead('instances'));
    const seenSince = row.source?.seenSince ?? view.seenSince;
    const isCurrent =
      row.view !== null &&
      view.readAt === row.readAt &&
      view.hostLost === hostLost &&
      view.seenSince === seenSince &&
      view.unmet.join() === unmet.join();
    return isCurrent ? view : (row.view = { ...view, readAt: row.readAt, seenSince, unmet, hostLost });
  }

  const unseenService = (row: ServiceRow): View =>
    viewOf(row, UNKNOWN_SERVICE, createHeldSince(), null, { mark: null, gone: false, raw: undefined });

  function unmetOf(row: ServiceRow, view: View): readonly string[] {
    if (!row.service || !row.ladder?.needs) return NO_NEEDS;
    const next = row.ladder.rungs.find((rung) => !view.holds.has(rung));
    if (next === undefined) return NO_NEEDS;
    return row.ladder.needs(row.service, next).filter((key) => !find(key)?.view?.holds.has('running'));
  }

  function atIp(ip: Ip): View | 'none' | 'conflict' {
    const tenant = book.at(ip);
    return typeof tenant === 'string' ? tenant : see(tenant);
  }

  function serviceAtIp(ip: Ip): View | undefined {
    const here = [...services.values()].filter((row) => row.service?.ip === ip);
    return here.length === 1 && here[0] ? see(here[0]) : undefined;
  }

  function get(key: EntityKey): View | undefined {
    const wanted = wantedOf(key);
    if (!wanted) {
      const row = find(key);
      return row && see(row);
    }
    const here = atIp(wanted.ip);
    return typeof here === 'string' ? undefined : here;
  }

  function look(level: Level, subject: Subject): View | undefined {
    if ('key' in subject) return get(subject.key);
    if (level === 'services') return serviceAtIp(subject.ip);
    const here = atIp(subject.ip);
    return typeof here === 'string' ? undefined : here;
  }

  function hasRead(level: Level, name?: string): boolean {
    if (name !== undefined) return sources.get(name)?.completeAt[level] != null;
    for (const source of sources.values()) if (source.completeAt[level] !== null) return true;
    return false;
  }

  return {
    applying,
    apply: (beat, now) => finish(applying(beat, now)),
    blind(name, now, everyMs) {
      sourceOf(name, now, { everyMs }).blind = true;
    },
    elapse(now) {
      const changes: Change[] = [];
      for (const source of sources.values()) {
        if (!isOverdue(source, now, policy)) continue;
        source.silent = true;
        const sweep = new Sweep(source, now, `${source.epoch}:${source.seq}:silent`);
        for (const row of rowsOf())
          if (row.source === source && row.view && !row.view.gone && row.view.state !== 'unknown') {
            row.counting = true;
            const reason = `${source.name} has been silent for ${Math.round((now - source.heardAt) / 1000)} s`;
            const unknown = row.level === 'instances' ? UNKNOWN_INSTANCE : UNKNOWN_SERVICE;
            show(
              row,
              viewOf(row, { ...unknown, reason }, sweep.held, source, { mark: row.view.mark, gone: false, raw: row.view.raw }),
              'silent',
              sweep,
            );
          }
        changes.push(...sweep.changes);
      }
      return changes;
    },
    get,
    atIp,
    look,
    *views(level) {
      for (const row of rowsOf(level)) yield see(row);
    },
    get size() {
      return size;
    },
    isBlind: (view) => view.source !== null && sources.get(view.source)?.blind === true,
    hasRead,
    readAt(level) {
      let latest: Instant | null = null;
      for (const { completeAt, blind } of sources.values()) {
        const at = completeAt[level];
        if (!blind && at !== null && (latest === null || at > latest)) latest = at;
      }
      return latest;
    },
    forget(now, isWatched) {
      const forgotten: EntityKey[] = [];
      for (const row of gone) {
        if (!row.view || now - row.view.since < policy.retainMs || isWatched(row.view.key)) continue;
        gone.delete(row);
        book.strike(row);
        if (row.source) row.source.entities.instances--;
        byId.get(row.cloud)?.delete(row.name);
        size--;
        forgotten.push(row.view.key);
      }
      return forgotten;
    },
  };
}

/** One heartbeat being taken in: who speaks, and what has changed so far. */
class Sweep {
  readonly changes: Change[] = [];
  readonly held = createHeldSince();
  readonly source: Source;
  readonly now: Instant;
  readonly #id: string;

  constructor(source: Source, now: Instant, id: string) {
    this.source = source;
    this.now = now;
    this.#id = id;
  }

  note(kind: Change['kind'], row: Row, from: View | null, to: View): void {
    const n = this.changes.length;
    this.changes.push({
      id: `${this.#id}:${row.key}:${n}`,
      kind,
      key: row.key,
      at: this.now,
      source: this.source.name,
      from,
      to,
    });
  }
}

const NO_NEEDS: readonly string[] = [];

/** Whether a doctor would want to know. */
const differs = (before: View, after: View): boolean =>
  before.state !== after.state ||
  before.code !== after.code ||
  before.holds !== after.holds ||
  before.role !== after.role ||
  before.mark !== after.mark ||
  before.reason !== after.reason;

function newInstanceRow(cloud: string, id: string): InstanceRow {
  const key = id.startsWith('wanted/') ? wantedKey(cloud, id.slice('wanted/'.length) as Ip) : instanceKey(cloud, id);
  return {
    level: 'instances',
    key,
    cloud,
    name: id,
    source: null,
    facts: null,
    hint: null,
    view: null,
    readAt: NEVER,
    seq: -1,
    missed: 0,
    sshMisses: 0,
    wasUp: false,
    counting: true,
    ip: null,
    reported: false,
  };
}

const newServiceRow = (name: string, service: Service | null, ladder: Ladder | undefined): ServiceRow => ({
  level: 'services',
  key: serviceKey(name),
  name,
  service,
  ladder: ladder ?? null,
  source: null,
  facts: null,
  view: null,
  readAt: NEVER,
  seq: -1,
  counting: true,
});

const NEVER = Number.NEGATIVE_INFINITY as Instant;

function finish<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
