import type { AnyStateMachine, AnyStateNode } from 'xstate';
import { grouped, merged, rowsOf, statesOf, textOf, upwards } from './chart.ts';

/** The lines of a Mermaid diagram of a chart. */
export const diagramOf = (machine: AnyStateMachine): readonly string[] => ['stateDiagram-v2', ...insideOf(machine.root, '  ')];

/** What a diagram shows inside a state: its states, then the transitions between them. */
function insideOf(state: AnyStateNode, indent: string): readonly string[] {
  const inner = Object.values(state.states);
  if (state.type === 'parallel')
    return [
      `${indent}state "${state.key}" as ${idOf(state)} {`,
      ...inner.flatMap((region, i) => [...(i > 0 ? [`${indent}  --`] : []), ...boxOf(region, `${indent}  `)]),
      `${indent}}`,
    ];
  const edges = edgesIn(state);
  const needsAny = edges.some(({ from }) => from === state);
  return [
    ...inner.flatMap((child) => boxOf(child, indent)),
    ...(needsAny ? [`${indent}state "any" as ${idOf(state)}_any`] : []),
    ...(state.initial.target ?? []).map((first) => `${indent}[*] --> ${idOf(first)}`),
    ...edges.map(
      ({ from, to, labels }) => `${indent}${idOf(from)}${from === state ? '_any' : ''} --> ${idOf(to)}: ${labels.join('<br/>')}`,
    ),
    ...inner.filter(({ type }) => type === 'final').map((end) => `${indent}${idOf(end)} --> [*]`),
  ];
}

const boxOf = (state: AnyStateNode, indent: string): readonly string[] =>
  Object.keys(state.states).length === 0
    ? [`${indent}state "${state.key}" as ${idOf(state)}`]
    : [`${indent}state "${state.key}" as ${idOf(state)} {`, ...insideOf(state, `${indent}  `), `${indent}}`];

interface Edge {
  readonly from: AnyStateNode;
  readonly to: AnyStateNode;
  readonly labels: readonly string[];
}

/** The transitions whose ends are in different children of `parent`, drawn between these; or from `parent` itself into one. */
function edgesIn(parent: AnyStateNode): readonly Edge[] {
  const childOf = (state: AnyStateNode) => upwards(state).find((outer) => outer.parent === parent);
  const lifted = statesOf(parent.machine).flatMap((source) => {
    const from = source === parent ? parent : childOf(source);
    return merged(rowsOf(source)).flatMap(({ events, row }) => {
      const to = row.target && childOf(row.target);
      if (!from || !to || from === to) return [];
      return [{ from, to, label: `${events.join(', ')}${row.guard ? ` [${textOf(row.guard)}]` : ''}` }];
    });
  });
  return [...grouped(lifted, ({ from, to }) => `${from.id} ${to.id}`).values()].flatMap((alike) => {
    const labels = [...new Set(alike.map(({ label }) => label))];
    return alike.slice(0, 1).map(({ from, to }) => ({ from, to, labels }));
  });
}

const idOf = (state: AnyStateNode): string => [state.machine.id, ...state.path].join('_').replaceAll('-', '_');
