/** A bucket of tokens: `capacity` at most, of which `perSecond` come back each second. */
export interface Bucket {
  readonly capacity: number;
  readonly perSecond: number;
}

/** What a bucket holds for certain, with the instant from which its seconds are counted. */
export interface Level {
  readonly tokens: number;
  readonly since: number;
}

const SECOND_MS = 1000;

export const fullLevel = ({ capacity }: Bucket, now: number): Level => ({ tokens: capacity, since: now });

/** Only whole seconds count: whether the provider refills by the second or all the time, and at which phase, nobody says. */
export function levelAt({ capacity, perSecond }: Bucket, { tokens, since }: Level, now: number): Level {
  const seconds = Math.max(0, Math.floor((now - since) / SECOND_MS));
  return { tokens: Math.min(capacity, tokens + seconds * perSecond), since: since + seconds * SECOND_MS };
}

/** How long until the bucket holds `cost`; 0 where it does. Infinite where it never can. */
export function waitMs(bucket: Bucket, level: Level, cost: number, now: number): number {
  if (cost > bucket.capacity) return Number.POSITIVE_INFINITY;
  const { tokens, since } = levelAt(bucket, level, now);
  if (tokens >= cost) return 0;
  return since + Math.ceil((cost - tokens) / bucket.perSecond) * SECOND_MS - now;
}

/** The level once `cost` is taken at `now`, which the bucket must hold. */
export function taken(bucket: Bucket, level: Level, cost: number, now: number): Level {
  const { tokens, since } = levelAt(bucket, level, now);
  // One refill more would fill it, so that the provider may have thrown a part of this second's away.
  const mayHaveOverflown = tokens + bucket.perSecond >= bucket.capacity;
  return { tokens: tokens - cost, since: mayHaveOverflown ? now : since };
}

/** The level once the provider has said that its own held less than `cost`. */
export function drained(bucket: Bucket, level: Level, cost: number, now: number): Level {
  const { tokens } = levelAt(bucket, level, now);
  return { tokens: Math.max(0, Math.min(tokens, cost - 1)), since: now };
}
