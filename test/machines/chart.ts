import { actionMachine, clusterMachine, heartbeatMachine, instanceMachine, serviceMachine } from 'fleetbeat/machines';
import type { AnyStateMachine, AnyStateNode } from 'xstate';

export const CHARTS = [
  instanceMachine,
  serviceMachine,
  clusterMachine,
  actionMachine,
  heartbeatMachine,
] as unknown as readonly AnyStateMachine[];

/** A guard or chart action as the chart names it. */
export interface Named {
  readonly name: string;
  readonly params: string | null;
}

/** One transition of a state; of those with the same event, the first whose guard is true is taken. */
export interface Row {
  /** An event, `always`, or the end of an effect: `perform done`, `perform error`. */
  readonly event: string;
  readonly guard: Named | null;
  /** Null where the state stays as it is. */
  readonly target: AnyStateNode | null;
  readonly reenter: boolean;
  readonly actions: readonly Named[];
}

/** All states of a chart, each before those inside it; the chart itself is the first. */
export const statesOf = ({ root }: AnyStateMachine): readonly AnyStateNode[] => [root, ...within(root)];

const within = (state: AnyStateNode): readonly AnyStateNode[] =>
  Object.values(state.states).flatMap((inner) => [inner, ...within(inner)]);

/** Whether a state has no states inside it. */
export const isLeaf = (state: AnyStateNode): boolean => state.type === 'atomic' || state.type === 'final';

/** A state and those that it is in, innermost first. */
export const upwards = (state: AnyStateNode): readonly AnyStateNode[] =>
  state.parent ? [state, ...upwards(state.parent)] : [state];

/** All tags that a state carries, its own last. */
export const tagsOf = (state: AnyStateNode): readonly string[] => [
  ...new Set(
    upwards(state)
      .toReversed()
      .flatMap(({ tags }) => tags),
  ),
];

/** The states that entering a state leads into, down to the leaves. */
export function entered(state: AnyStateNode): readonly AnyStateNode[] {
  if (isLeaf(state)) return [state];
  const next = state.type === 'parallel' ? Object.values(state.states) : (state.initial.target ?? []);
  return [state, ...next.flatMap(entered)];
}

/** The transitions that a state itself has, in the order in which they are tried. */
export function rowsOf(state: AnyStateNode): readonly Row[] {
  const effects = new Map(
    state.invoke.flatMap(({ id, src }) => [
      [`xstate.done.actor.${id}`, `${src} done`],
      [`xstate.error.actor.${id}`, `${src} error`],
    ]),
  );
  const own = [['always', state.always ?? []] as const, ...state.transitions];
  return own.flatMap(([event, transitions]) =>
    transitions.map(({ guard, target, reenter, actions }) => ({
      event: effects.get(event) ?? event,
      guard: guard === undefined ? null : named(guard),
      target: target?.[0] ?? null,
      reenter,
      actions: actions.map(named),
    })),
  );
}

/** Events that lead to the same are one row: what they lead to is read once. */
export function merged(rows: readonly Row[]): readonly { readonly events: readonly string[]; readonly row: Row }[] {
  const byEvent = grouped(rows, ({ event }) => event);
  const alike = grouped(byEvent, ([, own]) =>
    JSON.stringify(own.map(({ guard, target, reenter, actions }) => [guard, target?.id, reenter, actions])),
  );
  return [...alike.values()].flatMap((events) =>
    (events[0]?.[1] ?? []).map((row) => ({ events: events.map(([event]) => event), row })),
  );
}

export function grouped<T, K>(items: Iterable<T>, keyOf: (item: T) => K): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/**
 * Reads what a chart says in the place of a guard or chart action.
 * @throws where it is neither a name nor a name with a text
 */
export function named(said: unknown): Named {
  if (typeof said === 'string') return { name: said, params: null };
  if (typeof said === 'object' && said !== null && 'type' in said && typeof said.type === 'string') {
    const params = 'params' in said ? said.params : undefined;
    if (params === undefined) return { name: said.type, params: null };
    if (typeof params === 'string') return { name: said.type, params };
  }
  throw new Error(`a chart names its guards and actions; found ${String(said)}`);
}

export const textOf = ({ name, params }: Named): string => (params === null ? name : `${name}(${params})`);
