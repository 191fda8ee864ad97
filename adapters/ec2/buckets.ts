import { FleetError } from '../../src/errors.ts';
import type { Bucket } from './token-bucket.ts';

/** The actions of EC2's API that the driver uses. */
export type Ec2Action =
  | 'DescribeInstances'
  | 'DescribeAddresses'
  | 'DescribeNetworkInterfaces'
  | 'RunInstances'
  | 'StartInstances'
  | 'StopInstances'
  | 'RebootInstances'
  | 'TerminateInstances'
  | 'AssociateAddress'
  | 'DisassociateAddress'
  | 'AssignPrivateIpAddresses'
  | 'UnassignPrivateIpAddresses';

/** What EC2 limits of one action: its requests, and for some also the instances in them. */
export interface ActionBuckets {
  readonly request: Bucket;
  readonly resource?: Bucket;
}

const NON_MUTATING: ActionBuckets = { request: { capacity: 100, perSecond: 20 } };
const MUTATING: ActionBuckets = { request: { capacity: 50, perSecond: 5 } };

/**
 * The buckets that an account has in each region unless AWS was asked for more, each action its own. A DescribeInstances that is
 * neither filtered nor paged would draw on a smaller one; ours always is paged.
 *
 * @see https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html
 */
export const EC2_BUCKETS: Readonly<Record<Ec2Action, ActionBuckets>> = {
  DescribeInstances: NON_MUTATING,
  DescribeAddresses: NON_MUTATING,
  DescribeNetworkInterfaces: NON_MUTATING,
  RunInstances: { request: { capacity: 5, perSecond: 2 }, resource: { capacity: 1000, perSecond: 2 } },
  StartInstances: { request: { capacity: 5, perSecond: 2 }, resource: { capacity: 1000, perSecond: 2 } },
  StopInstances: { ...MUTATING, resource: { capacity: 1000, perSecond: 20 } },
  RebootInstances: MUTATING,
  TerminateInstances: { request: { capacity: 100, perSecond: 5 }, resource: { capacity: 1000, perSecond: 20 } },
  AssociateAddress: MUTATING,
  DisassociateAddress: MUTATING,
  AssignPrivateIpAddresses: { request: { capacity: 100, perSecond: 5 } },
  UnassignPrivateIpAddresses: { request: { capacity: 100, perSecond: 5 } },
};

/** Other buckets than AWS documents, by action: an account whose limits were raised, or one that is shared. */
export type Ec2BucketOptions = Readonly<Partial<Record<Ec2Action, Partial<ActionBuckets>>>>;

/** @throws FleetError ER0230 for an action that is none of ours, or a bucket that could never be drawn from */
export function readBuckets(cloud: string, options: Ec2BucketOptions = {}): ReadonlyMap<Ec2Action, ActionBuckets> {
  const known = Object.keys(EC2_BUCKETS);
  const foreign = Object.keys(options).find((action) => !known.includes(action));
  if (foreign !== undefined)
    throw new FleetError(
      'ER0230',
      `the cloud ${cloud} has buckets for ${JSON.stringify(foreign)}; allowed are ${known.join(', ')}`,
    );
  const buckets = new Map<Ec2Action, ActionBuckets>();
  for (const action of known as Ec2Action[]) {
    const both = { ...EC2_BUCKETS[action], ...options[action] };
    for (const bucket of [both.request, both.resource])
      if (bucket && !(bucket.capacity >= 1 && bucket.perSecond > 0 && Number.isFinite(bucket.perSecond)))
        throw new FleetError(
          'ER0230',
          `the cloud ${cloud}: a bucket of ${action} has ${JSON.stringify(bucket)}; allowed is a capacity of 1 or more and more than 0 per second`,
        );
    buckets.set(action, both);
  }
  return buckets;
}
