import type { Store } from './contracts.ts';
import type { Do } from './domain/command.ts';
import type { Instant } from './domain/identity.ts';
import type { Inventory } from './domain/inventory.ts';
import {
  isInForce,
  type Maintenance,
  type MaintenanceNews,
  type MaintenanceRequest,
  type MaintenanceSubject,
  maintenanceText,
  subjectsMeant,
  subjectsTouched,
} from './domain/maintenance.ts';
import type { Policy } from './domain/policy.ts';
import type { Service } from './domain/service.ts';
import type { View } from './domain/view.ts';
import { FleetError } from './errors.ts';
import { createSharedRecord } from './shared-record.ts';

/** What is in maintenance, for all who share the store. */
export interface Maintenances {
  /** Takes in what others have begun or ended: one read, on each beat. */
  refresh(): Promise<void>;
  /** Tells what was begun, changed and ended since a leader told it last, whoever did it: once for all leaders, after a refresh. */
  tellNews(): Promise<void>;
  /** Why a verb has to wait, or null. */
  reasonAgainst(what: Do): string | null;
  /** @throws ER0203 for a word that means nothing or several things, ER0206 where it is another's, ER0222 for all else that is wrong */
  begin(request: MaintenanceRequest): Promise<Maintenance>;
  /** @throws ER0203, ER0205 where it is in no maintenance of its own */
  end(word: string): Promise<Maintenance>;
  list(): Promise<readonly Maintenance[]>;
}

interface MaintenanceRecord {
  readonly entries: readonly Maintenance[];
  /** Those of which it was told that they stand. */
  readonly told?: readonly Maintenance[];
}

const KEY = 'maintenance';
/** Well under the mebibyte that a memcached takes. */
const MOST_ENTRIES = 500;
/** Printed on terminals and in logs: one line each. */
const OWNER = /^[^\p{Cc}\p{Zl}\p{Zp}]{1,64}$/u;
const REASON = /^[^\p{Cc}\p{Zl}\p{Zp}]{1,200}$/u;

export function createMaintenances(
  store: Store,
  fleet: {
    readonly services: readonly Service[];
    readonly inventory: Pick<Inventory, 'get' | 'atIp' | 'views'>;
    /** The instances of the last heartbeat in the store: a fleet that only asks has read none. */
    readonly lastSeen: () => Promise<readonly View[]>;
    readonly policy: Pick<Policy, 'maintenanceMs' | 'maintenanceMaxMs'>;
    readonly now: () => Instant;
    readonly onNews: (news: MaintenanceNews) => void;
  },
): Maintenances {
  const { services, inventory, policy, now } = fleet;
  const record = createSharedRecord<MaintenanceRecord>(store, KEY, {
    none: { entries: [] },
    isRecord: (body) => 'entries' in body && Array.isArray(body.entries),
  });

  const inForce = ({ entries }: MaintenanceRecord): readonly Maintenance[] => entries.filter((entry) => isInForce(entry, now()));

  async function subjectOf(word: string): Promise<MaintenanceSubject> {
    const known = [...inventory.views('instances')];
    const instances = known.length > 0 ? known : (await fleet.lastSeen()).filter(({ level }) => level === 'instances');
    const meant = subjectsMeant(word, { services, instances });
    const [subject] = meant;
    if (subject === undefined) throw new FleetError('ER0203', `${JSON.stringify(word)} is unknown; ${allowedText(instances)}`);
    if (meant.length > 1) throw new FleetError('ER0203', `${word} is ambiguous; say which: ${meant.join(', ')}`);
    return subject;
  }

  function allowedText(instances: readonly View[]): string {
    const clusters = [...new Set(services.flatMap(({ cluster }) => cluster ?? []))];
    const names = [...clusters, ...services.map(({ name }) => name), ...instances.map(({ name }) => name)].slice(0, 20);
    return `allowed are all, an ip, a cluster, a service, an instance${names.length > 0 ? `: ${names.join(', ')}` : ''}`;
  }

  function msOf(forMs: number = policy.maintenanceMs): number {
    if (Number.isInteger(forMs) && forMs >= 1 && forMs <= policy.maintenanceMaxMs) return forMs;
    throw new FleetError('ER0222', `a maintenance of ${forMs} ms; allowed are 1 to ${policy.maintenanceMaxMs}`);
  }

  async function list(): Promise<readonly Maintenance[]> {
    await record.refresh();
    if (record.value === null) throw new FleetError('ER0237', `the record ${KEY} of the store was written by another version`);
    return inForce(record.value);
  }

  async function tellNews(): Promise<void> {
    if (record.value === null || newsIn(record.value, now()).length === 0) return;
    let news: readonly MaintenanceNews[] = [];
    await record.change((stored) => {
      news = newsIn(stored, now());
      return news.length > 0 ? { ...stored, told: inForce(stored) } : null;
    });
    for (const one of news) fleet.onNews(one);
  }

  return {
    refresh: record.refresh,
    tellNews,
    list,
    reasonAgainst(what) {
      const { value } = record;
      if (value === null) return 'the record of maintenance was written by another version, so nobody knows what is in it';
      if (value.entries.length === 0) return null;
      const entries = inForce(value);
      if (entries.length === 0) return null;
      const touched = subjectsTouched(what, { inventory, services });
      const holding = entries.filter(({ subject }) => touched.has(subject));
      const last = holding.reduce<Maintenance | null>(
        (latest, entry) => (latest && latest.expiresAt >= entry.expiresAt ? latest : entry),
        null,
      );
      return last && maintenanceText(last);
    },
    async begin({ subject: word, owner, reason, forMs }) {
      const subject = await subjectOf(word);
      if (!OWNER.test(owner)) throw new FleetError('ER0222', 'the owner of a maintenance is 1 to 64 characters of one line');
      if (!REASON.test(reason)) throw new FleetError('ER0222', 'the reason of a maintenance is 1 to 200 characters of one line');
      const ms = msOf(forMs);
      const since = now();
      const begun = (stored?: Maintenance): Maintenance => ({
        subject,
        owner,
        reason,
        since: stored?.since ?? since,
        expiresAt: (since + ms) as Instant,
      });
      const { entries } = await record.change((stored) => {
        const standing = inForce(stored);
        const own = standing.find((entry) => entry.subject === subject);
        if (own && own.owner !== owner)
          throw new FleetError('ER0206', `${maintenanceText(own)}; who takes it over ends that first`);
        if (!own && standing.length >= MOST_ENTRIES)
          throw new FleetError('ER0222', `more than ${MOST_ENTRIES} maintenances at once`);
        return { ...stored, entries: [...standing.filter((entry) => entry !== own), begun(own)] };
      });
      return entries.find((entry) => entry.subject === subject) ?? begun();
    },
    async end(word) {
      const known = record.value === null ? [] : record.value.entries.map((entry) => entry.subject as string);
      const subject = known.includes(word) ? (word as MaintenanceSubject) : await subjectOf(word);
      let ended: Maintenance | undefined;
      await record.change((stored) => {
        ended = inForce(stored).find((entry) => entry.subject === subject);
        return ended ? { ...stored, entries: inForce(stored).filter((entry) => entry.subject !== subject) } : null;
      });
      if (ended) return ended;
      const others = (await list()).map((entry) => entry.subject).slice(0, 20);
      throw new FleetError(
        'ER0205',
        `${subject} is in no maintenance of its own; in maintenance: ${others.join(', ') || 'nothing'}`,
      );
    },
  };
}

function newsIn({ entries, told = [] }: MaintenanceRecord, now: Instant): readonly MaintenanceNews[] {
  const of = (some: readonly Maintenance[], { subject }: Maintenance) => some.find((entry) => entry.subject === subject);
  const standing = entries.filter((entry) => isInForce(entry, now));
  const over = told.filter((entry) => !of(standing, entry));
  return [
    ...over.map((maintenance) => ({
      kind: isInForce(maintenance, now) ? ('ended' as const) : ('expired' as const),
      maintenance,
    })),
    ...standing.flatMap((maintenance): readonly MaintenanceNews[] => {
      const before = of(told, maintenance);
      if (before === undefined) return [{ kind: 'begun', maintenance }];
      return JSON.stringify(before) === JSON.stringify(maintenance) ? [] : [{ kind: 'changed', maintenance }];
    }),
  ];
}
