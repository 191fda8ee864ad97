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
 * The same chart as a fleet keeps it: a row. Before the happenings whose index is in `held` somebody takes hold of it, so that it
 * becomes an actor, whatever it is doing, and is a row again once it is quiet. At each cut it is made anew from its value and
 * context alone, as after a restart.
 */
async function asRow(
  chart: ChartUnderTest,
  history: readonly Happening[],
  { cuts, held }: { readonly cuts: ReadonlySet<number>; readonly held: ReadonlySet<number> },
): Promise<Course> {
  const course = newCourse();
  const { machine, effects, pending } = chart.make();
  const rows = createCharts<'chart'>({
    machine,
    effects,
    contextOf: () => chart.context,
    liveActors: 0,
    inspect: undefined,
    onFault: (_, error) => {
      throw error;
    },
  });
  rows.listen('chart', { emitted: (event) => course.emitted.push(event) });
  for (const [i, happening] of history.entries()) {
    const saved = rows.peek('chart');
    if (cuts.has(i) && saved && !isEnded(saved)) {
      const { value, context } = JSON.parse(JSON.stringify(stationOf(saved)));
      rows.restore('chart', value, context);
    }
    if (held.has(i)) {
      rows.hold('chart');
      rows.release('chart');
    }
    await happen(happening, pending, (event) => {
      if (!isEnded(rows.peek('chart'))) rows.deliver('chart', event);
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

const indexes = fc.array(fc.nat(39), { maxLength: 4 });
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

test.each(named(charts()))(
  'a chart that is a row, or an actor now and then, comes to the same as one that XState runs: %s',
  async (_, chart) => {
    await fc.assert(
      fc.asyncProperty(historiesOf(chart), indexes, indexes, async (history, cuts, held) => {
        const course = await asRow(chart, history, { cuts: new Set(cuts), held: new Set(held) });
        expect(course).toEqual(await live(chart, history, new Set()));
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);
