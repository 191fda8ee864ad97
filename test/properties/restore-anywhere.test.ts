import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AnyActorRef, type AnyMachineSnapshot, createActor } from 'xstate';
import { createCharts } from '../../src/charts.ts';
import { type ChartUnderTest, charts, type Happening, happen, inOrder } from './chart-histories.ts';
import { PATIENCE_MS, RUNS } from './runs.ts';

/** What a chart has come to after each happening, and what it has told the world. */
interface Course {
  readonly stations: { readonly value: unknown; readonly context: unknown }[];
  readonly emitted: unknown[];
}

const newCourse = (): Course => ({ stations: [], emitted: [] });

const stationOf = ({ value, context }: { readonly value: unknown; readonly context: unknown }) => ({ value, context });

/** A chart as an actor, which is stopped, saved as JSON and restored before each happening whose index is a cut. */
async function live(chart: ChartUnderTest, history: readonly Happening[], cuts: ReadonlySet<number>): Promise<Course> {
  const course = newCourse();
  const { machine, pending } = chart.make();
  const begin = (saved?: unknown): AnyActorRef => {
    const options = saved === undefined ? { input: chart.input } : { snapshot: saved };
    const actor = createActor(machine, options as never);
    actor.on('*', (emitted) => course.emitted.push(emitted));
    return actor.start();
  };
  let actor = begin();
  for (const [i, happening] of history.entries()) {
    if (cuts.has(i)) {
      const saved: unknown = JSON.parse(JSON.stringify(actor.getPersistedSnapshot()));
      actor.stop();
      actor = begin(saved);
    }
    await happen(happening, pending, (event) => {
      if (actor.getSnapshot().status === 'active') actor.send(event);
    });
    course.stations.push(stationOf(actor.getSnapshot() as AnyMachineSnapshot));
  }
  actor.stop();
  return course;
}

/**
 * The same chart as a large fleet keeps it: a row whenever it is quiet. Verbs reach it as an actor.
 * At each cut it is made anew from its value and context alone, as after a restart.
 */
async function asRow(chart: ChartUnderTest, history: readonly Happening[], cuts: ReadonlySet<number>): Promise<Course> {
  const course = newCourse();
  const { machine, pending } = chart.make();
  const heard = new WeakSet<AnyActorRef>();
  const rows = createCharts<'chart'>({
    machine,
    sampleInput: chart.input,
    contextOf: () => chart.context,
    liveActors: 0,
    inspect: undefined,
    onFault: (_, error) => {
      throw error;
    },
  });
  const hear = (): AnyActorRef => {
    const actor = rows.hold('chart');
    if (!heard.has(actor)) actor.on('*', (emitted) => course.emitted.push(emitted));
    heard.add(actor);
    rows.release('chart');
    return actor;
  };
  for (const [i, happening] of history.entries()) {
    const saved = rows.peek('chart');
    if (cuts.has(i) && saved && !isEnded(saved)) {
      const { value, context } = JSON.parse(JSON.stringify(stationOf(saved)));
      rows.restore('chart', value, context);
      hear();
    }
    await happen(happening, pending, (event) => {
      if (isEnded(rows.peek('chart'))) return;
      if ('do' in event) hear().send(event);
      else rows.deliver('chart', event);
    });
    rows.settle();
    const station = rows.peek('chart') ?? stationOf(createActor(machine, { input: chart.input } as never).getSnapshot());
    course.stations.push(stationOf(station));
  }
  rows.stop();
  return course;
}

const isEnded = (chart: { readonly value: unknown } | undefined): boolean =>
  chart?.value === 'done' || chart?.value === 'expired' || chart?.value === 'cancelled';

const historiesOf = (chart: ChartUnderTest) => fc.array(chart.happening, { minLength: 1, maxLength: 40 }).map(inOrder);
const named = (list: readonly ChartUnderTest[]) => list.map((chart) => [chart.name, chart] as const);

test.each(named(charts()))(
  'a chart that is saved and restored anywhere goes on as if nothing had happened: %s',
  async (_, chart) => {
    await fc.assert(
      fc.asyncProperty(historiesOf(chart), fc.array(fc.nat(39), { maxLength: 8 }), async (history, cuts) => {
        expect(await live(chart, history, new Set(cuts))).toEqual(await live(chart, history, new Set()));
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);

test.each(named(charts().filter((chart) => chart.hasRows)))(
  'a chart that is kept as a row while it is quiet comes to the same as a live one: %s',
  async (_, chart) => {
    await fc.assert(
      fc.asyncProperty(historiesOf(chart), fc.array(fc.nat(39), { maxLength: 4 }), async (history, cuts) => {
        expect(await asRow(chart, history, new Set(cuts))).toEqual(await live(chart, history, new Set()));
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);
