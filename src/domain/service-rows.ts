import { deriveService, FULL_LADDER, UNKNOWN_SERVICE } from './derive.ts';
import type { Reading } from './heartbeat.ts';
import { type EntityKey, type Instant, type Ip, serviceKey } from './identity.ts';
import type { Policy } from './policy.ts';
import { adopt, believe, isSameService, type Ladder, NEVER, recalled, type ServiceRow, unseen, viewOf } from './row.ts';
import { SERVICE_RUNGS, type Service, type ServiceFacts } from './service.ts';
import { noteComplete, type Source, speaksFor } from './source.ts';
import type { Sweep } from './sweep.ts';
import type { View } from './view.ts';

/** The services of an inventory: configured ones are there from the start, others when somebody reports them. */
export interface ServiceRows {
  readonly size: number;
  /** Takes a reading in; yields after each turn's worth of entities. @returns how many were outside the source's authority */
  take(reading: Reading<ServiceFacts>, sweep: Sweep): Generator<void, number>;
  /** Puts a service that nobody has seen since the start where it was. */
  recall(view: View, source: Source): void;
  /** Nobody sees the entities of a source any more. */
  lose(sweep: Sweep, reason: string): void;
  get(name: string): View | undefined;
  /** Whether what is believed of a service is only recalled. */
  isUnread(name: string): boolean;
  /** The service at an ip, where it is the only one there. */
  atIp(ip: Ip): View | undefined;
  views(): Generator<View>;
}

export function createServiceRows(options: {
  readonly services: readonly Service[];
  readonly ladders: ReadonlyMap<string, Ladder>;
  readonly policy: Pick<Policy, 'turnSize'>;
  /** Whether the instance at an ip is known not to run. */
  readonly isHostLost: (ip: Ip) => boolean;
  /** Whether an entity runs. */
  readonly isRunning: (key: EntityKey) => boolean;
}): ServiceRows {
  const { policy } = options;
  const rows = new Map<string, ServiceRow>();
  const unread = new Set<ServiceRow>();
  const alike = new Map<string, Holds>();
  for (const service of options.services)
    rows.set(service.name, newRow(service.name, service, options.ladders.get(service.mode)));

  function* take(reading: Reading<ServiceFacts>, sweep: Sweep): Generator<void, number> {
    const { source } = sweep;
    let turn = 0;
    let foreign = 0;
    for (const facts of reading.items) {
      if (++turn % policy.turnSize === 0) yield;
      const ip = rows.get(facts.name)?.service?.ip ?? facts.ip ?? null;
      if (!source.own && !speaksFor(source, ip)) {
        foreign++;
        continue;
      }
      const row = rowOf(facts);
      if (isOutdated(row, facts, source)) continue;
      const isKnown = row.source === source && !row.counting && row.facts !== null && isSameService(row.facts, facts);
      if (isKnown) row.readAt = later(row.readAt, facts.readAt);
      else settle(row, facts, sweep);
    }
    if (reading.complete) noteComplete(source, 'services', reading.readAt);
    return foreign;
  }

  /** What another source has read later is not replaced: heartbeats overtake each other on their way. One source's are in order. */
  const isOutdated = (row: ServiceRow, facts: ServiceFacts, source: Source): boolean =>
    row.source !== source && facts.readAt < row.readAt;

  function settle(row: ServiceRow, facts: ServiceFacts, sweep: Sweep): void {
    const before = see(row);
    unread.delete(row);
    if (row.source !== sweep.source) adopt(row, sweep.source);
    row.readAt = later(row.readAt, facts.readAt);
    row.facts = { ...facts, name: row.name, holds: shared(facts.holds) };
    row.counting = false;
    row.belief = believe(row, deriveService(facts, row.ladder?.rungs ?? FULL_LADDER), sweep, {
      ip: row.service?.ip ?? facts.ip ?? null,
      raw: null,
      role: facts.role ?? row.service?.status ?? null,
      ...(facts.following && { following: facts.following }),
      mark: facts.runId ?? null,
      gone: false,
    });
    sweep.compare(before, see(row));
  }

  /** There are few ways to hold a ladder's rungs; services that are alike in it share one. */
  function shared(holds: Holds): Holds {
    const text = SERVICE_RUNGS.map((rung) => holds[rung]).join();
    const known = alike.get(text);
    if (!known) alike.set(text, holds);
    return known ?? holds;
  }

  function rowOf(facts: ServiceFacts): ServiceRow {
    let row = rows.get(facts.name);
    if (!row) {
      row = newRow(facts.name, null, options.ladders.get(facts.mode ?? ''));
      rows.set(facts.name, row);
    }
    return row;
  }

  function see(row: ServiceRow): View {
    const { ip } = row.belief;
    return viewOf(row, { unmet: unmetOf(row), hostLost: ip !== null && options.isHostLost(ip) });
  }

  function unmetOf({ service, ladder, belief }: ServiceRow): readonly string[] {
    if (!service || !ladder?.needs) return NO_NEEDS;
    const next = ladder.rungs.find((rung) => !belief.derived.holds.has(rung));
    if (next === undefined) return NO_NEEDS;
    return ladder.needs(service, next).filter((key) => !options.isRunning(key));
  }

  return {
    get size() {
      return rows.size;
    },
    take,
    recall(view, source) {
      const row = rows.get(view.name);
      if (!row || row.source !== null) return;
      adopt(row, source);
      row.readAt = view.readAt;
      row.belief = { ...recalled(view), ip: row.belief.ip };
      unread.add(row);
    },
    lose(sweep, reason) {
      const lost = { ...UNKNOWN_SERVICE, reason };
      for (const row of rows.values()) {
        if (row.source !== sweep.source || row.belief.derived.code === lost.code) continue;
        const before = see(row);
        unread.delete(row);
        row.counting = true;
        const { following: _, ...rest } = row.belief;
        row.belief = believe(row, lost, sweep, { ...rest, raw: null });
        sweep.note('silent', before, see(row));
      }
    },
    get(name) {
      const row = rows.get(name);
      return row && see(row);
    },
    isUnread(name) {
      const row = rows.get(name);
      return row !== undefined && unread.has(row);
    },
    atIp(ip) {
      const here = [...rows.values()].filter((row) => row.service?.ip === ip);
      return here.length === 1 && here[0] ? see(here[0]) : undefined;
    },
    *views() {
      for (const row of rows.values()) yield see(row);
    },
  };
}

type Holds = ServiceFacts['holds'];

const NO_NEEDS: readonly string[] = [];

const later = (a: Instant, b: Instant): Instant => Math.max(a, b) as Instant;

const newRow = (name: string, service: Service | null, ladder: Ladder | undefined): ServiceRow => ({
  level: 'services',
  key: serviceKey(name),
  name,
  service,
  ladder: ladder ?? null,
  source: null,
  facts: null,
  belief: unseen(UNKNOWN_SERVICE, service?.ip ?? null, service?.status ?? null),
  readAt: NEVER,
  counting: true,
});
