import type { AnyStateMachine, EventObject } from 'xstate';
import type { Act, Guard, Told } from './rules.ts';
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
  /** What each region may take without an event; a region that has nothing to take is left out. */
  readonly always: Choices;
  /** The same for each event that has come so far. */
  readonly on: Map<string, Choices>;
  /** Where each transition that was taken from here leads. */
  readonly after: Map<Transition, Configuration>;
}

/** In the order of the regions, and of each the transitions in the order in which they are tried. */
type Choices = readonly (readonly Transition[])[];

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

/**
 * Every heartbeat of every entity comes by here, and in a burst of work before the engine has compiled it: loops count where an
 * iterator would make an object for each step.
 */
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
        always: choices(leaves.map(({ always }) => always)),
        on: new Map(),
        after: new Map(),
      };
      configurations.set(number, configuration);
    }
    return configuration;
  }

  function choicesOn({ on, leaves }: Configuration, type: string): Choices {
    let found = on.get(type);
    if (!found) {
      found = choices(leaves.map((leaf) => leaf.on(type)));
      on.set(type, found);
    }
    return found;
  }

  function after(configuration: Configuration, transition: Transition): Configuration {
    const { from, to } = transition;
    if (to === null) return configuration;
    let next = configuration.after.get(transition);
    if (!next) {
      next = configured(configuration.leaves.map((leaf) => (leaf === from ? to : leaf)));
      configuration.after.set(transition, next);
    }
    return next;
  }

  function move(from: Standing, event: EventObject): Move | null {
    if (from.configuration.isOver) return null;
    let { configuration } = from;
    let told: Told = { context: from.context, event };
    const stopped: string[] = [];
    const emitted: EventObject[] = [];
    let begun: Begun[] = [];
    let chosen = taken(choicesOn(configuration, event.type), told);
    let hasMoved = false;
    for (let round = 0; ; round++) {
      if (round > MAX_ROUNDS) throw new Error(`the chart ${machine.id} does not come to rest after '${event.type}'`);
      for (let i = 0; i < chosen.length; i++) {
        const { stops } = chosen[i] as Transition;
        if (stops.length === 0) continue;
        for (const id of stops) if (!begun.some((other) => other.id === id)) stopped.push(id);
        begun = begun.filter(({ id }) => !stops.includes(id));
      }
      for (let i = 0; i < chosen.length; i++) {
        const { acts } = chosen[i] as Transition;
        for (let k = 0; k < acts.length; k++) {
          const context = (acts[k] as Act)(told, emitted);
          if (context !== told.context) told = { context, event };
        }
      }
      for (let i = 0; i < chosen.length; i++) configuration = after(configuration, chosen[i] as Transition);
      for (let i = 0; i < chosen.length; i++) {
        const { starts } = chosen[i] as Transition;
        if (starts.length > 0) for (const start of starts) begun.push(beginning(start, told.context, event));
      }
      hasMoved ||= chosen.length > 0;
      if (configuration.isOver || configuration.always.length === 0) break;
      chosen = taken(configuration.always, told);
      if (chosen.length === 0) break;
    }
    return hasMoved ? { to: { configuration, context: told.context }, stopped, emitted, begun } : null;
  }

  return {
    initial: configured(table.initial),
    configurationOf: (value) => configured(table.leavesOf(value)),
    move,
    takes: ({ configuration, context }, event) =>
      !configuration.isOver && taken(choicesOn(configuration, event.type), { context, event }).some(({ isMove }) => isMove),
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

const choices = (ofRegions: Choices): Choices => ofRegions.filter((rows) => rows.length > 0);

const NONE: readonly Transition[] = [];

/** The first transition of each region whose guard lets it pass. All guards see what was before any of them. */
function taken(ofRegions: Choices, told: Told): readonly Transition[] {
  let chosen: Transition[] | null = null;
  for (let i = 0; i < ofRegions.length; i++) {
    const first = firstOf(ofRegions[i] ?? NONE, told);
    if (first === null) continue;
    if (chosen === null) chosen = [first];
    else chosen.push(first);
  }
  return chosen ?? NONE;
}

function firstOf(rows: readonly Transition[], told: Told): Transition | null {
  let tried: Guard | null = null;
  try {
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] as Transition;
      tried = row.guard;
      if (tried === null || tried.passes(told, tried.params)) return row;
    }
  } catch (error) {
    throw new Error(`${tried?.name} failed`, { cause: error });
  }
  return null;
}
