import type { KnownCode } from '../domain/codes.ts';
import { printable } from '../domain/printable.ts';
import { FleetError } from '../errors.ts';

/** Where something stands in a document: names of fields and positions in lists. */
export type Path = readonly (string | number)[];

export interface Refusal {
  /** What was read: `heartbeat`, `document`. */
  readonly what: string;
  /** A path or a position, as text. */
  readonly where: string;
  /** What stands there, as text made by {@link shown}. */
  readonly found: string;
  readonly allowed: string;
}

/** A FleetError that says what, where, found and allowed. */
export const refusal = (code: KnownCode, { what, where, found, allowed }: Refusal): FleetError =>
  new FleetError(code, `${what} at ${where}: found ${found}, allowed: ${allowed}`);

export const malformed = (parts: Refusal): FleetError => refusal('ER0222', parts);
export const tooLarge = (parts: Refusal): FleetError => refusal('ER0223', parts);

const SHOWN_LENGTH = 40;

/** A value as an error may show it: short, printable, never the inside of an object or list. */
export function shown(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string') return sortOf(value);
  const short = printable(value.slice(0, SHOWN_LENGTH).replace(/["\\]/g, '\\$&'));
  return value.length > SHOWN_LENGTH ? `"${short}…" (${value.length} characters)` : `"${short}"`;
}

/** What sort of value stands where another sort belongs; its content tells nothing, and might be a secret. */
export function sortOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'string') return 'a text';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

const PLAIN_FIELD = /^[A-Za-z_][\w.-]{0,63}$/;

/** `services_status.services[3].node11.code` */
export function pathText(path: Path): string {
  if (path.length === 0) return 'its root';
  const parts = path.map((part) => {
    if (typeof part === 'number') return `[${part}]`;
    return PLAIN_FIELD.test(part) ? `.${part}` : `[${shown(part)}]`;
  });
  return parts.join('').replace(/^\./, '');
}

export const oneOf = (words: readonly string[]): string => words.join(', ');
