import { setTimeout as pause } from 'node:timers/promises';
import type { ApiCall, Driver } from '../src/contracts.ts';
import { isName } from '../src/domain/identity.ts';
import type { InstanceFacts } from '../src/domain/instance.ts';
import { FleetError } from '../src/errors.ts';
import { createAddresses, type Ec2Addresses } from './ec2/addresses.ts';
import { createBatches } from './ec2/batches.ts';
import { type Ec2BucketOptions, readBuckets } from './ec2/buckets.ts';
import { createSend, type Ec2ClientOptions } from './ec2/client.ts';
import { createDescribe } from './ec2/description.ts';
import { errorOf } from './ec2/failure.ts';
import { type Ec2Address, factsOf } from './ec2/instances.ts';
import { createLaunchInput, type Ec2Launch } from './ec2/launch.ts';
import { createLaunching } from './ec2/launching.ts';
import { createPacer, type Ec2Clock } from './ec2/pacer.ts';
import { createPerform } from './ec2/perform.ts';
import { createRequests } from './ec2/requests.ts';
import { createSightings } from './ec2/sightings.ts';
import { createFindHolders } from './ec2/targets.ts';

export type { Ec2Addresses, Ec2ElasticIp, Ec2Holder, Ec2Vip } from './ec2/addresses.ts';
export { type ActionBuckets, EC2_BUCKETS, type Ec2Action, type Ec2BucketOptions } from './ec2/buckets.ts';
export type { Ec2ClientOptions, Ec2Credentials } from './ec2/client.ts';
export { EC2_ERROR_CODES } from './ec2/failure.ts';
export type { Ec2Address } from './ec2/instances.ts';
export type { Ec2Launch, Ec2LaunchSettings } from './ec2/launch.ts';
export type { Ec2Clock } from './ec2/pacer.ts';
export { EC2_STATES } from './ec2/states.ts';
export type { Bucket } from './ec2/token-bucket.ts';
export { type Secret, secret } from './http/secret.ts';

export interface Ec2Options extends Ec2ClientOptions {
  /** The name of the cloud. Default `ec2`. */
  readonly name?: string;
  readonly launch?: Ec2Launch;
  /** Which instances are this cloud's, by EC2's own filters, such as `{ 'tag:fleet': ['shop'] }`. Default all of the account. */
  readonly filters?: Readonly<Record<string, readonly string[]>>;
  /** Default `private`. With `public`, nothing can be launched, since nobody can choose such an address. */
  readonly address?: Ec2Address;
  /** Default 10000. */
  readonly everyMs?: number;
  /** How long a read may take with all of its pages, and a call with its retries once its turn has come. Default 10000. */
  readonly deadlineMs?: number;
  /** Other limits than those that AWS documents. */
  readonly buckets?: Ec2BucketOptions;
  /** For simulations: the time that buckets and pauses go by, in milliseconds. */
  readonly clock?: Ec2Clock;
  /** For simulations: what spreads retries, from 0 to 1. */
  readonly random?: () => number;
}

/** A cloud of EC2, with its elastic and virtual ips. */
export interface Ec2 extends Driver<InstanceFacts> {
  readonly addresses: Ec2Addresses;
  onCall(listener: (call: ApiCall) => void): () => void;
}

/**
 * The instances of one account in one region of EC2, or of what speaks its language.
 *
 * One read, paged, shows them all. Calls of one batch are one request for each verb, and where EC2 refuses it for the sake of one
 * instance, the others are asked for again. A launch is for one ip, under a client token made of the permit's: repeated, it is
 * the same launch. Requests wait for EC2's token buckets, so that it has nothing to throttle; should it all the same, they slow
 * down. The SDK itself retries nothing.
 *
 * @throws FleetError ER0230 for a name, region, endpoint, bucket or ip that cannot be one
 * @example
 * ```ts
 * const cloud = ec2({
 *   region: 'us-east-1',
 *   launch: { imageId: 'ami-0abc', instanceType: 't3.small', subnetId: 'subnet-0abc', keyName: 'ops', tags: { fleet: 'shop' } },
 *   filters: { 'tag:fleet': ['shop'] },
 * });
 * ```
 */
export function ec2(options: Ec2Options): Ec2 {
  const {
    name = 'ec2',
    everyMs = 10_000,
    deadlineMs = 10_000,
    address = 'private',
    clock = CLOCK,
    random = Math.random,
  } = options;
  if (!isName(name))
    throw new FleetError('ER0230', `the name of a cloud has letters, digits, . _ -, found ${JSON.stringify(name)}`);
  for (const [what, ms] of Object.entries({ everyMs, deadlineMs }))
    if (!(ms > 0)) throw new FleetError('ER0230', `${what} of the cloud ${name} is ${ms}; more than 0 is allowed`);

  const listeners = new Set<(call: ApiCall) => void>();
  const pacer = createPacer(readBuckets(name, options.buckets), clock);
  const requests = createRequests({
    cloud: name,
    pacer,
    clock,
    random,
    deadlineMs,
    ...createSend(name, options),
    report: (call) => {
      for (const listener of listeners) listener(call);
    },
  });
  const scope = Object.entries(options.filters ?? {}).map(([Name, Values]) => ({ Name, Values }));
  const describe = createDescribe(requests, address, scope);
  const sightings = createSightings();
  const wasAlive = (id: string) => sightings.wasAlive(id, clock.now() - SHOWS_MS);
  const shared = { cloud: name, address, describe, sightings, clock, deadlineMs };
  const perform = createPerform({
    cloud: name,
    batches: createBatches(requests, pacer, wasAlive),
    launching: createLaunching({ ...shared, requests, launchInput: createLaunchInput(name, options.launch) }),
    findHolders: createFindHolders({ ...shared, freshMs: everyMs }),
  });

  return {
    name,
    everyMs,
    async observe({ now, caller = 'beat' }, signal) {
      signal.throwIfAborted();
      const startedAt = clock.now();
      const { instances, problems, failure } = await describe([], { caller, until: startedAt + deadlineMs }, signal);
      if (failure && instances.length === 0) throw errorOf(failure, true);
      if (failure) sightings.merge(instances, startedAt);
      else sightings.replace(instances, startedAt);
      return {
        items: instances.map((one) => factsOf(name, one, now)),
        readAt: now,
        complete: failure === null,
        problems: failure ? [...problems, { subject: name, code: failure.code, message: failure.message }] : problems,
      };
    },
    perform,
    onCall(listener) {
      // Each its own, so that one that is given twice is told twice and ended once.
      const own = (call: ApiCall) => listener(call);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    addresses: createAddresses(name, requests),
  };
}

/** How long EC2 may take until all of it has heard of an instance: what was seen alive since then is not gone. */
const SHOWS_MS = 60_000;

const CLOCK: Ec2Clock = {
  now: () => performance.now(),
  sleep: async (ms, signal) => void (await pause(Math.ceil(ms), undefined, { signal })),
};
