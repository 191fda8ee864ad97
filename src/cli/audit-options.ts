import { asInstant, type Instant } from '../domain/identity.ts';
import { shown } from '../wire/refusal.ts';
import { parseDuration } from './duration.ts';
import { usageError } from './usage.ts';

/** What is asked of an audit log. */
export interface AuditAsked {
  /** Instead of the one that the configuration names. */
  readonly file?: string;
  readonly since?: Instant;
  /** A key, a name or an id. */
  readonly entity?: string;
  /** Instead of its lines: whether all of them are as they were written. */
  readonly verify: boolean;
  readonly json: boolean;
}

/** The options as the parser of arguments gives them. */
export interface RawAuditOptions {
  readonly file?: string;
  readonly since?: string;
  readonly entity?: string;
  readonly verify?: boolean;
  readonly json?: boolean;
}

/** @throws FleetError ER0222 where `since` is no time, or `verify` is asked with what it does not heed */
export function readAuditOptions(raw: RawAuditOptions, now: number): AuditAsked {
  const { file, since, entity, verify = false, json = false } = raw;
  if (verify && (since !== undefined || entity !== undefined))
    throw usageError('--verify looks at every line; found --since or --entity beside it');
  return {
    verify,
    json,
    ...(file !== undefined && { file }),
    ...(since !== undefined && { since: timeOf(since, now) }),
    ...(entity !== undefined && { entity }),
  };
}

const DAYS = /^(\d{1,4})d$/;
const DAY_MS = 86_400_000;
const TIME = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})?)?$/;

function timeOf(text: string, now: number): Instant {
  const [, days] = DAYS.exec(text) ?? [];
  const ago = days === undefined ? parseDuration(text) : Number(days) * DAY_MS;
  if (ago !== null) return asInstant(now - ago);
  const at = TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return asInstant(at);
  throw usageError(
    `--since: found ${shown(text)}, allowed: how long ago, such as 30m, 12h or 7d, or a time such as 2026-05-01 or 2026-05-01T08:30:00Z`,
  );
}
