import type { Store } from './contracts.ts';
import {
  type ApiCall,
  type Bill,
  billOf,
  DAY_MS,
  type Entry,
  HOUR_MS,
  hourOf,
  merged,
  type Prices,
  tallyOf,
} from './domain/bill.ts';
import type { Spent } from './domain/budget.ts';
import type { Instant } from './domain/identity.ts';

/** What providers were asked, by whoever shares the store. */
export interface Ledger {
  note(call: ApiCall): void;
  /** Brings what was noted to the store, and learns what others have brought there; at most every `everyMs` unless it is said to be the last time. */
  post(isLast?: true): void;
  /** Resolves once what was posted is stored. */
  flush(): Promise<void>;
  /** What a driver has spent in this hour and on this day, as far as is known here. */
  spent(driver: string): Spent;
  bill(sinceMs: number): Promise<Bill>;
}

interface DayRecord {
  readonly version: 1;
  readonly entries: readonly Entry[];
}

const KEEP_MS = 40 * DAY_MS;
const dayOf = (at: number): number => Math.floor(at / DAY_MS);
const keyOf = (day: number): string => `bill:${day}`;

export function createLedger(
  store: Store,
  options: {
    readonly now: () => Instant;
    readonly everyMs: number;
    readonly prices: Prices;
    readonly currency: string;
    readonly onError: (error: unknown) => void;
  },
): Ledger {
  const { now } = options;
  let pending: Entry[] = [];
  let today: readonly Entry[] = [];
  let postedAt = Number.NEGATIVE_INFINITY;
  let writing: Promise<void> | null = null;

  async function write(): Promise<void> {
    const taken = merged(pending);
    pending = [];
    const days = new Set([dayOf(now()), ...taken.map(({ hour }) => dayOf(hour))]);
    for (const day of days) {
      const own = taken.filter(({ hour }) => dayOf(hour) === day);
      try {
        const entries = await mergeInto(day, own);
        if (day === dayOf(now())) today = entries;
      } catch (error) {
        // Whether the swap was made is not known; a bill that counts a few calls twice is worse than one that lacks them.
        options.onError(error);
      }
    }
  }

  async function mergeInto(day: number, own: readonly Entry[]): Promise<readonly Entry[]> {
    for (;;) {
      const text = await store.get(keyOf(day));
      const known = text === null ? [] : readDay(text);
      if (own.length === 0) return known;
      const entries = merged([...known, ...own]);
      const next = JSON.stringify({ version: 1, entries } satisfies DayRecord);
      const isWritten =
        text === null ? await store.add(keyOf(day), next, KEEP_MS) : await store.swap(keyOf(day), text, next, KEEP_MS);
      if (isWritten) return entries;
    }
  }

  function post(isLast?: true): void {
    if (writing !== null) return;
    if (!isLast && now() - postedAt < options.everyMs) return;
    if (isLast && pending.length === 0) return;
    postedAt = now();
    writing = write().finally(() => {
      writing = null;
    });
  }

  return {
    note(call) {
      const { driver, verb, caller } = call;
      pending.push({ hour: hourOf(now()), driver, verb, caller, ...tallyOf(call) });
      if (pending.length > COMPACT_AT) pending = [...merged(pending)];
    },
    post,
    async flush() {
      while (writing) await writing;
      post(true);
      while (writing) await writing;
    },
    spent(driver) {
      const hour = hourOf(now());
      const mine = [...today, ...pending].filter((entry) => entry.driver === driver && dayOf(entry.hour) === dayOf(hour));
      return {
        hour: mine.reduce((calls, entry) => calls + (entry.hour === hour ? entry.calls : 0), 0),
        day: mine.reduce((calls, entry) => calls + entry.calls, 0),
      };
    },
    async bill(sinceMs) {
      const until = now();
      const since = Math.max(0, until - sinceMs) as Instant;
      const first = Math.min(dayOf(since), dayOf(until - DAY_MS));
      const days = Array.from({ length: dayOf(until) - first + 1 }, (_, i) => first + i);
      const texts = await Promise.all(days.map((day) => store.get(keyOf(day))));
      const entries = merged([...texts.flatMap((text) => (text === null ? [] : readDay(text))), ...pending]);
      return billOf(entries, { since, now: until, prices: options.prices, currency: options.currency });
    },
  };
}

const COMPACT_AT = 1000;

/** The longest time that a bill can be about, in milliseconds. */
export const LONGEST_BILL_MS = KEEP_MS - DAY_MS;
export const SHORTEST_BILL_MS = HOUR_MS;

function readDay(text: string): readonly Entry[] {
  const record: unknown = JSON.parse(text);
  if (typeof record !== 'object' || record === null || !('version' in record) || record.version !== 1) return [];
  return 'entries' in record && Array.isArray(record.entries) ? (record.entries as readonly Entry[]) : [];
}
