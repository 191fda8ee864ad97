import { isForbiddenName } from '../../domain/identity.ts';
import { type Path, shown } from '../../wire/refusal.ts';
import type { Mistake } from './mistake.ts';

const MAX_DEPTH = 32;
const MAX_VALUES = 500_000;

/**
 * The first thing that makes a value unfit to be looked into by its field names: a name that means something to JavaScript
 * objects, a cycle, too great a depth or size. Null where there is none. Objects with functions are adapters: nobody's text.
 */
export function wildnessOf(root: unknown): Mistake | null {
  const path: (string | number)[] = [];
  const above = new Set<object>();
  let values = 0;

  const mistake = (foundText: string, allowed: string): Mistake => ({ path: [...path], found: foundText, allowed });

  const visit = (value: unknown): Mistake | null => {
    if (++values > MAX_VALUES) return mistake('more than that', `at most ${MAX_VALUES} values`);
    if (typeof value !== 'object' || value === null || isAdapter(value)) return null;
    if (above.has(value)) return mistake('an object that contains itself', 'a tree of values');
    if (path.length >= MAX_DEPTH) return mistake(`level ${path.length + 1}`, `at most ${MAX_DEPTH} levels`);
    above.add(value);
    for (const [field, item] of entriesOf(value)) {
      if (typeof field === 'string' && isForbiddenName(field)) return mistake(`the name ${shown(field)}`, 'any other name');
      path.push(field);
      const wrong = visit(item);
      if (wrong) return wrong;
      path.pop();
    }
    above.delete(value);
    return null;
  };

  return visit(root);
}

const entriesOf = (value: object): Iterable<readonly [Path[number], unknown]> =>
  Array.isArray(value) ? value.entries() : Object.entries(value);

/** Whether a value is a program's object, such as a store or a driver. */
export const isAdapter = (value: object): boolean =>
  !Array.isArray(value) && Object.values(value).some((part) => typeof part === 'function');
