/** A bucket of tokens: `capacity` at most, of which `perSecond` come back each second. */
export interface Bucket {
  readonly capacity: number;
  readonly perSecond: number;
}

/** What a bucket at the provider holds for certain, whenever it takes what is still on its way there. */
export interface Level {
  readonly tokens: number;
  /** Tokens of requests that were sent and not answered: the provider may have taken them, or not yet. */
  readonly inFlight: number;
  /** The instant from which seconds are counted. */
  readonly since: number;
}

const SECOND_MS = 1000;

export const fullLevel = ({ capacity }: Bucket, now: number): Level => ({ tokens: capacity, inFlight: 0, since: now });

/**
 * Only whole seconds count, since nobody says whether the provider refills by the second or all the time, and at which phase; and
 * only what finds room while the provider has not taken yet what is in flight.
 */
export function levelAt({ capacity, perSecond }: Bucket, { tokens, inFlight, since }: Level, now: number): Level {
  const seconds = Math.max(0, Math.floor((now - since) / SECOND_MS));
  return {
    tokens: Math.max(tokens, Math.min(capacity - inFlight, tokens + seconds * perSecond)),
    inFlight,
    since: since + seconds * SECOND_MS,
  };
}

/** How long until the bucket holds `cost`; 0 where it does. Infinite where it does not before something in flight is answered. */
export function waitMs(bucket: Bucket, level: Level, cost: number, now: number): number {
  const { tokens, inFlight, since } = levelAt(bucket, level, now);
  if (tokens >= cost) return 0;
  if (cost > bucket.capacity - inFlight) return Number.POSITIVE_INFINITY;
  return since + Math.ceil((cost - tokens) / bucket.perSecond) * SECOND_MS - now;
}

/** The level once `cost`, which the bucket must hold, is on its way. */
export function taken(bucket: Bucket, level: Level, cost: number, now: number): Level {
  const { tokens, inFlight, since } = forgetting(bucket, levelAt(bucket, level, now), now);
  return { tokens: tokens - cost, inFlight: inFlight + cost, since };
}

/** The level once the provider has answered a request of that `cost`. */
export function answered(bucket: Bucket, level: Level, cost: number, now: number): Level {
  const { tokens, inFlight, since } = forgetting(bucket, levelAt(bucket, level, now), now);
  return { tokens, inFlight: inFlight - cost, since };
}

/** The level once the provider has said that its own held less than `cost`. */
export function drained(bucket: Bucket, level: Level, cost: number, now: number): Level {
  const { tokens, inFlight } = levelAt(bucket, level, now);
  return { tokens: Math.max(0, Math.min(tokens, cost - 1)), inFlight, since: now };
}

/** Where one refill more would fill the bucket, the provider may have thrown a part of this second's away. */
const forgetting = ({ capacity, perSecond }: Bucket, level: Level, now: number): Level =>
  level.tokens + level.inFlight + perSecond >= capacity ? { ...level, since: now } : level;
