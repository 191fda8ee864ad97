import type { Instant, Ip } from './identity.ts';

/** What a provider says of a machine's power, in EC2's words. */
export type Power = 'pending' | 'running' | 'stopping' | 'stopped' | 'shutting-down' | 'terminated' | 'unknown';
export const POWERS = [
  'pending',
  'running',
  'stopping',
  'stopped',
  'shutting-down',
  'terminated',
  'unknown',
] as const satisfies readonly Power[];

/** Rungs 3 to 5 of the ladder, lowest first. */
export const INSTANCE_RUNGS = ['ssh-up', 'bootstrapped', 'managed'] as const;
export type InstanceRung = (typeof INSTANCE_RUNGS)[number];

/** The states of the instance chart. There is no bare `running`: running means that ssh answers, so it is a rung. */
export type InstanceState = 'absent' | 'unreachable' | Exclude<Power, 'running'> | InstanceRung;

export type InstanceVerb = 'launch' | 'start' | 'stop' | 'reboot' | 'terminate' | 'bootstrap';
export const INSTANCE_VERBS = [
  'launch',
  'start',
  'stop',
  'reboot',
  'terminate',
  'bootstrap',
] as const satisfies readonly InstanceVerb[];

/** How an ssh attempt ended. */
export type SshAnswer = 'up' | 'refused' | 'timeout' | 'silent' | 'auth-failed' | 'host-key-changed';

/** What one source saw of one instance. A missing field means "this source cannot know", never "no". */
export interface InstanceFacts {
  readonly cloud: string;
  readonly id: string | null;
  readonly ip: Ip | null;
  /** What the provider calls it, for people: it need not be unique. */
  readonly name?: string;
  readonly readAt: Instant;
  readonly power?: { readonly state: Power; readonly raw: string };
  /** Changes with every boot. */
  readonly bootId?: string;
  /** The version marker of the wanted binaries; null where they are not there. */
  readonly binaries?: string | null;
  /** Whether the node's agent runs. */
  readonly agent?: boolean;
  readonly ssh?: SshAnswer;
}
