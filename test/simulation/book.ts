import type { Action, ActionId } from 'fleetbeat';
import { readPiece } from '../../src/piece.ts';
import { readRecord } from '../../src/record.ts';
import type { Happening } from './happenings.ts';
import type { Life } from './life.ts';
import { createSight, type Sight } from './sight.ts';

/** What is true in the store, and what each fleet can know. */
export interface Book {
  take(happening: Happening): void;
  /** The record that the store holds under an id. */
  stored(id: ActionId): Action | undefined;
  records(): Iterable<Action>;
  /** Whether the store has ever held a record with this token. */
  hasHeld(token: string): boolean;
  /** The index entries that the store holds: which id was armed under which number. */
  readonly index: ReadonlyMap<number, string>;
  /** The actions as a fleet last read or wrote them. */
  known(life: Life): ReadonlyMap<string, Action>;
  /** Whether a fleet has seen an index entry that leads to this arming: only so it takes it in. */
  hasFound(life: Life, action: Action): boolean;
  sight(life: Life): Sight;
  /** The action in the text of a record. */
  read(text: string | null): Action | undefined;
}

export function createBook(): Book {
  const records = new Map<string, Action>();
  const index = new Map<number, string>();
  const tokens = new Set<string>();
  const known = new Map<Life, Map<string, Action>>();
  const sights = new Map<Life, Sight>();
  /** The latest index entry of each id that a fleet has seen. */
  const found = new Map<string, number>();
  const read = new Map<string, Action>();

  function actionIn(text: string | null): Action | undefined {
    if (text === null) return undefined;
    let action = read.get(text);
    if (!action) {
      action = readRecord(text) ?? undefined;
      if (action) read.set(text, action);
    }
    return action;
  }

  function knownBy(life: Life): Map<string, Action> {
    let those = known.get(life);
    if (!those) {
      those = new Map();
      known.set(life, those);
    }
    return those;
  }

  function sightOf(life: Life): Sight {
    let sight = sights.get(life);
    if (!sight) {
      sight = createSight();
      sights.set(life, sight);
    }
    return sight;
  }

  function store(key: string, text: string | null): void {
    const id = idIn(key);
    if (id !== null) {
      const action = actionIn(text);
      if (action) {
        records.set(id, action);
        tokens.add(action.token);
      } else records.delete(id);
    }
    const n = entryIn(key);
    if (n !== null && text !== null) index.set(n, text);
    else if (n !== null) index.delete(n);
  }

  return {
    take(happening) {
      switch (happening.is) {
        case 'stored':
          store(happening.key, happening.after);
          break;
        case 'learns': {
          if (happening.key.startsWith('heartbeat:') && !happening.wrote && happening.text !== null)
            sightOf(happening.by).recall(readPiece(happening.text));
          const n = entryIn(happening.key);
          if (n !== null) {
            const name = `${happening.by.name} ${happening.text}`;
            found.set(name, Math.max(found.get(name) ?? 0, n));
          }
          const id = idIn(happening.key);
          const action = id === null ? undefined : actionIn(happening.text);
          if (action) knownBy(happening.by).set(action.id, action);
          break;
        }
        case 'reads':
          if (happening.level === 'instances') sightOf(happening.by).readInstances(happening.source, happening.reading);
          else sightOf(happening.by).readServices(happening.source, happening.reading);
          break;
        case 'is blind':
          sightOf(happening.by).blind(happening.source);
          break;
        case 'hears':
          sightOf(happening.by).hear(happening.beat);
          break;
        case 'has heard':
          sightOf(happening.by).heard(happening.beat);
          break;
      }
    },
    stored: (id) => records.get(id),
    records: () => records.values(),
    hasHeld: (token) => tokens.has(token),
    index,
    known: knownBy,
    hasFound: ({ name }, { id, token }) => (found.get(`${name} ${id}`) ?? 0) >= Number(token.slice(token.lastIndexOf('.') + 1)),
    sight: sightOf,
    read: actionIn,
  };
}

/** The id of the action whose record stands at a key. */
export const idIn = (key: string): string | null => (key.startsWith('a:') ? key.slice(2) : null);

/** The id of the action whose claim stands at a key. */
export const claimIn = (key: string): string | null => (key.startsWith('c:') ? key.slice(2) : null);

/** The number of the index entry that stands at a key. */
export function entryIn(key: string): number | null {
  const n = key.startsWith('q:') ? Number(key.slice(2)) : Number.NaN;
  return Number.isInteger(n) ? n : null;
}
