import { actionMachine, instanceMachine, serviceMachine } from 'fleetbeat/machines';
import { describe, expect, test } from 'vitest';
import { type AnyStateMachine, assign, setup } from 'xstate';
import { compiled } from '../../src/charts/compiled.ts';

const machines = [actionMachine, instanceMachine, serviceMachine].map(
  (machine) => [machine.id, machine as unknown as AnyStateMachine] as const,
);

describe.each(machines)('the chart of an %s as a table', (_, machine) => {
  test('begins where XState begins', () => {
    const value: unknown = machine.getInitialSnapshot(
      { self: {}, emit() {}, defer() {}, system: {} } as never,
      INPUT as never,
    ).value;
    expect(compiled(machine).initial.value).toEqual(value);
  });

  test('has every innermost state, by its value and back, with the tags that XState gives it', () => {
    const chart = compiled(machine);
    for (const value of valuesOf(machine)) {
      const configuration = chart.configurationOf(value);
      const snapshot = machine.resolveState({ value: value as never, context: {} });
      expect(configuration.value).toEqual(snapshot.value);
      expect(configuration.tags).toEqual(snapshot.tags.size === 0 ? new Set() : new Set(snapshot.tags));
    }
  });

  test('is made once', () => {
    expect(compiled(machine)).toBe(compiled(machine));
  });
});

describe('a chart that uses what tables do not know is refused when it is made', () => {
  const base = setup({
    actions: { say: () => {}, count: assign({ n: 1 }) },
    guards: { isOdd: () => true },
  });
  const charts = {
    'entry actions': { states: { a: { entry: 'count' } } },
    'exit actions': { states: { a: { exit: 'count' } } },
    delays: { states: { a: { after: { 1000: 'b' } }, b: {} } },
    history: { states: { a: { initial: 'x', states: { x: {}, h: { type: 'history' } } } } },
    'parallel states below the top': { states: { a: { type: 'parallel', states: { x: {}, y: {} } } } },
    'onDone of a state': { states: { a: { initial: 'x', states: { x: { type: 'final' } }, onDone: 'b' }, b: {} } },
    'events for all': { states: { a: { on: { '*': 'b' } }, b: {} } },
    "the action 'say'": { states: { a: { on: { go: { actions: 'say' } } } } },
    'a guard or an action without a name': { states: { a: { on: { go: { guard: () => true, target: 'b' } } }, b: {} } },
  } as const;

  test.each(Object.entries(charts))('%s', (what, config) => {
    const machine = base.createMachine({ id: 'odd', initial: 'a', ...config } as never) as unknown as AnyStateMachine;
    const use = () => {
      const chart = compiled(machine);
      chart.move({ configuration: chart.initial, context: {} }, { type: 'go' });
    };
    expect(use).toThrow(what);
  });
});

const INPUT = { action: { armedAt: 0 } };

/** Every combination of innermost states, one for each region. */
function valuesOf(machine: AnyStateMachine): readonly unknown[] {
  type Node = { readonly type: string; readonly key: string; readonly states: Readonly<Record<string, Node>> };
  const below = (node: Node): readonly unknown[] => {
    const children = Object.values(node.states);
    if (node.type === 'parallel')
      return children.reduce<readonly object[]>(
        (values, child) => values.flatMap((value) => below(child).map((inner) => ({ ...value, [child.key]: inner }))),
        [{}],
      );
    return children.flatMap((child): readonly unknown[] =>
      Object.keys(child.states).length === 0 ? [child.key] : below(child).map((inner) => ({ [child.key]: inner })),
    );
  };
  return below(machine.root as unknown as Node);
}
