import type { Instant } from './identity.ts';

/** On whose behalf a provider is called: nobody's in particular, somebody's who waits, an action's, or a person's. */
export type Caller = 'beat' | 'waiting' | 'action' | 'person';

/** One request to a provider's API, as its invoice counts it. */
export interface ApiCall {
  /** The driver's name. */
  readonly driver: string;
  /** In the provider's words, such as `DescribeInstances` or `GET /servers/detail`: no ids, no secrets. */
  readonly verb: string;
  readonly caller: Caller;
  readonly outcome: 'ok' | 'refused' | 'throttled' | 'failed';
  /** Whether it repeats a request that was throttled or failed. */
  readonly isRetry: boolean;
}

/** How many calls of one kind there were, whatever came of them, and how many of them came to what. */
export interface Tally {
  readonly calls: number;
  readonly refused: number;
  readonly throttled: number;
  readonly failed: number;
  readonly retries: number;
}

/** The calls of one kind in one hour. */
export interface Entry extends Tally, Pick<ApiCall, 'driver' | 'verb' | 'caller'> {
  /** When the hour began. */
  readonly hour: Instant;
}

/** What one call costs, by driver and verb; `*` is any other verb of that driver. */
export type Prices = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** The calls of one driver, verb and caller. */
export interface BillLine extends Tally, Pick<ApiCall, 'driver' | 'verb' | 'caller'> {
  /** 0 where the verb has no price. */
  readonly cost: number;
}

/** What providers were asked, and what that costs. */
export interface Bill {
  readonly since: Instant;
  readonly until: Instant;
  /** The most calls first. */
  readonly lines: readonly BillLine[];
  readonly calls: number;
  readonly cost: number;
  readonly currency: string;
  /** What it comes to where it goes on as in the last 24 hours, or in as many as there are. */
  readonly forecast: { readonly callsPerDay: number; readonly costPerDay: number; readonly costPer30Days: number };
}

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

export const hourOf = (at: Instant): Instant => (Math.floor(at / HOUR_MS) * HOUR_MS) as Instant;

const NOTHING: Tally = { calls: 0, refused: 0, throttled: 0, failed: 0, retries: 0 };

export const add = (a: Tally, b: Tally): Tally => ({
  calls: a.calls + b.calls,
  refused: a.refused + b.refused,
  throttled: a.throttled + b.throttled,
  failed: a.failed + b.failed,
  retries: a.retries + b.retries,
});

export const tallyOf = ({ outcome, isRetry }: ApiCall): Tally => ({
  ...NOTHING,
  calls: 1,
  ...(outcome !== 'ok' && { [outcome]: 1 }),
  retries: isRetry ? 1 : 0,
});

/** Puts entries of one kind and hour together. */
export function merged(entries: Iterable<Entry>): readonly Entry[] {
  const byKind = new Map<string, Entry>();
  for (const entry of entries) {
    const kind = JSON.stringify([entry.hour, entry.driver, entry.verb, entry.caller]);
    const known = byKind.get(kind);
    byKind.set(kind, known ? { ...known, ...add(known, entry) } : entry);
  }
  return [...byKind.values()];
}

/** Makes a bill of what was called in the hours from `since` on; `now` ends the last of them. */
export function billOf(
  entries: readonly Entry[],
  {
    since,
    now,
    prices,
    currency,
  }: { readonly since: Instant; readonly now: Instant; readonly prices: Prices; readonly currency: string },
): Bill {
  const counted = entries.filter(({ hour }) => hour + HOUR_MS > since && hour <= now);
  const lines = new Map<string, BillLine>();
  for (const entry of counted) {
    const { driver, verb, caller } = entry;
    const kind = JSON.stringify([driver, verb, caller]);
    const tally = add(lines.get(kind) ?? NOTHING, entry);
    lines.set(kind, { driver, verb, caller, ...tally, cost: tally.calls * priceOf(prices, driver, verb) });
  }
  const sorted = [...lines.values()].sort((a, b) => b.calls - a.calls || (a.verb < b.verb ? -1 : 1));
  const calls = sum(sorted, (line) => line.calls);
  const cost = sum(sorted, (line) => line.cost);
  return { since, until: now, lines: sorted, calls, cost, currency, forecast: forecastOf(entries, now, prices) };
}

function forecastOf(entries: readonly Entry[], now: Instant, prices: Prices): Bill['forecast'] {
  const recent = entries.filter(({ hour }) => hour > now - DAY_MS && hour <= now);
  const first = recent.reduce((least, { hour }) => Math.min(least, hour), Number.POSITIVE_INFINITY);
  const days = recent.length === 0 ? 1 : Math.min(1, Math.max(now - first, HOUR_MS) / DAY_MS);
  const callsPerDay = sum(recent, ({ calls }) => calls) / days;
  const costPerDay = sum(recent, ({ driver, verb, calls }) => calls * priceOf(prices, driver, verb)) / days;
  return { callsPerDay: Math.round(callsPerDay), costPerDay, costPer30Days: costPerDay * 30 };
}

function priceOf(prices: Prices, driver: string, verb: string): number {
  const own = Object.hasOwn(prices, driver) ? prices[driver] : undefined;
  if (!own) return 0;
  return (Object.hasOwn(own, verb) ? own[verb] : own['*']) ?? 0;
}

const sum = <T>(list: readonly T[], of: (one: T) => number): number => list.reduce((total, one) => total + of(one), 0);
