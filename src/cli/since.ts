import { asInstant, type Instant } from '../domain/identity.ts';
import { shown } from '../wire/refusal.ts';
import { parseDuration } from './duration.ts';
import { usageError } from './usage.ts';

const DAYS = /^(\d{1,4})d$/;
const DAY_MS = 86_400_000;
const TIME = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})?)?$/;

/**
 * The time that `--since` means: how long ago, or a time.
 *
 * @throws FleetError ER0222 where it is neither
 */
export function sinceOf(text: string, now: number): Instant {
  const [, days] = DAYS.exec(text) ?? [];
  const ago = days === undefined ? parseDuration(text) : Number(days) * DAY_MS;
  if (ago !== null) return asInstant(now - ago);
  const at = TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return asInstant(at);
  throw usageError(
    `--since: found ${shown(text)}, allowed: how long ago, such as 30m, 12h or 7d, or a time such as 2026-05-01 or 2026-05-01T08:30:00Z`,
  );
}
