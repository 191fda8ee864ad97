import type { Instant } from '../domain/identity.ts';
import { malformed, shown } from './refusal.ts';

/** A time as the wire writes it: ISO 8601, UTC, milliseconds. */
export function isoTime(at: Instant | string): string {
  const date = new Date(at);
  const year = date.getUTCFullYear();
  if (year >= 0 && year <= 9999) return date.toISOString();
  throw malformed({ what: 'document', where: 'at', found: shown(at), allowed: 'a time of the years 0 to 9999' });
}
