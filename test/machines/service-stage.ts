import { SERVICE_RUNGS, type ServiceRung, type ServiceState, type ServiceVerb, serviceKey, type View } from 'fleetbeat';
import { type ServiceInput, serviceMachine } from 'fleetbeat/machines';
import type { AnyStateMachine } from 'xstate';
import { LIMITS, stageEntity, viewWith } from './stage.ts';

export const KEY = serviceKey('node10');

/** The words that hold in a state: rungs hold what is below them, and whatever is known and not uninstalled is installed. */
const wordsOf = (state: ServiceState): ReadonlySet<string> => {
  const rung = (SERVICE_RUNGS as readonly string[]).indexOf(state);
  if (rung > 0) return new Set(SERVICE_RUNGS.slice(0, rung + 1));
  return new Set(state === 'unknown' || state === 'uninstalled' ? [state] : [state, 'installed']);
};

export const serviceView = (state: ServiceState, overrides: Partial<View> = {}): View =>
  viewWith({ key: KEY, level: 'services', name: 'node10', state, holds: wordsOf(state), ...overrides });

const doing = (verb: ServiceVerb) => ({ level: 'services', name: 'node10', verb }) as const;

export const INSTALL = doing('install');
export const START = doing('start');
export const STOP = doing('stop');
export const RESTART = doing('restart');
export const REMOVE = doing('remove');
export const SYNC = doing('sync');
export const CONFIGURE = doing('bootstrap_config');

/** A service whose kind has all four rungs, unless a ladder is given. */
export const stageService = (ladder: readonly ServiceRung[] = SERVICE_RUNGS) =>
  stageEntity<ServiceState>({
    machine: serviceMachine as unknown as AnyStateMachine,
    input: { key: KEY, ladder, limits: LIMITS } satisfies ServiceInput,
    viewOf: serviceView,
  });
