/**
 * What stands at a path inside of a parsed answer; undefined where anything on the way is missing or not what it should be. It
 * never throws, and sees nothing that the answer does not hold itself.
 *
 * @example
 * ```ts
 * at(answer, 'meta', 'pagination', 'next_page');
 * ```
 */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let found = value;
  for (const name of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return undefined;
    found = (found as Readonly<Record<string, unknown>>)[name];
  }
  return found;
}

/** The list at a path; null where there is none. */
export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] | null {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : null;
}

/** The text at a path; undefined where there is none. */
export function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : undefined;
}
