import { DEFAULT_POLICY, type Policy, rangeOf } from '../../domain/policy.ts';
import type { RecoveryPolicy } from '../../domain/recovery.ts';
import * as f from './fields.ts';

const { described, list, optional, section } = f;

/** The limits of recovery, and what they mean. */
const RECOVERY_LIMITS: Readonly<Record<keyof RecoveryLimits, string>> = {
  witnesses:
    'Of provider, ssh, SQL from here and SQL from its replicas, so many have to say that a master is lost before a failover.',
  dwellMs: 'How long a loss has to last before it is recovered from.',
  dwellReadings: 'In how many readings it has to be seen before that.',
  holdDownMs: 'How long the next recovery waits after one that did not last; it doubles with each.',
  holdDownMaxMs: 'How long it waits at most.',
  recoveries: 'Recoveries of one service from one cause before somebody has to acknowledge it.',
  wellMs: 'How long a service has to be well for its recoveries to be forgotten.',
  radiusLeast: 'So many losses of a cluster at once are acted on in any case; with 0, and 0 percent, all are only observed.',
  radiusPercent: 'So many in a hundred of its services are; where more are lost they are only observed.',
  recoveriesAtOnce: 'Recoveries under way in one cluster.',
  recoveryMs: 'How long a recovery may take.',
};

/** The limits of recovery, of failover too. */
export type RecoveryLimits = RecoveryPolicy & Pick<Policy, 'witnesses'>;

const isRecoveryLimit = (name: string): name is keyof RecoveryLimits => Object.hasOwn(RECOVERY_LIMITS, name);

function fieldOf(name: keyof Policy, byDefault: number) {
  const number = f.wholeNumber(...rangeOf(name));
  return optional(isRecoveryLimit(name) ? described(RECOVERY_LIMITS[name], number) : number, byDefault);
}

/** The limits of recovery that are in force where a policy says so much. */
export function recoveryLimits(policy: Partial<Policy>): RecoveryLimits {
  const inForce = { ...DEFAULT_POLICY, ...policy };
  const names = Object.keys(RECOVERY_LIMITS).filter(isRecoveryLimit);
  return Object.fromEntries(names.map((name) => [name, inForce[name]])) as unknown as RecoveryLimits;
}

export const policyFields = Object.fromEntries(
  Object.entries(DEFAULT_POLICY).map(([name, byDefault]) => [name, fieldOf(name as keyof Policy, byDefault)]),
) as Readonly<Record<keyof Policy, ReturnType<typeof fieldOf>>>;

export const recover = section({
  services: described('all, or their names.', optional(f.eitherOr(Array.isArray, list(f.name), f.word(['all'] as const)))),
  clusters: described('Clusters of which all services are.', optional(list(f.name))),
  failover: described(
    'Clusters of which a replica takes the place of a master that is lost for certain; all their services are recovered.',
    optional(list(f.name)),
  ),
});
