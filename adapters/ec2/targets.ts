import { type Subject, subjectText } from '../../src/domain/command.ts';
import type { Problem } from '../../src/domain/heartbeat.ts';
import { type Ip, isProviderId, nameOf, wantedOf } from '../../src/domain/identity.ts';
import type { Describe } from './description.ts';
import type { Described, Ec2Address } from './instances.ts';
import type { Ec2Clock } from './pacer.ts';
import type { Sightings } from './sightings.ts';

/** Whom a call is about: an id, an ip whose instance is to be found, or nobody here. */
export type Named = { readonly id: string } | { readonly ip: Ip } | { readonly problem: Problem };

export function namedBy(subject: Subject, cloud: string): Named {
  if ('ip' in subject) return subject;
  const wanted = wantedOf(subject.key);
  const text = subjectText(subject);
  if (!subject.key.startsWith(`instances/${cloud}/`))
    return { problem: { subject: text, code: 'ER0205', message: `${text} is no instance of ${cloud}` } };
  if (wanted) return { ip: wanted.ip };
  const id = nameOf(subject.key);
  if (isProviderId(id)) return { id };
  return { problem: { subject: text, code: 'ER0205', message: `${text} has no id that could be one` } };
}

/** Who has the ips, as far as it was seen lately, or by one read for all of them. */
export interface Holders {
  /** The one live instance at the ip, or why there is not one. */
  holder(ip: Ip): Described | Problem;
}

export interface HoldersOptions {
  readonly cloud: string;
  readonly address: Ec2Address;
  readonly describe: Describe;
  readonly sightings: Sightings;
  readonly clock: Ec2Clock;
  readonly deadlineMs: number;
  /** How long what was seen is good enough to act on. */
  readonly freshMs: number;
}

const MOST_FILTER_VALUES = 200;

/** @param ips what must be found; those of `free` only have to be nobody's */
export type FindHolders = (ips: readonly Ip[], free: readonly Ip[], signal: AbortSignal) => Promise<Holders>;

export function createFindHolders(options: HoldersOptions): FindHolders {
  const { cloud, address, describe, sightings, clock, deadlineMs, freshMs } = options;
  const filterName = address === 'public' ? 'ip-address' : 'private-ip-address';

  return async (ips, free, signal) => {
    const since = clock.now() - freshMs;
    const isKnown = (ip: Ip) => sightings.at(ip, since).length > 0;
    // An ip that was seen to be nobody's may be launched at: should that be wrong, EC2 itself refuses it.
    const doubtful = [...ips.filter((ip) => !isKnown(ip)), ...free.filter((ip) => !isKnown(ip) && !sightings.isWhole(since))];
    const failures = new Map<Ip, Problem>();
    for (let at = 0; at < doubtful.length; at += MOST_FILTER_VALUES) {
      const some = doubtful.slice(at, at + MOST_FILTER_VALUES);
      const until = clock.now() + deadlineMs;
      const { instances, failure } = await describe([{ Name: filterName, Values: some }], { caller: 'action', until }, signal);
      sightings.merge(instances, clock.now());
      if (!failure) continue;
      // Nothing was called yet: to look for it again is all that a repetition does.
      const code = failure.code === 'ER0224' ? 'ER0224' : 'ER0221';
      for (const ip of some) failures.set(ip, { subject: ip, code, message: `${failure.message}; nothing was called` });
    }
    return {
      holder(ip) {
        const [one, other] = sightings.at(ip, since);
        if (one && other) return { subject: ip, code: 'ER0208', message: `${one.id} and ${other.id} of ${cloud} both have it` };
        const missing = { subject: ip, code: 'ER0205', message: `no instance of ${cloud} has the ip ${ip}` };
        return one ?? failures.get(ip) ?? missing;
      },
    };
  };
}
