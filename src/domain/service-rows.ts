import { createHeldSince, deriveService, FULL_LADDER, UNKNOWN_SERVICE } from './derive.ts';
import type { Reading } from './heartbeat.ts';
import { type EntityKey, type Instant, type Ip, serviceKey } from './identity.ts';
import type { Policy } from './policy.ts';
import { adopt, isSameService, type Ladder, NEVER, type ServiceRow, viewOf } from './row.ts';
import type { Service, ServiceFacts } from './service.ts';
import { speaksFor } from './source.ts';
import type { Sweep } from './sweep.ts';
import type { View } from './view.ts';

/** The services of an inventory: configured ones are there from the start, others when somebody reports them. */
export interface ServiceRows {
  readonly size: number;
  /** Takes a reading in; yields after each turn's worth of entities. @returns how many were outside the source's authority */
  take(reading: Reading<ServiceFacts>, sweep: Sweep): Generator<void, number>;
  /** Nobody sees the entities of a source any more. */
  lose(sweep: Sweep, reason: string): void;
  get(name: string): View | undefined;
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
      if (row.source !== source) adopt(row, source);
      row.readAt = Math.max(row.readAt, facts.readAt) as Instant;
      if (!row.counting && row.facts !== null && isSameService(row.facts, facts)) continue;
      row.facts = facts;
      row.counting = false;
      const derived = deriveService(facts, row.ladder?.rungs ?? FULL_LADDER);
      sweep.show(row, viewOf(row, derived, sweep, { mark: facts.runId ?? null, gone: false, raw: undefined }));
    }
    if (reading.complete) source.completeAt.services = reading.readAt;
    return foreign;
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
    const view = row.view ?? viewOf(row, UNKNOWN_SERVICE, UNSEEN, { mark: null, gone: false, raw: undefined });
    const unmet = unmetOf(row, view);
    const hostLost = view.ip !== null && options.isHostLost(view.ip);
    const seenSince = row.source?.seenSince ?? view.seenSince;
    const isCurrent =
      row.view === view &&
      view.readAt === row.readAt &&
      view.seenSince === seenSince &&
      view.hostLost === hostLost &&
      view.unmet.join() === unmet.join();
    if (isCurrent) return view;
    const seen = { ...view, readAt: row.readAt, seenSince, hostLost, unmet };
    row.view = seen;
    return seen;
  }

  function unmetOf(row: ServiceRow, view: View): readonly string[] {
    if (!row.service || !row.ladder?.needs) return NO_NEEDS;
    const next = row.ladder.rungs.find((rung) => !view.holds.has(rung));
    if (next === undefined) return NO_NEEDS;
    return row.ladder.needs(row.service, next).filter((key) => !options.isRunning(key));
  }

  return {
    get size() {
      return rows.size;
    },
    take,
    lose(sweep, reason) {
      for (const row of rows.values()) {
        const { view } = row;
        if (row.source !== sweep.source || !view || view.state === 'unknown') continue;
        row.counting = true;
        sweep.show(
          row,
          viewOf(row, { ...UNKNOWN_SERVICE, reason }, sweep, { mark: view.mark, gone: false, raw: undefined }),
          'silent',
        );
      }
    },
    get(name) {
      const row = rows.get(name);
      return row && see(row);
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

const NO_NEEDS: readonly string[] = [];

const UNSEEN = { source: null, heldSince: createHeldSince() };

const newRow = (name: string, service: Service | null, ladder: Ladder | undefined): ServiceRow => ({
  level: 'services',
  key: serviceKey(name),
  name,
  service,
  ladder: ladder ?? null,
  source: null,
  facts: null,
  view: null,
  readAt: NEVER,
  counting: true,
});
