import type { Command, Fleet, Reply, Step } from 'fleetbeat';
import type { SimulatedInstance, SimulatedService } from 'fleetbeat/testing';

/** What is there at the beginning: machines that are off, missing, bare and ready. */
export const INSTANCES: readonly SimulatedInstance[] = [
  { id: 'i-off', ip: '10.0.0.1', state: 'stopped' },
  { id: 'i-on', ip: '10.0.0.2', state: 'running' },
  { id: 'i-plain', ip: '10.0.0.3', state: 'running', rung: 'ssh-up' },
];

const service = (name: string, ip: string, state?: 'stopped' | 'uninstalled'): SimulatedService => ({
  name,
  ip,
  mode: 'memcache',
  status: 'master',
  ...(state && { state }),
});

export const SERVICES: readonly SimulatedService[] = [
  service('bare', '10.0.0.1', 'uninstalled'),
  service('busy', '10.0.0.2'),
  service('last', '10.0.0.2', 'stopped'),
  service('ill', '10.0.0.2', 'stopped'),
  service('nowhere', '10.0.0.4'),
];

/** What a doctor is to have started, once it is told that it is stopped. */
export const HEALED = 'ill';

/** What a person asks for, by the name under which it is written down whether there was an answer. */
export interface Request {
  readonly name: string;
  /** Whether it may be asked again by somebody who got no answer: it names what is to be, not what is to be done. */
  readonly mayRepeat: boolean;
  ask(fleet: Fleet): Promise<readonly string[]>;
}

const idsOf = ({ started, deferred }: Pick<Reply, 'started' | 'deferred'>): readonly string[] =>
  [...started, ...deferred].map(({ id }) => id);

const command = (name: string, asked: Pick<Command, 'level' | 'action' | 'group'>, mayRepeat = true): Request => ({
  name,
  mayRepeat,
  ask: async (fleet) => idsOf(await fleet.dispatch({ ...asked, key: name })),
});

const isUp = (name: string): Step['when'] => ({
  on: 'holds',
  level: 'services',
  subject: { key: `services/${name}` as Step['lane'] },
  state: 'up',
});

/** Prepared by hand: it waits for services of other lanes. */
const AFTER_ALL: Step = {
  lane: 'services/last' as Step['lane'],
  when: { on: 'all', of: [isUp('bare'), { on: 'any', of: [isUp('nowhere'), isUp('ill')] }] },
  do: { level: 'services', name: 'last', verb: 'start' },
};

/** One after the other, each a beat after the one before. */
export const REQUESTS: readonly Request[] = [
  { name: 'last', mayRepeat: true, ask: async (fleet) => (await fleet.arm([AFTER_ALL], { key: 'last' })).map(({ id }) => id) },
  command('bare', { level: 'services', action: 'start', group: 'bare' }),
  command('nowhere', { level: 'services', action: 'start', group: 'nowhere' }),
  command('restart', { level: 'services', action: 'restart', group: 'busy' }, false),
  command('reboot', { level: 'instances', action: 'reboot', group: '10.0.0.3' }, false),
];
