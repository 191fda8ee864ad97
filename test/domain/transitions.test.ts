import {
  INSTANCE_RUNGS,
  type InstanceState,
  type InstanceVerb,
  SERVICE_RUNGS,
  type ServiceState,
  type ServiceVerb,
} from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { INSTANCE_VERBS, POWERS } from '../../src/domain/instance.ts';
import { SERVICE_VERBS } from '../../src/domain/service.ts';
import { type Answer, INSTANCE_ANSWERS, SERVICE_ANSWERS } from '../../src/domain/transitions.ts';

const INSTANCE_STATES: readonly (InstanceState | 'none')[] = [
  'none',
  'absent',
  'unreachable',
  ...POWERS.filter((power) => power !== 'running'),
  ...INSTANCE_RUNGS,
];
const SERVICE_STATES: readonly ServiceState[] = [
  'unknown',
  'uninstalled',
  'stopped',
  'starting',
  'stopping',
  'failing',
  ...SERVICE_RUNGS.filter((rung) => rung !== 'installed'),
];

const isAnswer = (answer: Answer): boolean =>
  answer === 'holds' ||
  answer === 'now' ||
  ('until' in answer ? ['running', 'stopped', 'terminated', 'known'].includes(answer.until) : answer.no.length > 0);

const instance = (verb: InstanceVerb, state: InstanceState | 'none'): Answer => INSTANCE_ANSWERS[verb][state];
const service = (verb: ServiceVerb, state: ServiceState): Answer => SERVICE_ANSWERS[verb][state];

describe('every verb has an answer in every state', () => {
  test.each(INSTANCE_VERBS)('of an instance: %s', (verb) => {
    expect(Object.keys(INSTANCE_ANSWERS[verb]).sort()).toEqual([...INSTANCE_STATES].sort());
    for (const state of INSTANCE_STATES) expect(isAnswer(instance(verb, state)), `${verb} in ${state}`).toBe(true);
  });

  test.each(SERVICE_VERBS)('of a service: %s', (verb) => {
    expect(Object.keys(SERVICE_ANSWERS[verb]).sort()).toEqual([...SERVICE_STATES].sort());
    for (const state of SERVICE_STATES) expect(isAnswer(service(verb, state)), `${verb} in ${state}`).toBe(true);
  });
});

describe('an instance', () => {
  test('that is stopped is started now, one that is stopping once it has stopped', () => {
    expect(instance('start', 'stopped')).toBe('now');
    expect(instance('start', 'stopping')).toEqual({ until: 'stopped' });
  });

  test('that runs need not be started or launched', () => {
    for (const rung of INSTANCE_RUNGS) {
      expect(instance('start', rung)).toBe('holds');
      expect(instance('launch', rung)).toBe('holds');
    }
  });

  test('that does not exist is neither stopped nor terminated, nor launched by that', () => {
    for (const verb of ['start', 'stop', 'reboot', 'terminate', 'bootstrap'] as const)
      for (const state of ['none', 'absent'] as const) expect(instance(verb, state)).toHaveProperty('no');
    expect(instance('launch', 'none')).toBe('now');
  });

  test('of which nobody knows how it is waits until somebody does, whatever the verb', () => {
    for (const verb of INSTANCE_VERBS) expect(instance(verb, 'unknown')).toEqual({ until: 'known' });
  });

  test('that cannot be reached may be rebooted, stopped or terminated, and is not launched beside itself', () => {
    for (const verb of ['reboot', 'stop', 'terminate'] as const) expect(instance(verb, 'unreachable')).toBe('now');
    expect(instance('launch', 'unreachable')).toHaveProperty('no');
  });

  test('that is being terminated can only be launched anew, once it is gone', () => {
    expect(instance('launch', 'shutting-down')).toEqual({ until: 'terminated' });
    for (const verb of ['start', 'stop', 'reboot', 'bootstrap'] as const)
      expect(instance(verb, 'shutting-down')).toHaveProperty('no');
  });
});

describe('a service', () => {
  test('that is stopped is neither restarted nor synced: it is to be started', () => {
    expect(service('restart', 'stopped')).toEqual({ no: 'it is stopped; start it' });
    expect(service('sync', 'stopped')).toEqual({ no: 'it is stopped; start it' });
  });

  test('that is stopping is started once it has stopped', () => {
    expect(service('start', 'stopping')).toEqual({ until: 'stopped' });
  });

  test('that is down is stopped already, and one that is not installed is removed already', () => {
    expect(service('stop', 'stopped')).toBe('holds');
    expect(service('stop', 'uninstalled')).toBe('holds');
    expect(service('remove', 'uninstalled')).toBe('holds');
  });

  test('that fails may be restarted, stopped or removed', () => {
    for (const verb of ['restart', 'stop', 'remove'] as const) expect(service(verb, 'failing')).toBe('now');
  });
});
