import * as v from 'valibot';
import { asEntityKey, isName, isProviderId, parseIp, wantedOf } from '../domain/identity.ts';
import { isObject, type JsonObject } from './json.ts';
import { oneOf } from './refusal.ts';

// The message of a schema says what it allows: a refusal shows it beside what was found.

const text = (allowed: string, passes: (found: string) => boolean = () => true) =>
  v.pipe(v.string(allowed), v.check(passes, allowed));

const ISO_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;

/** Whether a text is the key of a service, of an instance, or of an instance that is wanted at an ip. */
function isEntityKey(found: string): boolean {
  const [level, cloudOrName = '', ...id] = found.split('/');
  if (level === 'services' || level === 'clusters') return id.length === 0 && isName(cloudOrName);
  if (level !== 'instances' || !isName(cloudOrName)) return false;
  const wanted = wantedOf(asEntityKey(found));
  return wanted === null ? isProviderId(id.join('/')) : parseIp(wanted.ip) === wanted.ip;
}

export const anyText = text('a text');
export const name = text('a name: a letter or digit, then at most 62 letters, digits, ".", "_", "-"', isName);
export const providerId = text("a provider's id: at most 255 visible ASCII characters, no quotes, no backslash", isProviderId);
export const ip = text('an IPv4 or IPv6 address', (found) => parseIp(found) !== null);
export const noIp = (none: string) =>
  text(`an IPv4 or IPv6 address, or "${none}"`, (found) => found === none || parseIp(found) !== null);
export const nameOrIp = text('a name or an ip', (found) => isName(found) || parseIp(found) !== null);
export const entityKey = text('the key of an entity, such as services/<name>', isEntityKey);
export const code = text('a code of six characters', (found) => /^[0-9A-Z]{6}$/.test(found));
export const version = text('a version 1.x', (found) => /^1\.\d{1,4}$/.test(found));
export const instant = text('an ISO 8601 time in UTC', (found) => ISO_UTC.test(found) && !Number.isNaN(Date.parse(found)));
export const count = v.pipe(
  v.number('a number'),
  v.check((found) => Number.isSafeInteger(found) && found >= 0, 'a whole number from 0'),
);
export const word = <const Words extends readonly string[]>(words: Words) => v.picklist(words, oneOf(words));

export const object = v.custom<JsonObject>(isObject, 'an object');

/** These fields, and any others. */
export const looseFields = <const Entries extends v.ObjectEntries>(entries: Entries) =>
  v.looseObject(entries, 'a value: the field is required');

/** An object with these fields, and any others. */
export const fields = <const Entries extends v.ObjectEntries>(entries: Entries) => v.pipe(object, looseFields(entries));

export const list = <const Item extends v.GenericSchema>(item: Item) => v.array(item, 'a list');
