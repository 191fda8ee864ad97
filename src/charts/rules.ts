import type { AnyStateMachine, AnyTransitionDefinition, EventObject } from 'xstate';

/** What guards and actions are told: the same object, as long as the context is the same. */
export interface Told {
  readonly context: unknown;
  readonly event: EventObject;
}

export interface Guard {
  /** As an error says it. */
  readonly name: string;
  readonly passes: Rule;
  readonly params: unknown;
}

/** What a chart does on its way: makes a new context of the old one, and adds what it emits. */
export type Act = (told: Told, emitted: EventObject[]) => unknown;

/** A guard or an action as a chart names it. */
interface Named {
  readonly type: string;
  readonly params?: unknown;
}

type Rule = (args: object, params: unknown) => unknown;

/** @throws Error where the guard is not a named function */
export function guardOf(machine: AnyStateMachine, { guard, eventType }: AnyTransitionDefinition): Guard | null {
  if (guard === undefined) return null;
  const { type, params } = named(machine, guard);
  const passes: unknown = machine.implementations.guards[type];
  if (typeof passes !== 'function' || 'check' in passes) throw unknown(machine, `the guard '${type}'`);
  return { name: `the guard '${type}' of '${eventType}' in the chart ${machine.id}`, passes: passes as Rule, params };
}

/** @throws Error where an action neither assigns nor emits */
export const actsOf = (machine: AnyStateMachine, { actions }: AnyTransitionDefinition): readonly Act[] =>
  actions.map((action) => actOf(machine, named(machine, action)));

function actOf(machine: AnyStateMachine, { type, params }: Named): Act {
  const action = machine.implementations.actions[type] as Assigning | Emitting | undefined;
  if (action && 'assignment' in action) return assigning(action.assignment, params);
  if (action && 'collect' in action) return emitting(machine, action.collect, params);
  throw unknown(machine, `the action '${type}'`);
}

/** What `assign` and `enqueueActions` of XState make. */
interface Assigning {
  readonly assignment: Rule | Readonly<Record<string, unknown>>;
}

interface Emitting {
  readonly collect: Rule;
}

function assigning(assignment: Assigning['assignment'], params: unknown): Act {
  if (typeof assignment === 'function')
    return (told) => ({ ...(told.context as object), ...(assignment(told, params) as object) });
  const fields = Object.keys(assignment);
  const values = Object.values(assignment);
  return (told) => {
    const next: Record<string, unknown> = { ...(told.context as object) };
    for (let i = 0; i < fields.length; i++) {
      const value = values[i];
      next[fields[i] as string] = typeof value === 'function' ? value(told, params) : value;
    }
    return next;
  };
}

function emitting(machine: AnyStateMachine, collect: Rule, params: unknown): Act {
  return ({ context, event }, emitted) => {
    const nothingElse = () => {
      throw unknown(machine, 'an action that does more than emit');
    };
    const enqueue = Object.assign(nothingElse, { emit: (told: EventObject) => void emitted.push(told) });
    collect({ context, event, enqueue }, params);
    return context;
  };
}

function named(machine: AnyStateMachine, rule: unknown): Named {
  if (typeof rule === 'string') return { type: rule };
  if (typeof rule === 'object' && rule !== null && 'type' in rule && typeof rule.type === 'string') return rule as Named;
  throw unknown(machine, 'a guard or an action without a name');
}

const unknown = (machine: AnyStateMachine, what: string): Error =>
  new Error(`the chart ${machine.id} uses ${what}, which is not known to its table`);
