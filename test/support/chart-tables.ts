import type { AnyStateMachine, AnyStateNode } from 'xstate';
import { CHARTS, entered, merged, type Row, rowsOf, statesOf, tagsOf, textOf, upwards } from '../machines/chart.ts';
import { diagramOf } from '../machines/chart-diagram.ts';

export const CHART_TABLES = new URL('../../machines/README.md', import.meta.url);

const INTRODUCTION = `# The charts

The tables and diagrams below are written from the charts themselves by \`npm run charts\`; a test fails when they are stale.
Change a chart, never this file.

What there is to know before reading them:

- **The heartbeat is the only clock.** No chart has a timer. A \`heartbeat\` brings the time, what was observed, and whether that is
  fresh; deadlines and backoffs pass in it, and never while the source of the observation is blind.
- **What is observed and what is being done are two regions.** Only heartbeats move \`observed\`; verbs, effects and heartbeats
  move \`operation\`. An accepted call is no success: only a reading that began after the acceptance says whether it worked.
- **The first row that fits is taken.** Of the rows with one event, a guard stands in brackets: \`heartbeat [isAtGoal]\`. Inner
  states are asked before those around them. \`always\` needs no event. *Stays* means that only the chart actions happen.
- **Effects are the host's.** \`perform done\` and \`perform error\` are the ends of an effect that the state began when it was
  entered. \`createFleet\` provides all effects; whoever runs a chart alone provides them with \`machine.provide\`.
- **Ask by tag, never by state.** \`snapshot.hasTag('running')\`; and \`snapshot.can({ type: 'stop', … })\` says whether a verb is
  legal just now.
- **Step** is the rung of the ladder to a running database service that a state stands for.

The diagrams show each transition at the innermost level that has both its ends; one that begins anywhere inside a state and
ends in it begins at *any*.
`;

/** The whole text of \`machines/README.md\`. */
export const chartTables = (): string => [INTRODUCTION, ...CHARTS.map(chartText)].join('\n');

const chartText = (machine: AnyStateMachine): string =>
  [
    `## ${machine.id}`,
    '',
    `${machine.config.description} Effects: ${Object.keys(machine.implementations.actors).map(code).join(', ')}.`,
    '',
    '```mermaid',
    ...diagramOf(machine),
    '```',
    '',
    ...regionsOf(machine).flatMap((region) => regionText(region, regionsOf(machine).length > 1)),
  ].join('\n');

const regionsOf = ({ root }: AnyStateMachine): readonly AnyStateNode[] =>
  root.type === 'parallel' ? Object.values(root.states) : [root];

function regionText(region: AnyStateNode, isOneOfMany: boolean): readonly string[] {
  const states = statesOf(region.machine).filter((state) => upwards(state).includes(region));
  const pathIn = (state: AnyStateNode) => state.path.slice(region.path.length).join('.') || 'any';
  const nextOf = ({ target, reenter }: Row): string => {
    if (!target) return '*stays*';
    const next = code(pathIn(entered(target).at(-1) ?? target));
    return reenter ? `${next}, anew` : next;
  };
  return [
    ...(isOneOfMany ? [`### ${region.machine.id}: ${region.key}`, '', region.description ?? '', ''] : []),
    '| state | step | tags | |',
    '|---|---|---|---|',
    ...states
      .filter((state) => state !== region)
      .map((state) =>
        cells(code(pathIn(state)), state.meta?.step ?? '', tagsOf(state).map(code).join(' '), state.description ?? ''),
      ),
    '',
    '| state | event [guard] | next | chart actions |',
    '|---|---|---|---|',
    ...states.flatMap((state) =>
      merged(rowsOf(state)).map(({ events, row }) =>
        cells(
          code(pathIn(state)),
          `${events.join(' · ')}${row.guard ? ` [${textOf(row.guard)}]` : ''}`,
          nextOf(row),
          row.actions.map(textOf).join(', '),
        ),
      ),
    ),
    '',
  ];
}

const code = (text: string): string => `\`${text}\``;

const cells = (...texts: readonly (string | number)[]): string => `| ${texts.join(' | ')} |`;
