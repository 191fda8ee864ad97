import fc from 'fast-check';
import type { Change } from 'fleetbeat';
import { expect, test } from 'vitest';
import { dataOf, type Happening, histories, stage, viewsOf } from './inventory-histories.ts';
import { PATIENCE_MS, RUNS } from './runs.ts';

/** The same happening, its lists in the order that `draws` say. */
function shuffled(happening: Happening, draws: readonly number[]): Happening {
  if (happening.is !== 'beat') return happening;
  const reorder = <F>(items: readonly F[] | null) =>
    items === null
      ? null
      : items
          .map((item, i) => ({ item, at: draws[i] ?? 0 }))
          .sort((a, b) => a.at - b.at)
          .map(({ item }) => item);
  const { instances, services } = happening.beat;
  return { ...happening, beat: { ...happening.beat, instances: reorder(instances), services: reorder(services) } };
}

const told = (changes: readonly Change[]): readonly string[] =>
  changes.map(({ kind, key, from, to }) => JSON.stringify({ kind, key, from: from && dataOf(from), to: dataOf(to) })).sort();

test(
  'the order of a list changes neither the views nor what is told of them',
  () => {
    fc.assert(
      fc.property(
        histories,
        fc.array(fc.array(fc.double({ noNaN: true }), { minLength: 4, maxLength: 4 }), { minLength: 25 }),
        (history, draws) => {
          const [one, other] = [stage(), stage()];
          for (const [i, happening] of history.entries()) {
            expect(told(other.happen(shuffled(happening, draws[i] ?? [])))).toEqual(told(one.happen(happening)));
            const [views, others] = [viewsOf(one.inventory), viewsOf(other.inventory)];
            for (const [key, view] of views) expect(others.get(key) && dataOf(others.get(key) ?? view)).toEqual(dataOf(view));
            expect(others.size).toBe(views.size);
          }
        },
      ),
      RUNS,
    );
  },
  PATIENCE_MS,
);
