import { FleetError } from '../../errors.ts';
import type { Random } from '../random.ts';
import type { Ec2Action, Ec2Actions, RequestOf } from './actions.ts';

/** Tokens that requests take: so many at most, and so many are added each second, of which what finds no room is lost. */
export interface Bucket {
  readonly capacity: number;
  readonly perSecond: number;
}

/** The buckets of an account: one for the requests of each action, some also for the instances that a request is about. */
export interface Buckets {
  readonly requests: Readonly<Record<Ec2Action, Bucket>>;
  /** Reads of everything in one piece, without a page size, a filter or ids. */
  readonly unpagedReads: Bucket;
  readonly resources: Readonly<Partial<Record<Ec2Action, Bucket>>>;
}

const bucket = (capacity: number, perSecond: number): Bucket => ({ capacity, perSecond });
const READING = bucket(100, 20);
const CHANGING = bucket(50, 5);

/**
 * What AWS documents for an account without raised limits.
 * @see https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
 */
export const EC2_BUCKETS: Buckets = {
  requests: {
    DescribeInstances: READING,
    DescribeInstanceStatus: READING,
    DescribeNetworkInterfaces: READING,
    DescribeAddresses: READING,
    RunInstances: bucket(5, 2),
    StartInstances: bucket(5, 2),
    StopInstances: CHANGING,
    RebootInstances: CHANGING,
    TerminateInstances: bucket(100, 5),
    CreateTags: bucket(100, 10),
    AssociateAddress: CHANGING,
    DisassociateAddress: CHANGING,
    AssignPrivateIpAddresses: bucket(100, 5),
    UnassignPrivateIpAddresses: bucket(100, 5),
  },
  unpagedReads: bucket(50, 10),
  resources: {
    RunInstances: bucket(1000, 2),
    StartInstances: bucket(1000, 2),
    StopInstances: bucket(1000, 20),
    TerminateInstances: bucket(1000, 20),
  },
};

/** The actions whose whole list has a smaller bucket of its own. */
const LISTS: ReadonlySet<Ec2Action> = new Set(['DescribeInstances', 'DescribeInstanceStatus', 'DescribeNetworkInterfaces']);

/** Whether a request finds the tokens that it needs, and takes them. */
export type Throttle = <A extends Ec2Action>(action: A, request: RequestOf<A>, now: number) => boolean;

const SECOND_MS = 1000;

/**
 * Each bucket is filled at its own instant of every second, which the seed decides.
 *
 * @throws FleetError ER0230 for a bucket that cannot be
 */
export function createThrottle({ requests, unpagedReads, resources }: Buckets, random: Random): Throttle {
  const levels = new Map<string, { tokens: number; readonly phaseMs: number; fills: number }>();

  for (const [name, { capacity, perSecond }] of [
    ...Object.entries({ ...requests, unpagedReads }),
    ...Object.entries(resources),
  ]) {
    if (capacity >= 1 && perSecond > 0) continue;
    throw new FleetError(
      'ER0230',
      `throttling: the bucket of ${name} holds ${capacity} and gets ${perSecond} a second; at least 1 and more than 0 are allowed`,
    );
  }

  function take(name: string, { capacity, perSecond }: Bucket, count: number, now: number): boolean {
    const level = levels.get(name) ?? { tokens: capacity, phaseMs: random.fork(name).between(0, SECOND_MS - 1), fills: 0 };
    levels.set(name, level);
    const fills = Math.floor((now - level.phaseMs) / SECOND_MS);
    level.tokens = Math.min(capacity, level.tokens + Math.max(0, fills - level.fills) * perSecond);
    level.fills = fills;
    if (level.tokens < count) return false;
    level.tokens -= count;
    return true;
  }

  return (action, request, now) => {
    const isWhole = LISTS.has(action) && isUnpaged(request);
    if (!take(isWhole ? `all ${action}` : action, isWhole ? unpagedReads : requests[action], 1, now)) return false;
    const resource = resources[action];
    return resource === undefined || take(`of ${action}`, resource, sizeOf(request), now);
  };
}

type AnyRequest = Ec2Actions[Ec2Action]['request'];

const isUnpaged = (request: AnyRequest): boolean =>
  !('maxResults' in request && request.maxResults !== undefined) &&
  !('ids' in request && request.ids !== undefined && request.ids.length > 0) &&
  !('filters' in request && request.filters !== undefined && request.filters.length > 0);

/** How many instances a request is about. */
function sizeOf(request: AnyRequest): number {
  if ('ids' in request && request.ids) return request.ids.length;
  return 'maxCount' in request ? (request.maxCount ?? 1) : 1;
}
