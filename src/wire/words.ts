import type { ActionStatus } from '../domain/action.ts';
import { codeOfText } from '../domain/codes.ts';
import type { Level } from '../domain/identity.ts';
import { INSTANCE_RUNGS, POWERS } from '../domain/instance.ts';
import { SERVICE_RUNGS } from '../domain/service.ts';

export const LEVELS = ['instances', 'services'] as const satisfies readonly Level[];

/** What `state` may say of an instance: EC2's words, and ours for what EC2 does not know. */
export const INSTANCE_WORDS = [...POWERS, 'unreachable', 'absent'] as const;
export type InstanceWord = (typeof INSTANCE_WORDS)[number];

/** What an action may wait for; `cloud` waits for nothing. */
export const EVENT_TYPES = [...LEVELS, 'cloud'] as const;
export type EventType = (typeof EVENT_TYPES)[number];

export const ACTION_STATUSES = [
  'waiting',
  'claiming',
  'dispatching',
  'backing-off',
  'failed',
  'done',
  'expired',
  'cancelled',
] as const satisfies readonly ActionStatus[];

/** What the seed writes where there is no address, state, mode or role. */
export const NONE = 'na';

const INSTANCE_EVENT_WORDS: readonly string[] = [...INSTANCE_WORDS, ...INSTANCE_RUNGS, 'known'];
const SERVICE_EVENT_WORDS: readonly string[] = [
  'unknown',
  'uninstalled',
  'stopped',
  'starting',
  'stopping',
  'failing',
  'running',
  ...SERVICE_RUNGS,
  'known',
];

const eventWords = (type: EventType): readonly string[] => (type === 'services' ? SERVICE_EVENT_WORDS : INSTANCE_EVENT_WORDS);

/** Whether an entity of this type can be awaited in this state: a chart's word or a code's text. */
export const isEventState = (type: EventType, state: string): boolean =>
  eventWords(type).includes(state) || codeOfText(state) !== null || (type === 'cloud' && state === NONE);

export const eventStatesAllowed = (type: EventType): string => `${eventWords(type).join(', ')}, or the text of a code`;
