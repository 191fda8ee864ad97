import type { Permit, PermittedCall } from '../../../src/contracts.ts';
import { asInstant, asToken, type EntityKey, parseIp } from '../../../src/domain/identity.ts';
import type { InstanceVerb } from '../../../src/domain/instance.ts';

export const never = new AbortController().signal;
export const want = { now: asInstant(1000), maxAgeMs: 0 };

/** A call to the instance at an ip, or with a key. */
export function callTo(subject: string, verb: InstanceVerb, permit: Partial<Permit> = {}): PermittedCall {
  const ip = parseIp(subject);
  return {
    call: { do: { level: 'instances', subject: ip ? { ip } : { key: subject as EntityKey }, verb } },
    permit: { token: asToken('t1'), fence: 1, valid: () => true, ...permit },
  };
}
