import { createHeldSince } from './derive.ts';
import type { Instant } from './identity.ts';
import type { Row } from './row.ts';
import type { Source } from './source.ts';
import type { Change, View } from './view.ts';

/** One heartbeat being taken in: who speaks, and what has changed so far. */
export interface Sweep {
  readonly source: Source;
  readonly changes: readonly Change[];
  readonly heldSince: ReturnType<typeof createHeldSince>;
  note(kind: Change['kind'], row: Row, from: View | null, to: View): void;
  /** Gives a row its new view and notes how it differs from the one before. */
  show(row: Row, view: View, kind?: Change['kind']): void;
}

export function createSweep(source: Source, now: Instant, id: string): Sweep {
  const changes: Change[] = [];

  function note(kind: Change['kind'], row: Row, from: View | null, to: View): void {
    changes.push({ id: `${id}:${row.key}:${changes.length}`, kind, key: row.key, at: now, source: source.name, from, to });
  }

  return {
    source,
    changes,
    heldSince: createHeldSince(),
    note,
    show(row, view, kind) {
      const before = row.view;
      row.view = view;
      if (kind !== undefined) note(kind, row, before, view);
      else if (before === null || before.source === null || (before.gone && !view.gone)) note('appeared', row, before, view);
      else {
        if (before.ip !== view.ip) note('moved', row, before, view);
        if (differs(before, view)) note('changed', row, before, view);
      }
    },
  };
}

/** Whether a doctor would want to know. */
const differs = (before: View, after: View): boolean =>
  before.state !== after.state ||
  before.code !== after.code ||
  before.holds !== after.holds ||
  before.role !== after.role ||
  before.mark !== after.mark ||
  before.reason !== after.reason;
