import type { Batch } from '../contracts.ts';
import { digestOf } from '../digest.ts';
import { excerpt } from '../domain/excerpt.ts';
import type { EntityKey, Instant } from '../domain/identity.ts';
import type { Change, View } from '../domain/view.ts';

/** A view as JSON has it. */
type StoredView = Omit<View, 'holds' | 'heldSince'> & {
  readonly holds: readonly string[];
  readonly heldSince: readonly (readonly [word: string, at: Instant])[];
};

type StoredChange = Omit<Change, 'from' | 'to'> & { readonly from: StoredView | null; readonly to: StoredView };

/** Well under the mebibyte that a memcached takes. */
const MOST_BYTES = 900_000;
const HEAD = '{"version":1,"changes":[';
const TAIL = ']}';
const FRAME_BYTES = HEAD.length + TAIL.length;

/** Texts to store changes in, in their order; none is over 900 KB. */
export function* textsOf(changes: readonly Change[]): Generator<{ readonly text: string; readonly count: number }> {
  let parts: string[] = [];
  let bytes = FRAME_BYTES;
  const text = () => ({ text: HEAD + parts.join() + TAIL, count: parts.length });
  for (const change of changes) {
    const part = textOf(change);
    const size = Buffer.byteLength(part) + 1;
    if (bytes + size > MOST_BYTES && parts.length > 0) {
      yield text();
      parts = [];
      bytes = FRAME_BYTES;
    }
    parts.push(part);
    bytes += size;
  }
  if (parts.length > 0) yield text();
}

/** What cannot be stored whole is stored without what only explains it: a change must not be lost to the length of its prose. */
function textOf(change: Change): string {
  const whole = JSON.stringify(storedOf(change));
  return Buffer.byteLength(whole) < MOST_BYTES ? whole : JSON.stringify(storedOf(shortened(change)));
}

const shortened = (change: Change): Change => ({
  ...change,
  from: change.from && shortView(change.from),
  to: shortView(change.to),
});

const shortView = ({ raw, reason, ...view }: View): View => ({
  ...view,
  unmet: [],
  ...(raw !== undefined && { raw: excerpt(raw) }),
  ...(reason !== undefined && { reason: excerpt(reason) }),
});

const storedOf = ({ from, to, ...change }: Change): StoredChange => ({
  ...change,
  from: from && storedView(from),
  to: storedView(to),
});

const storedView = ({ holds, heldSince, ...view }: View): StoredView => ({
  ...view,
  holds: [...holds],
  heldSince: [...heldSince],
});

/** The changes of a stored text, or null where it is none of this version. */
export function changesOf(text: string): readonly Change[] | null {
  const stored = parsed(text);
  if (typeof stored !== 'object' || stored === null || !('version' in stored) || stored.version !== 1) return null;
  if (!('changes' in stored) || !Array.isArray(stored.changes)) return null;
  return (stored.changes as readonly StoredChange[]).map(({ from, to, ...change }) => ({
    ...change,
    from: from && viewOf(from),
    to: viewOf(to),
  }));
}

const viewOf = ({ holds, heldSince, ...view }: StoredView): View => ({
  ...view,
  holds: new Set(holds),
  heldSince: new Map(heldSince),
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export const batchOf = (changes: readonly Change[]): Batch => ({
  id: digestOf(changes.map(({ id }) => id).join('\n')),
  changes,
});

export const keysOf = (changes: readonly Change[]): readonly EntityKey[] => [...new Set(changes.map(({ key }) => key))];
