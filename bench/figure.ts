/** The most that a figure may be, as a ratio to its peer or by itself. */
export type Goal = { readonly ratio: number } | { readonly ours: number };

/** One thing that is claimed, and what was measured of it. */
export interface Figure {
  readonly id: string;
  readonly name: string;
  readonly ours: number | null;
  readonly peer: number | null;
  readonly unit:
    | 'ms'
    | 'bytes'
    | 'packages'
    | 'operations'
    | 'syncs'
    | 'per second'
    | 'calls'
    | 's'
    | 'beats'
    | 'writes'
    | 'times';
  /** Ours divided by the peer's: less is better. */
  readonly ratio: number | null;
  /** Such as `ratio <= 3`; null where the figure only stands beside others. */
  readonly goal: string | null;
  /** Null where there is no goal, or where nothing could be measured. */
  readonly holds: boolean | null;
}

/** Judges what was measured. */
export function figure(
  measured: Pick<Figure, 'id' | 'name' | 'ours' | 'unit'> & { readonly peer?: number; readonly goal?: Goal },
): Figure {
  const { id, name, ours, unit, peer = null, goal } = measured;
  const ratio = ours === null || peer === null ? null : ours / peer;
  const shown = { id, name, ours: rounded(ours), peer: rounded(peer), unit, ratio: rounded(ratio) };
  if (goal === undefined) return { ...shown, goal: null, holds: null };
  const [word, value, most] = 'ratio' in goal ? ['ratio', ratio, goal.ratio] : ['ours', ours, goal.ours];
  return { ...shown, goal: `${word} <= ${most}`, holds: value === null ? null : value <= most };
}

const rounded = (value: number | null): number | null => (value === null ? null : Number(value.toPrecision(4)));
