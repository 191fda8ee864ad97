import type { Instant } from '../domain/identity.ts';
import { sinceOf } from './since.ts';
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
    ...(since !== undefined && { since: sinceOf(since, now) }),
    ...(entity !== undefined && { entity }),
  };
}
