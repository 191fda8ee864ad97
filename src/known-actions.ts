import { type Action, isEnded } from './domain/action.ts';
import type { ActionId, EntityKey, Token } from './domain/identity.ts';
import { byPlace } from './domain/lanes.ts';

/** A record as it is stored, and what it says. */
export interface Item {
  readonly text: string;
  readonly action: Action;
}

/** The actions that have not ended, as far as this fleet knows: by id, by token, in the order of their lanes. */
export interface KnownActions {
  get(id: ActionId): Item | undefined;
  has(id: ActionId): boolean;
  ids(): readonly ActionId[];
  byToken(token: Token): Action | undefined;
  lane(key: EntityKey): readonly Action[];
  all(): readonly Action[];
  /** Takes in what a record says now; one that has ended is known no more. */
  put(item: Item): void;
}

export function createKnownActions(): KnownActions {
  const items = new Map<ActionId, Item>();
  const lanes = new Map<EntityKey, readonly Action[]>();
  const byToken = new Map<Token, ActionId>();
  /** All of them by their lanes, until one is another. */
  let listed: readonly Action[] | null = null;

  function leave(action: Action): void {
    byToken.delete(action.token);
    const lane = (lanes.get(action.lane) ?? []).filter((other) => other.id !== action.id);
    if (lane.length === 0) lanes.delete(action.lane);
    else lanes.set(action.lane, lane);
  }

  /** In its lane, perhaps instead of what was known of it before. */
  function stand(action: Action): void {
    const others = (lanes.get(action.lane) ?? []).filter((other) => other.id !== action.id);
    lanes.set(action.lane, others.length === 0 ? [action] : [...others, action].sort(byPlace));
  }

  return {
    get: (id) => items.get(id),
    has: (id) => items.has(id),
    ids: () => [...items.keys()],
    byToken(token) {
      const id = byToken.get(token);
      return id === undefined ? undefined : items.get(id)?.action;
    },
    lane: (key) => lanes.get(key) ?? [],
    all: () => (listed ??= [...lanes.values()].flat()),
    put(item) {
      const { action } = item;
      const before = items.get(action.id)?.action;
      const isOver = isEnded(action);
      listed = null;
      if (before && (isOver || before.lane !== action.lane || before.token !== action.token)) leave(before);
      if (isOver) {
        items.delete(action.id);
        return;
      }
      items.set(action.id, item);
      byToken.set(action.token, action.id);
      stand(action);
    },
  };
}
