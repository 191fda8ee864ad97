import * as v from 'valibot';
import { type Ip, isName, isProviderId, parseIp } from '../../domain/identity.ts';
import { isObject, type JsonObject } from '../../wire/json.ts';
import { DURATION_ALLOWED, parseDuration } from '../duration.ts';
import { allowedWords } from '../nearest.ts';

// The message of a schema says what it allows: a mistake shows it beside what was found.

export const text = (allowed: string, passes: (found: string) => boolean = (found) => found !== '') =>
  v.pipe(v.string(allowed), v.check(passes, allowed));

export const name = text('a name: a letter or digit, then at most 62 letters, digits, ".", "_", "-"', isName);
export const providerId = text("a provider's id: at most 255 visible ASCII characters, no quotes, no backslash", isProviderId);
const address = text('an IPv4 or IPv6 address', (found) => parseIp(found) !== null);
/** In its canonical form. */
export const ip = v.pipe(
  address,
  v.transform((found) => parseIp(found) ?? (found as Ip)),
);
/** The same as the name of a field. */
export const ipName = v.pipe(
  address,
  v.transform((found): string => parseIp(found) ?? found),
);
export const path = text('the path of a file', (found) => found !== '' && !found.includes('\0'));

const HOST_AND_PORT = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;
export const server = text('host, host:port or [ipv6]:port', (found) => HOST_AND_PORT.test(found));

export const flag = v.boolean('true or false');

export const number = (low: number, high: number) => {
  const allowed = `a number from ${low} to ${high}`;
  return v.pipe(v.number(allowed), v.minValue(low, allowed), v.maxValue(high, allowed));
};

export const wholeNumber = (low: number, high: number) => {
  const allowed = `a whole number from ${low} to ${high}`;
  return v.pipe(v.number(allowed), v.integer(allowed), v.minValue(low, allowed), v.maxValue(high, allowed));
};

export const word = <const Words extends readonly string[]>(words: Words) => v.picklist(words, words.join(', '));

export const duration = v.pipe(
  v.string(DURATION_ALLOWED),
  v.check((found) => parseDuration(found) !== null, DURATION_ALLOWED),
);

const ARGV = 'a list of texts: a program and its arguments, never a shell line';
export const argv = v.pipe(
  v.array(v.string(ARGV), ARGV),
  v.check((found) => found[0] !== undefined && found[0] !== '' && found.every((part) => !part.includes('\0')), ARGV),
);

export const list = <const Item extends v.GenericSchema>(item: Item) => v.array(item, 'a list');

const object = v.custom<JsonObject>(isObject, 'an object');

/** An object by the names of its entries, such as clouds by name. */
export const byName = <const Key extends v.GenericSchema<string, string>, const Value extends v.GenericSchema>(
  key: Key,
  value: Value,
) => v.pipe(object, v.record(key, value, 'an object'));

/** An object with these fields and no others. */
export const exactly = <const Entries extends v.ObjectEntries>(entries: Entries) => {
  const own: Entries = Object.assign(Object.create(null), entries);
  return v.strictObject(own, ({ expected, input }) =>
    expected === 'never' && typeof input === 'string' ? allowedWords(input, Object.keys(own)) : 'a value: this field is required',
  );
};

export const section = <const Entries extends v.ObjectEntries>(entries: Entries) => v.pipe(object, exactly(entries));

/** A field with what it means, for `fleetbeat config rules`. */
export const described = <const Schema extends v.GenericSchema>(meaning: string, schema: Schema) =>
  v.pipe(schema, v.description(meaning));

export const optional = v.exactOptional;

/** One schema for some values, another for all others. */
export const eitherOr = <const One extends v.GenericSchema, const Other extends v.GenericSchema>(
  isOne: (value: unknown) => boolean,
  one: One,
  other: Other,
) => v.lazy<One | Other>((input) => (isOne(input) ? one : other));

const SECRET = 'an object {"env": "NAME"}: the name of the variable of the environment that holds it';
/** What never stands in a configuration itself. */
export const secret = v.pipe(
  v.custom<Readonly<Record<string, unknown>>>(isObject, SECRET),
  exactly({ env: text('the name of a variable of the environment', (found) => /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(found)) }),
);
