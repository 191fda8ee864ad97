import type { AnyStateMachine, EventObject } from 'xstate';
import { type Invoked, type Leaf, type Transition, tableOf } from './table.ts';

/** All that is active of a chart: one object for each such combination, however many charts stand there. */
export interface Configuration {
  /** As a snapshot of XState has it. */
  readonly value: unknown;
  readonly tags: ReadonlySet<string>;
  /** Whether the chart has come to its end and takes nothing any more. */
  readonly isOver: boolean;
  /** The innermost state of each region. */
  readonly leaves: readonly Leaf[];
  readonly effects: readonly Invoked[];
}

/** Where a chart stands. */
export interface Standing {
  readonly configuration: Configuration;
  readonly context: unknown;
}

/** An effect that begins. */
export interface Begun {
  readonly id: string;
  readonly src: string;
  readonly input: unknown;
}

/** What one event has made of a chart, and what the world has to hear of it, in this order. */
export interface Move {
  readonly to: Standing;
  /** The effects that end. */
  readonly stopped: readonly string[];
  readonly emitted: readonly EventObject[];
  readonly begun: readonly Begun[];
}

/** A chart as tables, for those that need no actor: the same literal machine, without the machinery of an actor around it. */
export interface Compiled {
  readonly initial: Configuration;
  /** What is active where a snapshot of XState has this value. */
  configurationOf(value: unknown): Configuration;
  /** What an event makes of a chart; null where nothing takes it. Throws what a guard or an action throws. */
  move(from: Standing, event: EventObject): Move | null;
  /** Whether anything would take this event. */
  takes(from: Standing, event: EventObject): boolean;
  /** The effects of where a chart stands, to be begun anew after a restart. */
  effectsOf(standing: Standing): readonly Begun[];
}

/** A guard that stays true in its own target would go on for ever. */
const MAX_ROUNDS = 100;

const known = new WeakMap<object, Compiled>();

/** @throws Error where a chart uses what tables do not know: a chart that is wrong by itself */
export function compiled(machine: AnyStateMachine): Compiled {
  const found = known.get(machine.root);
  if (found) return found;
  const made = compile(machine);
  known.set(machine.root, made);
  return made;
}

function compile(machine: AnyStateMachine): Compiled {
  const table = tableOf(machine);
  const configurations = new Map<number, Configuration>();

  function configured(leaves: readonly Leaf[]): Configuration {
    const number = leaves.reduce((sum, { index }) => sum * table.size + index, 0);
    let configuration = configurations.get(number);
    if (!configuration) {
      configuration = {
        value: table.valueOf(leaves),
        tags: new Set([...table.tags, ...leaves.flatMap(({ tags }) => tags)]),
        isOver: table.isOver(leaves),
        leaves,
        effects: leaves.flatMap(({ effects }) => effects),
      };
      configurations.set(number, configuration);
    }
    return configuration;
  }

  function move(from: Standing, event: EventObject): Move | null {
    if (from.configuration.isOver) return null;
    let { configuration, context } = from;
    const stopped: string[] = [];
    const emitted: EventObject[] = [];
    let begun: Begun[] = [];
    let chosen = taken(configuration, context, event, ofEvent(event));
    let hasMoved = false;
    for (let round = 0; ; round++) {
      if (round > MAX_ROUNDS) throw new Error(`the chart ${machine.id} does not come to rest after '${event.type}'`);
      for (const { stops } of chosen) {
        for (const id of stops) if (!begun.some((other) => other.id === id)) stopped.push(id);
        if (stops.length > 0) begun = begun.filter(({ id }) => !stops.includes(id));
      }
      for (const { acts } of chosen) for (const act of acts) context = act(context, event, emitted);
      if (chosen.some(({ to }) => to !== null)) {
        configuration = configured(configuration.leaves.map((leaf) => targetOf(leaf, chosen)));
        for (const { starts } of chosen) for (const start of starts) begun.push(beginning(start, context, event));
      }
      hasMoved ||= chosen.length > 0;
      if (configuration.isOver) break;
      chosen = taken(configuration, context, event, ALWAYS);
      if (chosen.length === 0) break;
    }
    return hasMoved ? { to: { configuration, context }, stopped, emitted, begun } : null;
  }

  return {
    initial: configured(table.initial),
    configurationOf: (value) => configured(table.leavesOf(value)),
    move,
    takes: ({ configuration, context }, event) =>
      !configuration.isOver && taken(configuration, context, event, ofEvent(event)).some(({ isMove }) => isMove),
    effectsOf: ({ configuration, context }) => configuration.effects.map((effect) => beginning(effect, context, RESTORED)),
  };
}

/** What a chart is told that goes on in another life. */
const RESTORED: EventObject = { type: 'xstate.init' };

const beginning = ({ id, src, input }: Invoked, context: unknown, event: EventObject): Begun => ({
  id,
  src,
  input: input(context, event),
});

type Choices = (leaf: Leaf) => readonly Transition[];

const ofEvent =
  ({ type }: EventObject): Choices =>
  (leaf) =>
    leaf.on(type);

const ALWAYS: Choices = (leaf) => leaf.always;

/** The first transition of each region whose guard lets it pass. All guards see what was before any of them. */
function taken({ leaves }: Configuration, context: unknown, event: EventObject, choices: Choices): readonly Transition[] {
  const chosen: Transition[] = [];
  for (const leaf of leaves) {
    const first = choices(leaf).find(({ guard }) => guard === null || guard(context, event));
    if (first) chosen.push(first);
  }
  return chosen;
}

const targetOf = (leaf: Leaf, chosen: readonly Transition[]): Leaf => chosen.find(({ from }) => from === leaf)?.to ?? leaf;
