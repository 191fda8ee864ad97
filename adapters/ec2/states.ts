import type { InstanceStateName } from '@aws-sdk/client-ec2';
import { excerpt } from '../../src/domain/excerpt.ts';
import type { InstanceFacts, Power } from '../../src/domain/instance.ts';

/** EC2's documented states in our words, which are EC2's own. */
export const EC2_STATES = {
  pending: 'pending',
  running: 'running',
  stopping: 'stopping',
  stopped: 'stopped',
  'shutting-down': 'shutting-down',
  terminated: 'terminated',
} as const satisfies Record<InstanceStateName, Power>;

/** A word that EC2 does not document is kept, and means nothing. */
export function powerOf(word: string | undefined): NonNullable<InstanceFacts['power']> {
  if (word === undefined) return { state: 'unknown', raw: 'none' };
  const state = Object.hasOwn(EC2_STATES, word) ? EC2_STATES[word as InstanceStateName] : 'unknown';
  return { state, raw: excerpt(word) || 'none' };
}

/** Whether it has its address still. */
export const isLive = (power: Power): boolean => power !== 'terminated';
