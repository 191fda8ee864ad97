import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createActor } from 'xstate';
import { charts, happen } from './chart-histories.ts';
import { PATIENCE_MS, RUNS } from './runs.ts';

test.each(charts('strange').map((chart) => [chart.name, chart] as const))(
  'no order of events, and no view however strange, makes a chart fail: %s',
  async (_, chart) => {
    await fc.assert(
      fc.asyncProperty(fc.array(chart.happening, { maxLength: 60 }), async (history) => {
        const { machine, pending } = chart.make();
        const actor = createActor(machine, { input: chart.input } as never);
        const errors: unknown[] = [];
        actor.subscribe({ error: (error) => errors.push(error) });
        actor.start();
        for (const happening of history)
          await happen(happening, pending, (event) => {
            if (actor.getSnapshot().status === 'active') actor.send(event);
          });
        expect(errors).toEqual([]);
        expect(actor.getSnapshot().status).not.toBe('error');
        actor.stop();
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);
