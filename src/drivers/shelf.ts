import type { Store } from '../contracts.ts';
import type { Reading } from '../domain/heartbeat.ts';
import type { Instant } from '../domain/identity.ts';
import type { InstanceFacts } from '../domain/instance.ts';

/** A reading as it stands in the store. */
export interface Shelved {
  /** Another one for every read of the provider. */
  readonly version: string;
  /** Dated by the clock of whoever looks: never later than when it was really read. */
  readonly reading: Reading<InstanceFacts>;
}

/** The last reading of one cloud, in the store. */
export interface Shelf {
  look(now: Instant): Promise<Shelved | null>;
  /** @param tookMs how long the read took */
  put(reading: Reading<InstanceFacts>, tookMs: number): Promise<Shelved>;
}

interface Manifest extends Omit<Reading<InstanceFacts>, 'items'> {
  readonly format: 1;
  readonly version: string;
  readonly pieces: number;
  readonly tookMs: number;
}

/** Well under the mebibyte that a memcached takes, with the item that exceeds it. */
const PIECE_CHARACTERS = 300_000;

export function createShelf(
  store: Store,
  driver: string,
  { skewMs, ttlMs }: { readonly skewMs: number; readonly ttlMs: number },
): Shelf {
  const manifestKey = `read:${driver}`;
  const pieceKey = (version: string, i: number): string => `read:${driver}:${version}:${i}`;
  let known: Shelved | null = null;
  /** When this process last looked and found an older reading: a newer one has been read since then. */
  let lookedAt: Instant | null = null;

  /**
   * When another process's reading was made, by our clock. Where we have been looking, it is at most as old as our last look says;
   * where we have not, its own date counts, less what clocks may differ.
   */
  function datedHere({ readAt, tookMs }: Manifest, now: Instant): Instant {
    const byLooking = lookedAt === null ? Number.NEGATIVE_INFINITY : lookedAt - tookMs;
    return Math.max(byLooking, Math.min(readAt, now) - skewMs) as Instant;
  }

  async function fetched(manifest: Manifest, now: Instant): Promise<Shelved | null> {
    const { version, pieces, format: _, tookMs: __, ...rest } = manifest;
    const texts = await Promise.all(Array.from({ length: pieces }, (_, i) => store.get(pieceKey(version, i))));
    const found = texts.map(parsed).filter((piece) => Array.isArray(piece)) as InstanceFacts[][];
    if (found.length < pieces) return null;
    const readAt = datedHere(manifest, now);
    return { version, reading: { ...rest, readAt, items: found.flat().map((facts) => ({ ...facts, readAt })) } };
  }

  return {
    async look(now) {
      const manifest = readManifest(await store.get(manifestKey));
      if (manifest && manifest.version !== known?.version) known = (await fetched(manifest, now)) ?? known;
      lookedAt = now;
      return manifest ? known : null;
    },
    async put(reading, tookMs) {
      const version = crypto.randomUUID();
      const texts = cut(reading.items);
      for (const [i, text] of texts.entries()) await store.set(pieceKey(version, i), text, ttlMs);
      const { items: _, isRemembered: __, ...rest } = reading;
      const manifest: Manifest = { format: 1, version, pieces: texts.length, tookMs, ...rest };
      await store.set(manifestKey, JSON.stringify(manifest), ttlMs);
      known = { version, reading };
      return known;
    },
  };
}

function cut(items: readonly InstanceFacts[]): readonly string[] {
  const texts: string[] = [];
  let some: string[] = [];
  let characters = 0;
  for (const item of items) {
    const text = JSON.stringify(item);
    some.push(text);
    characters += text.length + 1;
    if (characters < PIECE_CHARACTERS) continue;
    texts.push(`[${some.join()}]`);
    some = [];
    characters = 0;
  }
  return some.length > 0 || texts.length === 0 ? [...texts, `[${some.join()}]`] : texts;
}

function readManifest(text: string | null): Manifest | null {
  const found = parsed(text);
  return typeof found === 'object' && found !== null && 'format' in found && found.format === 1 ? (found as Manifest) : null;
}

/** What cannot be read is as good as forgotten: the next read of the cloud takes its place. */
function parsed(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
