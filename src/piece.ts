import { asEntityKey, type Instant } from './domain/identity.ts';
import type { View } from './domain/view.ts';

/** What many views have in common. A reader needs no history of them; what they need elsewhere, and hear at the moment, is not theirs to say. */
interface Common extends Omit<View, 'key' | 'name' | 'ip' | 'mark' | 'since' | 'holds' | 'heldSince' | 'unmet' | 'following'> {
  /** The part of the keys that stands before the name. */
  readonly prefix: string;
  readonly holds: readonly string[];
}

/** What one view has for itself, behind the number of what it shares. */
type Own = readonly [common: number, name: string, ip: View['ip'], mark: View['mark'], since: Instant];

/** Views on their way to become one text for the store. What many of them have in common is written once. */
export interface Piece {
  /** How long the text is so far. */
  bytes: number;
  readonly common: string[];
  readonly views: string[];
  /** The numbers of what is in common, by the words that hold. */
  readonly numbers: Map<ReadonlySet<string>, Map<string, number>>;
  /** Most views are like the one before them. */
  last: { readonly view: View; readonly number: number } | null;
}

export const createPiece = (): Piece => ({ bytes: FRAME.length, common: [], views: [], numbers: new Map(), last: null });

export function addTo(piece: Piece, view: View): void {
  const number = piece.last && isAlike(view, piece.last.view) ? piece.last.number : numberOf(piece, view);
  piece.last = { view, number };
  write(piece, piece.views, [number, view.name, view.ip, view.mark, view.since]);
}

export const textOfPiece = ({ common, views }: Piece): string => `{"common":[${common.join()}],"views":[${views.join()}]}`;

function numberOf(piece: Piece, view: View): number {
  const { numbers, common } = piece;
  let alike = numbers.get(view.holds);
  if (!alike) {
    alike = new Map();
    numbers.set(view.holds, alike);
  }
  const text = textOf(view);
  let number = alike.get(text);
  if (number === undefined) {
    number = common.length;
    alike.set(text, number);
    write(piece, common, commonOf(view));
  }
  return number;
}

function write(piece: Piece, list: string[], item: Common | Own): void {
  const text = JSON.stringify(item);
  piece.bytes += Buffer.byteLength(text) + 1;
  list.push(text);
}

const FRAME = '{"common":[],"views":[]}';

/** The views of a piece, without their history. */
export function readPiece(text: string): readonly View[] {
  const { common, views } = JSON.parse(text) as { readonly common: readonly Common[]; readonly views: readonly Own[] };
  const shared = common.map(({ prefix, holds, ...rest }) => ({ prefix, view: { ...rest, holds: new Set(holds) } }));
  return views.flatMap(([number, name, ip, mark, since]) => {
    const found = shared[number];
    if (!found) return [];
    const key = asEntityKey(found.prefix + name);
    return [{ ...found.view, key, name, ip, mark, since, heldSince: new Map(), unmet: [] }];
  });
}

const prefixOf = ({ key, name }: View): string => key.slice(0, key.length - name.length);

function commonOf(view: View): Common {
  const {
    key: _,
    name: __,
    ip: ___,
    mark: ____,
    since: _____,
    heldSince: ______,
    unmet: _______,
    following: ________,
    holds,
    ...rest
  } = view;
  return { ...rest, prefix: prefixOf(view), holds: [...holds] };
}

/** Whether everything is the same that views may have in common. */
const isAlike = (a: View, b: View): boolean =>
  a.holds === b.holds &&
  a.state === b.state &&
  a.code === b.code &&
  a.source === b.source &&
  a.role === b.role &&
  a.mode === b.mode &&
  a.hostLost === b.hostLost &&
  a.gone === b.gone &&
  a.readAt === b.readAt &&
  a.seenSince === b.seenSince &&
  a.raw === b.raw &&
  a.reason === b.reason &&
  prefixOf(a) === prefixOf(b);

/** Equal where everything is that views with the same words may have in common. */
const textOf = (view: View): string =>
  `${prefixOf(view)} ${view.state} ${view.code} ${view.source} ${view.role} ${view.mode} ${view.hostLost} ${view.gone} ` +
  `${view.readAt} ${view.seenSince} ${view.raw?.length} ${view.reason?.length} ${view.raw} ${view.reason}`;
