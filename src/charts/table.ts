import type { AnyStateMachine, AnyStateNode, AnyTransitionDefinition, EventObject } from 'xstate';
import { type Act, actsOf, type Guard, guardOf } from './rules.ts';

/** An effect that is invoked while a state is active. */
export interface Invoked {
  readonly id: string;
  readonly src: string;
  readonly input: (context: unknown, event: EventObject) => unknown;
}

/** One row of the table: from an innermost state to another. */
export interface Transition {
  readonly from: Leaf;
  /** Null where it only acts. */
  readonly to: Leaf | null;
  readonly guard: Guard | null;
  readonly acts: readonly Act[];
  /** The effects of the states that are left, by id. */
  readonly stops: readonly string[];
  /** The effects of the states that are entered. */
  readonly starts: readonly Invoked[];
  /** Whether it goes anywhere or does anything. */
  readonly isMove: boolean;
}

/** An innermost state, with all that its ancestors give it. */
export interface Leaf {
  readonly index: number;
  readonly tags: readonly string[];
  readonly effects: readonly Invoked[];
  /** What may be taken on an event: its own transitions first, those of the outermost ancestor last. */
  on(type: string): readonly Transition[];
  readonly always: readonly Transition[];
}

/** A chart by its innermost states. */
export interface Table {
  /** How many innermost states there are. */
  readonly size: number;
  /** Tags of the chart as a whole. */
  readonly tags: readonly string[];
  /** One for each region; a chart that is not parallel has one. */
  readonly initial: readonly Leaf[];
  leavesOf(value: unknown): readonly Leaf[];
  valueOf(leaves: readonly Leaf[]): unknown;
  isOver(leaves: readonly Leaf[]): boolean;
}

/** Reads a machine as a table. @throws Error where it uses what a table does not know */
export function tableOf(machine: AnyStateMachine): Table {
  const { root } = machine;
  const isParallel = root.type === 'parallel';
  const regions = isParallel ? childrenOf(root) : [root];
  const nodes = allOf(root);
  for (const node of nodes) refuseUnknown(machine, node, regions);
  const leaves = new Map<AnyStateNode, Leaf>();
  const nodeOf = new Map<Leaf, AnyStateNode>();
  for (const node of nodes) {
    if (!isInnermost(node)) continue;
    const leaf = leafOf(node, leaves.size);
    leaves.set(node, leaf);
    nodeOf.set(leaf, node);
  }

  function leafOf(node: AnyStateNode, index: number): Leaf {
    const path = pathOf(node);
    const byEvent = new Map<string, readonly Transition[]>();
    let always: readonly Transition[] | undefined;
    const leaf: Leaf = {
      index,
      tags: path.flatMap(({ tags }) => tags),
      effects: path.flatMap(effectsOf),
      on(type) {
        let found = byEvent.get(type);
        if (!found) {
          found = path.flatMap((each) => each.transitions.get(type) ?? []).map((row) => transitionOf(leaf, node, row));
          byEvent.set(type, found);
        }
        return found;
      },
      get always() {
        always ??= path.flatMap((each) => each.always ?? []).map((row) => transitionOf(leaf, node, row));
        return always;
      },
    };
    return leaf;
  }

  /** From an innermost state outwards, to its region. */
  function pathOf(node: AnyStateNode): readonly AnyStateNode[] {
    return regions.includes(node) || !node.parent ? [node] : [node, ...pathOf(node.parent)];
  }

  function transitionOf(from: Leaf, at: AnyStateNode, row: AnyTransitionDefinition): Transition {
    const guard = guardOf(machine, row);
    const acts = actsOf(machine, row);
    const [target] = row.target ?? [];
    if (!target) return { from, to: null, guard, acts, stops: [], starts: [], isMove: acts.length > 0 };
    const end = innermostOf(target as AnyStateNode);
    const domain = domainOf(row, target as AnyStateNode);
    const within = (node: AnyStateNode) => pathOf(node).filter((each) => isWithin(each, domain));
    return {
      from,
      to: leafAt(end),
      guard,
      acts,
      stops: within(at)
        .flatMap(effectsOf)
        .map(({ id }) => id),
      starts: within(end).flatMap(effectsOf),
      isMove: true,
    };
  }

  function leafAt(node: AnyStateNode): Leaf {
    const leaf = leaves.get(node);
    if (!leaf) throw new Error(`the state ${node.id} of the chart ${machine.id} is not an innermost one`);
    return leaf;
  }

  return {
    size: leaves.size,
    tags: isParallel ? root.tags : [],
    initial: regions.map((region) => leafAt(innermostOf(region))),
    leavesOf: (value) => regions.map((region) => leafAt(nodeAt(region, isParallel ? partOf(value, region.key) : value))),
    valueOf(standing) {
      const values = standing.map((leaf) => valueUpTo(regions, nodeOf.get(leaf)));
      return isParallel ? Object.fromEntries(regions.map(({ key }, i) => [key, values[i]])) : values[0];
    },
    isOver: (standing) => standing.every((leaf) => isEnd(nodeOf.get(leaf), regions)),
  };
}

const childrenOf = (node: AnyStateNode): readonly AnyStateNode[] => Object.values(node.states);
const allOf = (node: AnyStateNode): readonly AnyStateNode[] => [node, ...childrenOf(node).flatMap(allOf)];
const isInnermost = ({ type }: AnyStateNode): boolean => type === 'atomic' || type === 'final';

function isWithin(node: AnyStateNode, outer: AnyStateNode): boolean {
  for (let at = node.parent; at; at = at.parent) if (at === outer) return true;
  return false;
}

/** The state that a transition does not leave: it moves below it. */
function domainOf({ source, reenter }: AnyTransitionDefinition, target: AnyStateNode): AnyStateNode {
  if (!reenter && (target === source || isWithin(target, source))) return source;
  for (let at = target.parent; at; at = at.parent) if (isWithin(source, at)) return at;
  throw new Error(`the transition from ${source.id} to ${target.id} leaves its chart`);
}

function innermostOf(node: AnyStateNode): AnyStateNode {
  if (isInnermost(node)) return node;
  const first = node.initial.target?.[0] as AnyStateNode | undefined;
  if (!first) throw new Error(`the state ${node.id} has no initial state`);
  return innermostOf(first);
}

const effectsOf = (node: AnyStateNode): readonly Invoked[] =>
  node.invoke.map(({ id, src, input }) => ({
    id,
    src: String(src),
    input: (context, event) => (typeof input === 'function' ? input({ context, event } as never) : input),
  }));

/** The state that a value names, which may leave the innermost ones to what is initial. */
function nodeAt(node: AnyStateNode, value: unknown): AnyStateNode {
  if (isInnermost(node)) return node;
  if (value === undefined) return innermostOf(node);
  const key = typeof value === 'string' ? value : Object.keys(value as object)[0];
  const child = childrenOf(node).find((each) => each.key === key);
  if (!child) throw new Error(`the state ${node.id} has no state ${JSON.stringify(key)}`);
  return nodeAt(child, typeof value === 'string' ? undefined : partOf(value, child.key));
}

const partOf = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? new Map(Object.entries(value)).get(key) : undefined;

function valueUpTo(regions: readonly AnyStateNode[], node: AnyStateNode | undefined): unknown {
  let value: unknown;
  for (let at = node; at && !regions.includes(at); at = at.parent) value = value === undefined ? at.key : { [at.key]: value };
  return value ?? {};
}

const isEnd = (node: AnyStateNode | undefined, regions: readonly AnyStateNode[]): boolean =>
  node?.type === 'final' && node.parent !== undefined && regions.includes(node.parent);

/** Tables know what the charts of fleets are made of. Whatever else a chart might use has to fail early, not to be passed over. */
function refuseUnknown(machine: AnyStateMachine, node: AnyStateNode, regions: readonly AnyStateNode[]): void {
  const isTop = node === machine.root;
  const found = [
    // First, since XState makes actions of entry and exit of them.
    ['delays', node.after.length > 0],
    ['entry actions', node.entry.length > 0],
    ['exit actions', node.exit.length > 0],
    ['history', node.type === 'history'],
    ['parallel states below the top', node.type === 'parallel' && !isTop],
    ['onDone of a state', node.config.onDone !== undefined],
    ['events for all', [...node.transitions.keys()].some((type) => type.includes('*'))],
    [
      'transitions of all its regions',
      isTop && !regions.includes(node) && (node.transitions.size > 0 || node.always !== undefined),
    ],
    ['several targets', rowsOf(node).some(({ target }) => (target?.length ?? 0) > 1)],
    [
      'transitions between regions',
      rowsOf(node).some(({ target, source }) => target?.some((each) => regionOf(each as AnyStateNode) !== regionOf(source))),
    ],
  ].find(([, isUsed]) => isUsed);
  if (found) throw new Error(`the chart ${machine.id} uses ${found[0]} at ${node.id}, which is not known to its table`);

  function regionOf(of: AnyStateNode): AnyStateNode | undefined {
    return regions.find((region) => region === of || isWithin(of, region));
  }
}

const rowsOf = (node: AnyStateNode): readonly AnyTransitionDefinition[] => [
  ...[...node.transitions.values()].flat(),
  ...(node.always ?? []),
];
