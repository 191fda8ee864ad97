import type { Entry } from './entry.ts';

/** What this process has last seen of keys, also of those that others keep: after a loss it can publish for them. */
export interface Sightings {
  note(key: string, entry: Entry): void;
  /** The version of it, unless it was seen to have ended. */
  keeps(key: string): number | undefined;
  /** The entries with those put in place, or added, that were seen later. */
  over(entries: ReadonlyMap<string, Entry>): ReadonlyMap<string, Entry>;
}

/** Beyond so many keys the one that was not seen for longest is forgotten. */
const LIMIT = 10_000;

export function createSightings(): Sightings {
  const seen = new Map<string, Entry>();
  return {
    note(key, entry) {
      const before = seen.get(key);
      if (entry.kind !== 'kept' && before === undefined) return;
      if (before !== undefined && before.version > entry.version) return;
      seen.delete(key);
      seen.set(key, entry.kind === 'kept' ? entry : { ...entry, text: '' });
      for (const oldest of seen.keys()) {
        if (seen.size <= LIMIT) break;
        seen.delete(oldest);
      }
    },
    keeps(key) {
      const entry = seen.get(key);
      return entry?.kind === 'kept' ? entry.version : undefined;
    },
    over(entries) {
      const merged = new Map(entries);
      for (const [key, entry] of seen) {
        const known = merged.get(key);
        if (known !== undefined && known.version >= entry.version) continue;
        // The end of it was seen, but not kept: whoever has written it publishes it.
        if (entry.kind === 'kept') merged.set(key, entry);
        else merged.delete(key);
      }
      return merged;
    },
  };
}
