import * as v from 'valibot';
import type { Named } from './document.ts';
import { list, object } from './fields.ts';

/** A part of a value that contradicts the rest of it. */
export interface Disagreement {
  readonly at: string | number;
  readonly found: unknown;
  readonly allowed: string;
}

/** A schema that also refuses a value that contradicts itself. */
export const agreeing = <const Schema extends v.GenericSchema>(
  schema: Schema,
  disagreementOf: (value: v.InferOutput<Schema>) => Disagreement | null,
) =>
  v.pipe(
    schema,
    v.rawCheck<v.InferOutput<Schema>>(({ dataset, addIssue }) => {
      const wrong = dataset.typed ? disagreementOf(dataset.value) : null;
      if (wrong === null) return;
      const path: v.UnknownPathItem = { type: 'unknown', origin: 'value', input: null, key: wrong.at, value: wrong.found };
      addIssue({ message: wrong.allowed, input: wrong.found, path: [path] });
    }),
  );

const oneKeyObject = v.pipe(
  object,
  v.check((entry) => Object.keys(entry).length === 1, 'an object of one key'),
);

/**
 * A list of one-key objects, the key the name of its row.
 * @param keyOf the name that a row gives itself
 * @param identityOf what no two rows of the list may share
 */
export const namedList = <Row extends object>(
  row: v.GenericSchema<unknown, Row>,
  keyOf: (row: Row) => string | null,
  identityOf: (row: Row) => string | null = keyOf,
): v.GenericSchema<unknown, readonly Named<Row>[]> => {
  const entry = agreeing(v.pipe(oneKeyObject, v.record(v.string(), row)), (named) => {
    const wrong = Object.entries(named).find(([key, found]) => keyOf(found) !== key);
    return wrong ? { at: wrong[0], found: keyOf(wrong[1]), allowed: 'a row that calls itself as its key does' } : null;
  });
  return agreeing(list(entry), (entries) => {
    const seen = new Set<string | null>();
    const again = rowsOf(entries).findIndex((found) => seen.size === seen.add(identityOf(found)).size);
    return again < 0 ? null : { at: again, found: Object.keys(entries[again] ?? {})[0], allowed: 'each entity once' };
  });
};

/** The rows of a list of one-key objects. */
export const rowsOf = <Row>(entries: readonly Named<Row>[]): readonly Row[] => entries.flatMap((entry) => Object.values(entry));
