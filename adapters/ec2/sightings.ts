import type { Ip } from '../../src/domain/identity.ts';
import type { Described } from './instances.ts';
import { isLive } from './states.ts';

/** What was seen last of the account's instances: it leads from an ip to an id without a read. */
export interface Sightings {
  /** All there are were read, from `at` on. */
  replace(all: readonly Described[], at: number): void;
  /** Some were read. */
  merge(some: readonly Described[], at: number): void;
  /** This driver has launched it; a read may not show it yet. */
  launched(one: Described, at: number): void;
  /** The live ones that have the ip by what was seen since `since`. */
  at(ip: Ip, since: number): readonly Described[];
  /** Whether all were read since then, so that an ip nobody was seen with is nobody's. */
  isWhole(since: number): boolean;
  /** Whether the id was seen alive since then. */
  wasAlive(id: string, since: number): boolean;
}

interface Sighting {
  readonly one: Described;
  readonly seenAt: number;
  /** Its own, or where it shows none (a stopped one may not) the one that it showed last. */
  readonly ip: Ip | null;
}

/** How long EC2 may take to show what it has launched. */
const LAUNCH_SHOWS_MS = 60_000;

export function createSightings(): Sightings {
  let byId = new Map<string, Sighting>();
  let byIp = new Map<Ip, Set<string>>();
  let launches: readonly { readonly one: Described; readonly launchedAt: number }[] = [];
  let wholeAt = Number.NEGATIVE_INFINITY;

  function note(one: Described, seenAt: number, before: ReadonlyMap<string, Sighting>): void {
    const ip = one.ip ?? (isLive(one.power.state) ? (before.get(one.id)?.ip ?? null) : null);
    byId.set(one.id, { one, seenAt, ip });
    if (ip === null) return;
    const ids = byIp.get(ip);
    if (ids) ids.add(one.id);
    else byIp.set(ip, new Set([one.id]));
  }

  return {
    replace(all, at) {
      const before = byId;
      byId = new Map();
      byIp = new Map();
      wholeAt = at;
      launches = launches.filter(({ launchedAt }) => launchedAt > at - LAUNCH_SHOWS_MS);
      for (const { one, launchedAt } of launches) note(one, launchedAt, before);
      for (const one of all) note(one, at, before);
    },
    merge(some, at) {
      for (const one of some) note(one, at, byId);
    },
    launched(one, at) {
      launches = [...launches.filter(({ launchedAt }) => launchedAt > at - LAUNCH_SHOWS_MS), { one, launchedAt: at }];
      note(one, at, byId);
    },
    at(ip, since) {
      const seen = [...(byIp.get(ip) ?? [])].flatMap((id) => byId.get(id) ?? []);
      const live = seen.filter((sighting) => sighting.ip === ip && sighting.seenAt >= since && isLive(sighting.one.power.state));
      const showing = live.filter(({ one }) => one.ip === ip);
      return (showing.length > 0 ? showing : live).map(({ one }) => one);
    },
    isWhole: (since) => wholeAt >= since,
    wasAlive(id, since) {
      const { one, seenAt } = byId.get(id) ?? {};
      return one !== undefined && seenAt !== undefined && seenAt >= since && isLive(one.power.state);
    },
  };
}
