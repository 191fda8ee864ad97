import type { Store } from '../src/contracts.ts';
import { FleetError } from '../src/errors.ts';
import { type Entry, frame, isCounter, VERSIONS_PER_MS } from './journaled/entry.ts';
import { createJournal } from './journaled/journal.ts';
import { createMembership, type Outcome, type Term } from './journaled/membership.ts';
import { type Found, look } from './journaled/publication.ts';
import { createSightings } from './journaled/sightings.ts';

export interface JournaledOptions {
  /**
   * How long the end of a key (deleted, or written with a ttl) is remembered, so that nobody who knows an older value of it
   * brings it back, in milliseconds. As long as the longest ttl that ends something, or longer. Default a day.
   */
  readonly keepMs?: number;
  /**
   * How long after a loss all operations wait, so that every process has published what it knows before anybody takes what
   * seems to be free, in milliseconds; the same for all processes. Also how long the very first operation on an empty shared
   * store takes. Default 1000.
   */
  readonly settleMs?: number;
  /** The clock of versions, in milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number;
}

/** A store that can tell that it was lost, and is whole again. */
export interface JournaledStore extends Store {
  /** Calls the listener after each loss, once what was owed is published again. @returns a function that ends this */
  onLost(listener: (reason: string) => void): () => void;
}

/** What is to stand under a key; null for nothing. */
type Next = { readonly text: string; readonly ttlMs: number | undefined } | null;
/** What is to be put in place of what was found; undefined leaves it. */
type Decide = (text: string | null) => Next | undefined;

const DAY_MS = 24 * 60 * 60 * 1000;
/** How often a value that others write anew is read again. */
const ATTEMPTS = 100;
/** What the keys of this adapter in the shared store begin with. */
const RESERVED = 'journaled:';

/**
 * A shared store that forgets, such as memcached, made safe by a durable journal on each host: whoever writes a value without a
 * ttl keeps it in its own journal until it is deleted or written with one. A restarted or flushed shared store is noticed before
 * any answer of it is believed; what is owed is then published again, and counters go on above all numbers that they had given.
 * Every process must use the shared store so, with a prefix of its own there; the processes of one host may share a journal.
 *
 * What it cannot promise: what had a ttl from the start is lost with the shared store. What only one host knew is missing as
 * long as that host is away, and what only it knew to have ended may begin again. A process that is frozen for longer than
 * `settleMs` after a loss may find a key taken that it holds. What the shared store evicts counts as deleted: run memcached
 * dedicated and with `-M`.
 *
 * @param shared where all processes meet
 * @param journal a durable store of this host; closed with this one
 * @throws FleetError ER0230 for an option that cannot be used; ER0228 where the shared store or the journal fails (then whether
 * a write took effect is unknown), holds what no journaled store has written, or was lost again and again
 * @example
 * ```ts
 * const store = journaled(memcached({ servers: '127.0.0.1:11211' }), sqlite('/var/lib/fleetbeat/journal.db'));
 * store.onLost((reason) => console.warn(reason));
 * ```
 */
export function journaled(shared: Store, journal: Store, options: JournaledOptions = {}): JournaledStore {
  const { keepMs = DAY_MS, settleMs = 1000, now = Date.now } = options;
  for (const [name, value] of Object.entries({ keepMs, settleMs })) {
    if (Number.isFinite(value) && value > 0) continue;
    throw new FleetError('ER0230', `the option ${name} of journaled is ${value}, but must be a positive number of milliseconds`);
  }
  const log = createJournal(journal, keepMs);
  const sightings = createSightings();
  const { ask, onLost, end } = createMembership({ shared, journal: log, sightings, keepMs, settleMs, now });
  let version = 0;

  /** Higher than that of what it replaces, and than any that this process has given. */
  const versionAfter = (before: number): number => {
    version = Math.max(version, before, now() * VERSIONS_PER_MS - 1) + 1;
    return version;
  };

  /** What is under a key, with the text as everybody sees it. */
  async function see(key: string, { epoch, counters }: Term): Promise<Found & { readonly text: string | null }> {
    const found = await look(shared, epoch, key);
    const { raw, entry } = found;
    if (raw !== null && isCounter(raw)) return { ...found, text: String(await counters.numberOf(key, raw, epoch)) };
    return { ...found, text: entry === null || entry.kind === 'deleted' ? null : entry.text };
  }

  async function tryToGet(key: string, term: Term): Promise<Outcome<string | null>> {
    const known = Math.max(log.keeps(key) ?? 0, sightings.keeps(key) ?? 0);
    const { text, entry, raw } = await see(key, term);
    const isGone = raw === null && known > 0;
    const later: Entry | null = isGone ? { kind: 'deleted', version: known + 1, text: '' } : entry;
    if (later === null) return { answer: text };
    return {
      answer: text,
      async note() {
        sightings.note(key, later);
        await log.update(key, later);
      },
    };
  }

  async function tryToChange(key: string, decide: Decide, term: Term): Promise<Outcome<boolean>> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { raw, entry: before, text } = await see(key, term);
      const next = decide(text);
      if (next === undefined) return { answer: false };
      const isOwed = before?.kind === 'kept' || log.keeps(key) !== undefined;
      const entry = entryOf(next, versionAfter(before?.version ?? 0));
      if (!(await replace(key, raw, next === null ? null : frame(term.epoch.id, entry), entry.ttlMs))) continue;
      return { answer: true, ...((isOwed || entry.kind === 'kept') && { written: { key, entry } }) };
    }
    throw new FleetError('ER0228', `key ${JSON.stringify(key)} was written anew at each of ${ATTEMPTS} tries to change it`, {
      retryable: true,
    });
  }

  const replace = (key: string, raw: string | null, next: string | null, ttlMs: number | undefined): Promise<boolean> =>
    raw === null ? shared.add(key, next ?? '', ttlMs) : shared.swap(key, raw, next, ttlMs);

  const change = (key: string, decide: Decide) => ask((term) => tryToChange(named(key), decide, term));

  return {
    get: (key) => ask((term) => tryToGet(named(key), term)),
    async set(key, value, ttlMs) {
      await change(key, () => ({ text: value, ttlMs }));
    },
    add: (key, value, ttlMs) => change(key, (found) => (found === null ? { text: value, ttlMs } : undefined)),
    swap: (key, expected, next, ttlMs) =>
      change(key, (found) => {
        if (found !== expected) return undefined;
        return next === null ? null : { text: next, ttlMs };
      }),
    delete: (key) => change(key, (found) => (found === null ? undefined : null)),
    increment: (key) => ask(async ({ epoch, counters }) => ({ answer: await counters.increment(named(key), epoch) })),
    async close() {
      end();
      await shared.close?.();
      await journal.close?.();
    },
    onLost,
  };
}

const named = (key: string): string => (key.startsWith(RESERVED) ? `${RESERVED}key:${key}` : key);

function entryOf(next: Next, version: number): Entry {
  if (next === null) return { kind: 'deleted', version, text: '' };
  const { text, ttlMs } = next;
  return ttlMs === undefined ? { kind: 'kept', version, text } : { kind: 'passing', version, text, ttlMs };
}
