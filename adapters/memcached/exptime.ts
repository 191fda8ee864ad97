import { FleetError } from '../../src/errors.ts';

/** Up to here memcached counts from now; anything more it takes for a Unix time, long past. */
const RELATIVE_MAX_SECONDS = 30 * 24 * 60 * 60;
const UINT32_MAX = 0xffff_ffff;

/**
 * A ttl in the seconds that memcached understands. It counts whole ticks of its own clock, the first of which may be a moment
 * away: one second more keeps the value for at least as long as asked. 0 keeps it for good.
 */
export function exptime(ttlMs: number | undefined, nowMs: number): number {
  if (ttlMs === undefined) return 0;
  if (!Number.isFinite(ttlMs) || ttlMs <= 0) {
    throw new FleetError('ER0222', `ttlMs is ${ttlMs}, but must be a positive number of milliseconds`);
  }
  const seconds = Math.ceil(ttlMs / 1000) + 1;
  return Math.min(UINT32_MAX, seconds <= RELATIVE_MAX_SECONDS ? seconds : Math.ceil(nowMs / 1000) + seconds);
}
