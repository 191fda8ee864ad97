import type { Instant } from './identity.ts';
import type { Inventory } from './inventory.ts';
import { compareViews } from './sweep.ts';
import type { Change, View } from './view.ts';

/**
 * How a fleet differs from what was last written down of it, as far as it has been read since: what happened while nobody led, or
 * while its leader died. Whoever takes over tells it, though some of it may have been told before.
 */
export function changesSince(
  last: readonly View[],
  inventory: Pick<Inventory, 'views' | 'isUnread'>,
  at: Instant,
  id: string,
): readonly Change[] {
  const changes: Change[] = [];
  const before = new Map(last.map((view) => [view.key, view]));
  for (const to of inventory.views()) {
    const { key, source } = to;
    if (source === null || inventory.isUnread(to)) continue;
    const note = (kind: Change['kind'], from: View | null) =>
      changes.push({ id: `${id}:${key}:${changes.length}`, kind, key, at, source, from, to });
    const from = before.get(key) ?? null;
    if (from && to.gone && !from.gone) note('vanished', from);
    else if (from || !to.gone) compareViews(from, to, note);
  }
  return changes;
}
