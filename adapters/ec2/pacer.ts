import type { ActionBuckets, Ec2Action } from './buckets.ts';
import { orAborted } from './or-aborted.ts';
import { answered, type Bucket, drained, fullLevel, type Level, taken, waitMs } from './token-bucket.ts';

/** Time as the driver has it; a simulation brings its own. */
export interface Ec2Clock {
  /** Milliseconds that never go back. */
  readonly now: () => number;
  /** Resolves after `ms`; rejects as soon as the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Lets requests go when EC2's buckets hold tokens for them. */
export interface Pacer {
  /**
   * Resolves when a request that touches `instances` may be sent, first come first served; its tokens are taken then.
   *
   * @returns what to call once it was answered, or will not be
   */
  take(action: Ec2Action, instances: number, signal: AbortSignal): Promise<() => void>;
  /** How long the buckets alone would let it wait if it were asked for now; others may be before it. */
  waitMs(action: Ec2Action, instances: number): number;
  /** EC2 has throttled such a request: a bucket held less than it was believed to. */
  throttled(action: Ec2Action, instances: number): void;
  /** How many instances one request may touch at most. */
  mostInstances(action: Ec2Action): number;
}

/** How long refills are believed to be slower after a throttle answer: somebody else draws on the account's buckets too. */
const SLOW_MS = 30_000;
const SLOWEST = 1 / 8;

export function createPacer(buckets: ReadonlyMap<Ec2Action, ActionBuckets>, { now, sleep }: Ec2Clock): Pacer {
  const lanes = new Map([...buckets].map(([action, both]) => [action, createLane(both, now())]));

  const laneOf = (action: Ec2Action): Lane => {
    const lane = lanes.get(action);
    if (!lane) throw new TypeError(`no buckets of ${action}`);
    return lane;
  };

  async function waitForTokens(lane: Lane, instances: number, signal: AbortSignal): Promise<() => void> {
    for (;;) {
      signal.throwIfAborted();
      const wait = lane.waitMs(instances, now());
      if (wait === 0) break;
      if (Number.isFinite(wait)) await sleep(wait, signal);
      else await orAborted(lane.answer(), signal);
    }
    lane.take(instances, now());
    return () => lane.answered(instances, now());
  }

  return {
    async take(action, instances, signal) {
      signal.throwIfAborted();
      const lane = laneOf(action);
      const turn = lane.tail.then(() => waitForTokens(lane, instances, signal));
      lane.tail = turn.then(ignored, ignored);
      try {
        // Whoever gives up need not stay in the queue until it is its turn.
        return await orAborted(turn, signal);
      } catch (error) {
        turn.then((answered) => answered(), ignored);
        throw error;
      }
    },
    waitMs: (action, instances) => laneOf(action).waitMs(instances, now()),
    throttled: (action, instances) => laneOf(action).throttled(instances, now()),
    mostInstances: (action) => Math.floor(laneOf(action).most),
  };
}

const ignored = (): void => {};

/** One action's buckets, and the end of the queue for them. */
interface Lane {
  tail: Promise<void>;
  readonly most: number;
  waitMs(instances: number, now: number): number;
  take(instances: number, now: number): void;
  answered(instances: number, now: number): void;
  throttled(instances: number, now: number): void;
  /** Resolves with the next answer. */
  answer(): Promise<void>;
}

type Change = (bucket: Bucket, level: Level, cost: number, now: number) => Level;

function createLane({ request, resource }: ActionBuckets, start: number): Lane {
  let slow = { factor: 1, until: start };
  let requests: Level = fullLevel(request, start);
  let resources: Level | undefined = resource && fullLevel(resource, start);
  const waiting: (() => void)[] = [];

  const slowed = ({ capacity, perSecond }: Bucket, now: number): Bucket => ({
    capacity,
    perSecond: now < slow.until ? perSecond * slow.factor : perSecond,
  });

  function change(to: Change, instances: number, now: number): void {
    requests = to(slowed(request, now), requests, 1, now);
    if (resource && resources) resources = to(slowed(resource, now), resources, instances, now);
  }

  return {
    tail: Promise.resolve(),
    most: resource?.capacity ?? Number.MAX_SAFE_INTEGER,
    waitMs: (instances, now) =>
      Math.max(
        waitMs(slowed(request, now), requests, 1, now),
        resource && resources ? waitMs(slowed(resource, now), resources, instances, now) : 0,
      ),
    take: (instances, now) => change(taken, instances, now),
    answered(instances, now) {
      change(answered, instances, now);
      for (const wake of waiting.splice(0)) wake();
    },
    throttled(instances, now) {
      const before = now < slow.until ? slow.factor : 1;
      slow = { factor: Math.max(SLOWEST, before / 2), until: now + SLOW_MS };
      change(drained, instances, now);
    },
    answer: () => new Promise((resolve) => waiting.push(resolve)),
  };
}
