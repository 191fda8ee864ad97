import { createHeldSince } from './derive.ts';
import type { Instant } from './identity.ts';
import type { Source } from './source.ts';
import type { Change, View } from './view.ts';

/** One heartbeat being taken in: who speaks, and what has changed so far. */
export interface Sweep {
  readonly source: Source;
  readonly changes: readonly Change[];
  readonly heldSince: ReturnType<typeof createHeldSince>;
  note(kind: Change['kind'], from: View | null, to: View): void;
  /** Notes how an entity differs from before. */
  compare(from: View, to: View): void;
}

export function createSweep(source: Source, now: Instant, id: string): Sweep {
  const changes: Change[] = [];

  function note(kind: Change['kind'], from: View | null, to: View): void {
    changes.push({ id: `${id}:${to.key}:${changes.length}`, kind, key: to.key, at: now, source: source.name, from, to });
  }

  return {
    source,
    changes,
    heldSince: createHeldSince(),
    note,
    compare: (from, to) => compareViews(from, to, (kind, known) => note(kind, known, to)),
  };
}

/** Notes how an entity differs from before; one without a source was not known then. */
export function compareViews(before: View | null, to: View, note: (kind: Change['kind'], from: View | null) => void): void {
  const from = before?.source == null ? null : before;
  if (!from || (from.gone && !to.gone)) {
    note('appeared', from);
    return;
  }
  if (from.ip !== to.ip) note('moved', from);
  if (differs(from, to)) note('changed', from);
}

/** Whether a doctor would want to know. */
const differs = (before: View, after: View): boolean =>
  before.state !== after.state ||
  before.code !== after.code ||
  !isSameSet(before.holds, after.holds) ||
  before.role !== after.role ||
  before.mark !== after.mark ||
  before.reason !== after.reason;

const isSameSet = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a === b || (a.size === b.size && [...a].every((word) => b.has(word)));
