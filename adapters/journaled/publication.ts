import type { Store } from '../../src/contracts.ts';
import { type Entry, type Framed, frame, isCounter, unframe, VERSIONS_PER_MS } from './entry.ts';
import { type Epoch, LOST } from './epochs.ts';

/** What is in the shared store under a key. */
export interface Found {
  readonly raw: string | null;
  /** What was last written in this epoch; null for a counter, and where nothing was. */
  readonly entry: Entry | null;
}

export async function look(shared: Store, epoch: Epoch, key: string): Promise<Found> {
  const raw = await shared.get(key);
  if (raw === null || isCounter(raw)) return { raw, entry: null };
  const found = unframe(key, raw);
  return { raw, entry: (await isAstray(found, epoch)) ? null : found.entry };
}

/**
 * Puts an entry of an earlier epoch into the shared store, unless a later one is there. Those who do so at once agree, in any
 * order: of two entries the one of the higher version stays, be it that the key was deleted.
 *
 * @returns the later entry that was found instead, if any
 */
export async function publish(
  shared: Store,
  epoch: Epoch,
  { key, entry, now, keepMs }: { readonly key: string; readonly entry: Entry; readonly now: number; readonly keepMs: number },
): Promise<Entry | null> {
  const { kind, ttlMs } = lasting(entry, now, keepMs);
  const text = frame(epoch.id, { ...entry, kind, text: kind === 'deleted' ? '' : entry.text });
  for (;;) {
    const found = await look(shared, epoch, key);
    if (found.raw !== null && isCounter(found.raw)) return null;
    if (found.entry && found.entry.version >= entry.version) return found.entry;
    if (found.raw === null ? await shared.add(key, text, ttlMs) : await shared.swap(key, found.raw, text, ttlMs)) return null;
  }
}

/**
 * Whether an entry is of an epoch that is over: spared by a flush, or written by somebody who had not yet noticed. He will,
 * before he believes that he has written it, so it counts as not there.
 */
async function isAstray(found: Framed, epoch: Epoch): Promise<boolean> {
  if (found.epoch === epoch.id) return false;
  if (await epoch.isCurrent()) return true;
  throw LOST;
}

/** What was passing has so much left, or has passed by now. */
function lasting({ kind, version, ttlMs = 0 }: Entry, now: number, keepMs: number): Pick<Entry, 'kind' | 'ttlMs'> {
  if (kind === 'kept') return { kind };
  const leftMs = version / VERSIONS_PER_MS + ttlMs - now;
  return kind === 'passing' && leftMs > 0 ? { kind, ttlMs: leftMs } : { kind: 'deleted', ttlMs: keepMs };
}
