import { DEFAULT_LATENCY_MS } from '../simulated-latency.ts';

/** What can go wrong in a simulated cloud. */
export const CLOUD_FAULTS = [
  /** A request never arrives, and the connection breaks. */
  'requestLost',
  /** A request is applied, but the connection breaks before its answer. */
  'replyLost',
  /** A request is answered with 503 `Unavailable`, and not applied. */
  'unavailable',
  /** A request is answered with 503 `RequestLimitExceeded`, whatever its buckets hold. */
  'throttled',
  /** A launch or start is answered with `InsufficientInstanceCapacity`. */
  'noCapacity',
  /** An instance that is launched is taken back some time later, as spot instances are. */
  'interrupted',
  /** After a change, reads show what was for a while: a new instance is neither listed nor found. */
  'eventualConsistency',
] as const;

export type CloudFault = (typeof CLOUD_FAULTS)[number];

/** What can go wrong with one request. */
export type RequestFault = Exclude<CloudFault, 'interrupted' | 'eventualConsistency'>;

const SECOND = 1000;
const { pending, stopping, terminated, stale, 'ssh-up': sshUp, 'shutting-down': shuttingDown } = DEFAULT_LATENCY_MS;

/** How long everything takes in a simulated cloud unless told otherwise, as `[low, high]` in milliseconds. */
export const CLOUD_LATENCY_MS = {
  pending,
  'ssh-up': sshUp,
  stopping,
  'shutting-down': shuttingDown,
  terminated,
  /** How long eventual consistency keeps showing what was. */
  stale,
  /** How long an instance runs before the fault `interrupted` ends it. */
  interruption: [30 * SECOND, 300 * SECOND],
  /** A request and its answer on their way. */
  answer: [0, 0],
} as const satisfies Record<string, readonly [number, number]>;

/** Something that takes time in a simulated cloud. */
export type CloudDelay = keyof typeof CLOUD_LATENCY_MS;
