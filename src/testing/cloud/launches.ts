import { type Instant, parseIp } from '../../domain/identity.ts';
import type { Random } from '../random.ts';
import { newMachine } from '../simulated-machine.ts';
import type { AnswerOf, Launch } from './actions.ts';
import type { Instance, Instances } from './instances.ts';
import { Ec2Refusal } from './refusal.ts';

export interface Launches {
  /**
   * @param begin told of each instance that is new
   * @throws Ec2Refusal, with nothing launched
   */
  run(launch: Launch, begin: (instance: Instance) => void): AnswerOf<'RunInstances'>;
  /** A new instance, not yet added to those that there are. */
  make(id: string, launch: Launch): Instance;
}

const HOUR = 3_600_000;
/** How long EC2 remembers a client token at least; relying on more is relying on luck. */
const REMEMBERED_MS = 24 * HOUR;

/** RunInstances, at most once for each client token. */
export function createLaunches(world: {
  readonly instances: Instances;
  readonly random: Random;
  readonly now: () => Instant;
  readonly overlappingIps: boolean;
  /** @throws Ec2Refusal where so many more may not, or cannot, run */
  readonly admit: (count: number) => void;
}): Launches {
  const { instances, now } = world;
  const byToken = new Map<string, { readonly digest: string; readonly launched: readonly Instance[]; readonly at: number }>();
  let ordinals = 0;

  const answer = (launched: readonly Instance[]): AnswerOf<'RunInstances'> => ({
    reservationId: launched[0]?.reservationId ?? '',
    instances: launched.map(instances.show),
  });

  function make(id: string, launch: Launch, reservationId = instances.freeId('r')): Instance {
    return {
      machine: newMachine(id, 'pending'),
      ordinal: ordinals++,
      reservationId,
      interfaceId: instances.freeId('eni'),
      clientToken: launch.clientToken ?? null,
      settings: {
        imageId: launch.imageId ?? 'ami-simulated',
        type: launch.type ?? 't3.micro',
        zone: launch.zone ?? 'simulated-1a',
        subnetId: launch.subnetId ?? 'subnet-simulated',
        keyName: launch.keyName ?? null,
        groupIds: launch.groupIds ?? ['sg-simulated'],
      },
      tags: new Map(Object.entries(launch.tags ?? {})),
      secondaryIps: new Set(),
      launchedAt: now(),
      reason: null,
      isForgotten: false,
    };
  }

  function launchedBefore({ clientToken }: Launch, digest: string): readonly Instance[] | null {
    const before = clientToken === undefined ? undefined : byToken.get(clientToken);
    if (!before || before.at + REMEMBERED_MS <= now()) return null;
    if (before.digest === digest) return before.launched;
    throw new Ec2Refusal('IdempotentParameterMismatch', 'The client token was used before, with other parameters');
  }

  return {
    make,
    run(launch, begin) {
      const { ip: text, clientToken, minCount = 1, maxCount = 1 } = launch;
      if (!(minCount >= 1 && maxCount >= minCount))
        throw new Ec2Refusal('InvalidParameterValue', `MinCount is ${minCount} and MaxCount ${maxCount}`);
      if (clientToken !== undefined && clientToken.length > 64)
        throw new Ec2Refusal('InvalidParameterValue', 'A ClientToken has at most 64 characters');
      const ip = text === undefined ? null : parseIp(text);
      if (text !== undefined && ip === null)
        throw new Ec2Refusal('InvalidParameterValue', `Value (${text}) for parameter privateIpAddress is invalid`);
      if (ip !== null && maxCount > 1)
        throw new Ec2Refusal('InvalidParameterCombination', 'A private IP address is for one instance only');
      const digest = JSON.stringify(launch, sorted);
      const before = launchedBefore(launch, digest);
      if (before) return answer(before);
      const subnetId = launch.subnetId ?? 'subnet-simulated';
      if (ip !== null && !world.overlappingIps && instances.at(ip, subnetId))
        throw new Ec2Refusal('InvalidIPAddress.InUse', `Address ${ip} is in use.`);
      world.admit(maxCount);
      const reservationId = instances.freeId('r');
      const launched = Array.from({ length: maxCount }, () => {
        const instance = make(instances.freeId('i'), launch, reservationId);
        instances.add(instance);
        instances.give(ip ?? instances.freeIp(subnetId), instance);
        begin(instance);
        return instance;
      });
      if (clientToken !== undefined) byToken.set(clientToken, { digest, launched, at: now() });
      return answer(launched);
    },
  };
}

/** Makes JSON of equal things equal, whatever the order of their keys. */
const sorted = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
    : value;
