import { isForbiddenName } from '../domain/identity.ts';
import { isObject, type JsonObject } from './json.ts';
import type { Limits } from './limits.ts';
import { malformed, pathText, shown, tooLarge } from './refusal.ts';
import { isSecret } from './secrets.ts';

/** Lists whose entries are objects with strangers' names for keys: a service may well be called `token`. */
const NAMED_LISTS: ReadonlySet<string> = new Set(['instances', 'services', 'interfaces']);

/**
 * What may travel of a JSON value: the value itself, or a copy where a secret is left out.
 * Refuses names that mean something to JavaScript objects, numbers that would not be kept, and what is too deep or too long.
 */
export function guard(root: unknown, limits: Pick<Limits, 'maxDepth' | 'maxEntities'>): unknown {
  const path: (string | number)[] = [];
  let hiddenFrom = Number.POSITIVE_INFINITY;
  let entities = 0;

  const where = () => pathText(path.slice(0, hiddenFrom));

  const visit = (value: unknown, areNames: boolean): unknown => {
    if (typeof value === 'number') refuseLossy(value);
    if (typeof value !== 'object' || value === null) return value;
    if (path.length >= limits.maxDepth) {
      const found = `level ${path.length + 1}`;
      throw tooLarge({ what: 'document', where: where(), found, allowed: `at most ${limits.maxDepth} levels` });
    }
    if (Array.isArray(value)) return visitList(value);
    return isObject(value) ? visitObject(value, areNames) : value;
  };

  const visitList = (list: readonly unknown[]): unknown => {
    entities += list.length;
    if (entities > limits.maxEntities) {
      const allowed = `at most ${limits.maxEntities} in all lists together`;
      throw tooLarge({ what: 'document', where: where(), found: `${entities} entries`, allowed });
    }
    const areNames = NAMED_LISTS.has(String(path.at(-1)));
    let kept: unknown[] | null = null;
    for (const [index, item] of list.entries()) {
      path.push(index);
      const clean = visit(item, areNames);
      path.pop();
      if (clean !== item) {
        kept ??= [...list];
        kept[index] = clean;
      }
    }
    return kept ?? list;
  };

  const visitObject = (object: JsonObject, areNames: boolean): unknown => {
    let kept: Map<string, unknown> | null = null;
    for (const field of Object.keys(object)) {
      const value = object[field];
      if (isForbiddenName(field)) {
        throw malformed({ what: 'document', where: where(), found: `the name ${shown(field)}`, allowed: 'any other name' });
      }
      const isDropped = !(areNames && typeof value === 'object') && isSecret(field, value);
      const clean = visitField(field, value, isDropped);
      if (!isDropped && clean === value) continue;
      kept ??= new Map(Object.entries(object));
      if (isDropped) kept.delete(field);
      else kept.set(field, clean);
    }
    return kept === null ? object : Object.fromEntries(kept);
  };

  /** A secret is looked through as well, but what stands in it is told by no path. */
  const visitField = (field: string, value: unknown, isHidden: boolean): unknown => {
    const wasHiddenFrom = hiddenFrom;
    path.push(field);
    if (isHidden) hiddenFrom = Math.min(hiddenFrom, path.length);
    const clean = visit(value, false);
    path.pop();
    hiddenFrom = wasHiddenFrom;
    return clean;
  };

  const refuseLossy = (value: number): void => {
    if (Number.isFinite(value) && (Number.isSafeInteger(value) || !Number.isInteger(value))) return;
    const allowed = 'numbers that a double keeps exactly';
    const found = Number.isFinite(value) ? 'an integer beyond 2^53' : 'a number without bounds';
    throw malformed({ what: 'document', where: where(), found, allowed });
  };

  return visit(root, false);
}
