import fc from 'fast-check';
import type { Change, Inventory } from 'fleetbeat';
import { expect, test } from 'vitest';
import { dataOf, histories, POLICY, stage, viewsOf } from './inventory-histories.ts';
import { PATIENCE_MS, RUNS } from './runs.ts';

const textOf = (changes: readonly Change[]): readonly string[] => changes.map(({ kind, key }) => `${kind} ${key}`);

const picture = (inventory: Inventory): readonly unknown[] => [...viewsOf(inventory).values()].map(dataOf);

test(
  'a heartbeat that comes again, at once or late, changes nothing',
  () => {
    fc.assert(
      fc.property(histories, fc.nat(), (history, draw) => {
        const { inventory, told, happen, again } = stage();
        for (const happening of history) {
          happen(happening);
          const newest = told.at(-1);
          const older = told[draw % Math.max(told.length, 1)];
          for (const spoken of [newest, older]) {
            if (!spoken) continue;
            const before = picture(inventory);
            expect(textOf(again(spoken))).toEqual([]);
            expect(picture(inventory)).toEqual(before);
          }
        }
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);

test(
  'a source that says the same again tells nothing new, once its doubts are settled',
  () => {
    fc.assert(
      fc.property(histories, (history) => {
        const { told, happen, anew } = stage();
        for (const happening of history) happen(happening);
        const last = told.at(-1);
        if (!last) return;
        for (let i = 0; i < POLICY.tolerance; i++) anew(last);
        expect(textOf(anew(last))).toEqual([]);
      }),
      RUNS,
    );
  },
  PATIENCE_MS,
);
