import { createHash } from 'node:crypto';
import type { Store } from '../../src/contracts.ts';
import type { Entry } from './entry.ts';
import { inSlices } from './slices.ts';

/** What one host has written and still owes, in a store of its own, which several processes may use. */
export interface Journal {
  /** Writes an entry down unless a later one is there. What is not `kept` goes after `keepMs`. */
  put(key: string, entry: Entry): Promise<void>;
  /** Takes in what others have written to a key that is kept here. */
  update(key: string, entry: Entry): Promise<void>;
  /** The version that this process knows to be kept here, if any. */
  keeps(key: string): number | undefined;
  /** All entries, also those of other processes. */
  entries(): Promise<ReadonlyMap<string, Entry>>;
  state(): Promise<JournalState>;
  /** Ceilings only grow. */
  save(state: JournalState): Promise<void>;
}

export interface JournalState {
  /** The epoch in which everything was last seen to be published. */
  readonly epoch: string | null;
  /** No counter hands out a number up to its ceiling again. */
  readonly ceilings: ReadonlyMap<string, number>;
}

/** The keys of one part of the journal; a store cannot be scanned. The number makes each text another, so that a swap notices. */
interface Part {
  readonly revision: number;
  readonly keys: readonly string[];
}

const STATE = 'journal:state';
const PARTS = 64;
const partKey = (part: number): string => `journal:keys:${part}`;
const entryKey = (key: string): string => `journal:of:${key}`;
const partOf = (key: string): number => createHash('sha256').update(key, 'utf16le').digest().readUInt8() % PARTS;

export function createJournal(store: Store, keepMs: number): Journal {
  const kept = new Map<string, number>();
  /** Keys that this process has seen listed. */
  const listed = new Set<string>();

  /** @returns whether there was none before */
  async function write(key: string, entry: Entry): Promise<boolean> {
    const text = JSON.stringify(entry);
    const ttlMs = entry.kind === 'kept' ? undefined : Math.max(keepMs, entry.ttlMs ?? 0);
    for (;;) {
      const found = await store.get(entryKey(key));
      if (found === null) {
        if (await store.add(entryKey(key), text, ttlMs)) return true;
      } else if (entryOf(found).version >= entry.version || (await store.swap(entryKey(key), found, text, ttlMs))) return false;
    }
  }

  /** Also where it is listed already: whoever is about to take it off the list, for it had no entry, then notices. */
  async function list(key: string): Promise<void> {
    const part = partKey(partOf(key));
    for (;;) {
      const found = await store.get(part);
      const { revision, keys } = partIn(found);
      const text = JSON.stringify({ revision: revision + 1, keys: keys.includes(key) ? keys : [...keys, key] } satisfies Part);
      if (found === null ? await store.add(part, text) : await store.swap(part, found, text)) break;
    }
    listed.add(key);
  }

  async function entriesOf(part: number): Promise<readonly (readonly [string, Entry])[]> {
    const found = await store.get(partKey(part));
    const { revision, keys } = partIn(found);
    const texts = await Promise.all(keys.map((key) => store.get(entryKey(key))));
    const entries = keys.flatMap((key, i) => {
      const text = texts[i] ?? null;
      return text === null ? [] : [[key, entryOf(text)] as const];
    });
    if (found !== null && entries.length < keys.length) {
      const left = { revision: revision + 1, keys: entries.map(([key]) => key) } satisfies Part;
      await store.swap(partKey(part), found, JSON.stringify(left));
    }
    return entries;
  }

  async function put(key: string, entry: Entry): Promise<void> {
    const isNew = await write(key, entry);
    if (isNew || !listed.has(key)) await list(key);
    if (entry.kind === 'kept') kept.set(key, Math.max(entry.version, kept.get(key) ?? 0));
    else if (entry.version > (kept.get(key) ?? 0)) {
      kept.delete(key);
      listed.delete(key);
    }
  }

  return {
    put,
    async update(key, entry) {
      if (entry.version <= (kept.get(key) ?? Number.POSITIVE_INFINITY)) return;
      await put(key, entry.kind === 'passing' ? { ...entry, ttlMs: keepMs } : entry);
    },
    keeps: (key) => kept.get(key),
    async entries() {
      const parts = await inSlices(
        Array.from({ length: PARTS }, (_, part) => part),
        entriesOf,
      );
      const entries = new Map(parts.flat());
      for (const [key, { kind, version }] of entries) {
        if (kind !== 'kept') continue;
        kept.set(key, version);
        listed.add(key);
      }
      return entries;
    },
    async state() {
      return stateIn(await store.get(STATE));
    },
    async save({ epoch, ceilings }) {
      for (;;) {
        const found = await store.get(STATE);
        const text = JSON.stringify({ epoch, ceilings: [...highest(stateIn(found).ceilings, ceilings)] });
        if (found === text || (found === null ? await store.add(STATE, text) : await store.swap(STATE, found, text))) return;
      }
    },
  };
}

/** Of each name the higher number. */
export function highest(...all: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const merged = new Map<string, number>();
  for (const numbers of all) {
    for (const [name, number] of numbers) merged.set(name, Math.max(number, merged.get(name) ?? 0));
  }
  return merged;
}

const entryOf = (text: string): Entry => JSON.parse(text);

const partIn = (text: string | null): Part => (text === null ? { revision: 0, keys: [] } : JSON.parse(text));

function stateIn(text: string | null): JournalState {
  if (text === null) return { epoch: null, ceilings: new Map() };
  const { epoch, ceilings }: { readonly epoch: string | null; readonly ceilings: readonly (readonly [string, number])[] } =
    JSON.parse(text);
  return { epoch, ceilings: new Map(ceilings) };
}
