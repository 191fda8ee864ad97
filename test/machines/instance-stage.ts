import { INSTANCE_RUNGS, type InstanceRung, type InstanceState, type InstanceVerb, instanceKey, type View } from 'fleetbeat';
import { type InstanceInput, instanceMachine } from 'fleetbeat/machines';
import type { AnyStateMachine } from 'xstate';
import { LIMITS, stageEntity, viewWith } from './stage.ts';

export const KEY = instanceKey('cloud', 'i-1');

/** The words that hold in a state: rungs hold what is below them. */
const wordsOf = (state: InstanceState): ReadonlySet<string> => {
  const rung = (INSTANCE_RUNGS as readonly string[]).indexOf(state);
  return new Set(rung < 0 ? [state] : ['running', ...INSTANCE_RUNGS.slice(0, rung + 1)]);
};

export const instanceView = (state: InstanceState, overrides: Partial<View> = {}): View =>
  viewWith({ key: KEY, level: 'instances', name: 'i-1', state, holds: wordsOf(state), ...overrides });

const doing = (verb: InstanceVerb) => ({ level: 'instances', subject: { key: KEY }, verb }) as const;

export const LAUNCH = doing('launch');
export const START = doing('start');
export const STOP = doing('stop');
export const REBOOT = doing('reboot');
export const TERMINATE = doing('terminate');
export const bootstrap = (upTo: InstanceRung) => ({ ...doing('bootstrap'), upTo }) as const;

export const stageInstance = () =>
  stageEntity<InstanceState>({
    machine: instanceMachine as unknown as AnyStateMachine,
    input: { key: KEY, limits: LIMITS } satisfies InstanceInput,
    viewOf: instanceView,
  });
