import { type ArmOptions, type Command, type Ip, instanceKey, type Step, serviceKey, type Trigger } from 'fleetbeat';

/** What people ask of the fleets, such that much of it contradicts the rest. */
export const COMMANDS: readonly Command[] = [
  { level: 'services', action: 'start', group: 'cache2' },
  { level: 'services', action: 'restart', group: 'cache1' },
  { level: 'services', action: 'stop', group: 'cache1' },
  { level: 'services', action: 'start', group: 'cache1' },
  { level: 'instances', action: 'start', group: '10.0.0.2' },
  { level: 'instances', action: 'stop', group: '10.0.0.1' },
  { level: 'instances', action: 'reboot', group: '10.0.0.1' },
  { level: 'instances', action: 'terminate', group: '10.0.0.2' },
  { level: 'services', action: 'stop', group: 'cache2' },
  { level: 'services', action: 'remove', group: 'cache1' },
];

const instance = (ip: string, state: string, forMs?: number): Trigger => ({
  on: 'holds',
  level: 'instances',
  subject: { ip: ip as Ip },
  state,
  ...(forMs === undefined ? {} : { forMs }),
});

const service = (name: string, state: string, forMs?: number): Trigger => ({
  on: 'holds',
  level: 'services',
  subject: { key: serviceKey(name) },
  state,
  ...(forMs === undefined ? {} : { forMs }),
});

const serviceStep = (name: string, verb: 'start' | 'stop' | 'restart', when: Trigger): Step => ({
  lane: serviceKey(name),
  when,
  do: { level: 'services', name, verb },
});

const instanceStep = (ip: string, id: string, verb: 'start' | 'stop' | 'reboot', when: Trigger): Step => ({
  lane: instanceKey('simulated', id),
  when,
  do: { level: 'instances', subject: { ip: ip as Ip }, verb },
});

/** What is armed by hand: steps that wait for states of other entities. */
export const ARMED: readonly { readonly steps: readonly Step[]; readonly options?: ArmOptions }[] = [
  { steps: [serviceStep('cache1', 'restart', instance('10.0.0.2', 'running'))] },
  { steps: [serviceStep('cache2', 'start', { on: 'now' })] },
  { steps: [serviceStep('cache1', 'restart', instance('10.0.0.1', 'running'))], options: { key: 'again' } },
  { steps: [instanceStep('10.0.0.1', 'i-1', 'reboot', service('cache1', 'up', 2000))] },
  { steps: [instanceStep('10.0.0.2', 'i-2', 'start', service('cache1', 'stopped'))], options: { expiresInMs: 6000 } },
  {
    steps: [
      instanceStep('10.0.0.2', 'i-2', 'start', { on: 'any', of: [service('cache1', 'stopping'), service('cache1', 'running')] }),
      instanceStep('10.0.0.2', 'i-2', 'stop', { on: 'all', of: [instance('10.0.0.2', 'managed'), service('cache2', 'up')] }),
    ],
    options: { key: 'round', expiresInMs: 8000, onExpire: 'run' },
  },
  {
    steps: [serviceStep('cache2', 'restart', instance('10.0.0.2', 'terminated'))],
    options: { expiresInMs: 5000, onExpire: 'fail' },
  },
  {
    steps: [serviceStep('cache1', 'stop', service('cache2', 'up')), serviceStep('cache1', 'start', service('cache1', 'stopped'))],
  },
];
