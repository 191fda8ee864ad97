import fc from 'fast-check';

/** Values that nobody means, and some that somebody means badly. */
export const hostile: fc.Arbitrary<unknown> = fc.oneof(
  fc.anything({ withNullPrototype: true, withDate: true, withMap: true, withBigInt: true, withSparseArray: true, maxDepth: 4 }),
  fc.constantFrom(
    JSON.parse('{"__proto__":{"polluted":true}}'),
    JSON.parse('{"constructor":{"prototype":{"polluted":true}}}'),
    '\u001b[2J\u202e',
    'x'.repeat(100_000),
    Number.NaN,
    Number.POSITIVE_INFINITY,
    [[[[[[]]]]]],
  ),
);

/** Every place of a value. */
const places = (value: unknown): readonly (readonly string[])[] =>
  typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([field, inner]) => [[field], ...places(inner).map((below) => [field, ...below])])
    : [];

const replaced = (root: unknown, [field = '', ...below]: readonly string[], by: unknown): void => {
  const at = root as Record<string, unknown>;
  if (below.length > 0) replaced(at[field], below, by);
  else Object.defineProperty(at, field, { value: by, enumerable: true, configurable: true, writable: true });
};

/** Something sound with anything at one of its places, and perhaps a field more. */
export const damaged = (sound: () => unknown, secret: string): fc.Arbitrary<unknown> =>
  fc.tuple(fc.constantFrom(...places(sound())), hostile, fc.option(fc.string({ maxLength: 20 }))).map(([place, by, extra]) => {
    const raw = sound();
    replaced(raw, place, by);
    if (extra !== null) replaced(raw, [extra], secret);
    return raw;
  });
