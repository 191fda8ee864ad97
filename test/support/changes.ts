import { asInstant, type Change, serviceKey, type View } from 'fleetbeat';
import { parseIp } from '../../src/domain/identity.ts';

/** The view of a service in a state. */
export function serviceView(name: string, state: View['state'], view: Partial<View> = {}): View {
  return {
    key: serviceKey(name),
    level: 'services',
    name,
    ip: parseIp('10.0.0.102'),
    code: state === 'up' ? '000000' : 'ER0023',
    state,
    holds: new Set(['known', state]),
    heldSince: new Map([[state, asInstant(900)]]),
    source: 'services',
    mode: 'memcache',
    mark: 'run-1',
    unmet: [],
    hostLost: false,
    gone: false,
    since: asInstant(900),
    readAt: asInstant(1000),
    seenSince: asInstant(0),
    ...view,
  };
}

let count = 0;

/** A change of a service: its `n`-th, where a test minds their order. */
export function serviceChange(name: string, n: number = ++count, view: Partial<View> = {}): Change {
  const to = serviceView(name, n % 2 === 0 ? 'stopped' : 'up', view);
  const from = serviceView(name, n % 2 === 0 ? 'up' : 'stopped');
  return { id: `e:${n}:${to.key}:0`, kind: 'changed', key: to.key, at: asInstant(1000 + n), source: 'services', from, to };
}
