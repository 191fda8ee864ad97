import { OK } from '../domain/codes.ts';
import type { Kind } from './document.ts';
import { isObject, type JsonObject } from './json.ts';

/** `object` with one field changed, where it has it; the order of its fields stays. */
const changed = (object: JsonObject, field: string, change: (value: unknown) => unknown): JsonObject =>
  Object.hasOwn(object, field) ? { ...object, [field]: change(object[field]) } : object;

const eachItem = (change: (item: JsonObject) => JsonObject) => (items: unknown) =>
  Array.isArray(items) ? items.map((item) => (isObject(item) ? change(item) : item)) : items;

const eachRow = (change: (row: JsonObject) => JsonObject) =>
  eachItem((entry) => Object.fromEntries(Object.entries(entry).map(([key, row]) => [key, isObject(row) ? change(row) : row])));

/** `0`, `"0"` and `3` were codes once. */
function sixCharacters(code: unknown): unknown {
  if (typeof code === 'number' && Number.isInteger(code) && code >= 0 && code <= 999_999) return String(code).padStart(6, '0');
  return typeof code === 'string' && /^\d{1,5}$/.test(code) ? code.padStart(6, '0') : code;
}

/** The text of the code of success was `On` once. */
const runningIfOn = (state: unknown): unknown => (state === 'On' ? 'running' : state);

function service(row: JsonObject): JsonObject {
  const coded = changed(row, 'code', sixCharacters);
  return coded.code === OK ? changed(coded, 'state', runningIfOn) : coded;
}

function event(row: JsonObject): JsonObject {
  const coded = changed(changed(row, 'code', sixCharacters), 'previous_code', sixCharacters);
  if (coded.type !== 'services') return coded;
  const now = coded.code === OK ? changed(coded, 'state', runningIfOn) : coded;
  return now.previous_code === OK ? changed(now, 'previous_state', runningIfOn) : now;
}

const action = (row: JsonObject): JsonObject => (row.event_type === 'services' ? changed(row, 'event_state', runningIfOn) : row);

/** `return` was the code itself, or had it under `error`; where it is the question, it has no code and stays. */
function returned(value: unknown): unknown {
  if (typeof value === 'string' || typeof value === 'number') return { code: sixCharacters(value) };
  if (!isObject(value)) return value;
  if (Object.hasOwn(value, 'code') || !Object.hasOwn(value, 'error')) return changed(value, 'code', sixCharacters);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => (key === 'error' ? ['code', sixCharacters(item)] : [key, item])),
  );
}

const status = (body: unknown): unknown =>
  isObject(body) ? changed(changed(body, 'services', eachRow(service)), 'return', returned) : body;

const MODERN: { readonly [K in Kind]: (body: JsonObject) => unknown } = {
  command: (body) => body,
  heartbeat: (body) => changed(changed(body, 'instances_status', status), 'services_status', status),
  actions: (body) => changed(changed(body, 'actions', eachItem(action)), 'return', returned),
  events: (body) => changed(body, 'events', eachItem(event)),
  reply: status,
  instances: status,
  services: status,
};

/** What the old writers produced, as the strict shapes have it; whatever else is wrong is left as it is, to be refused. */
export const modernised = (kind: Kind, body: JsonObject): unknown => MODERN[kind](body);
