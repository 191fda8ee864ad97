import {
  type Action,
  asToken,
  clusterKey,
  createInventory,
  type Ip,
  NOW,
  type Role,
  type Service,
  type SshAnswer,
  serviceKey,
} from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { asActionId, asInstant, type EntityKey } from '../../src/domain/identity.ts';
import { lookAt, recoveringActions } from '../../src/domain/look.ts';

const service = (name: string, status: Role): Service => ({
  name,
  ip: '10.0.0.1' as Ip,
  mode: 'mariadb',
  status,
  cluster: 'shop',
  settings: undefined,
});

const action = (lane: EntityKey, verb: 'start' | 'stop' | 'failover' | 'switch', name: string): Action => ({
  id: asActionId(`${verb} ${name}`),
  token: asToken('t'),
  lane,
  when: NOW,
  do: { level: 'services', name, verb },
  order: 1,
  armedAt: asInstant(1),
  expiresAt: null,
  onExpire: 'drop',
  status: 'failed',
  attempts: 0,
  begun: null,
  history: [],
});

const SHOP = clusterKey('shop');
const ACTIONS = [
  action(SHOP, 'failover', 'db2'),
  action(SHOP, 'switch', 'db2'),
  action(serviceKey('db1'), 'start', 'db1'),
  action(serviceKey('db1'), 'stop', 'db1'),
  action(serviceKey('db3'), 'start', 'db3'),
];
const ids = (of: Service) => recoveringActions(of, (key) => ACTIONS.filter(({ lane }) => lane === key)).map(({ id }) => id);

test('the failover of a cluster is the recovery of its master, and nothing that a recovery of another gives up', () => {
  expect(ids(service('db1', 'master'))).toEqual(['start db1', 'failover db2']);
  expect(ids(service('db3', 'slave'))).toEqual(['start db3']);
});

describe('a cache that fails on a machine that answered when it was read last', () => {
  const CACHE: Service = { ...service('cache1', 'master'), mode: 'memcache' };
  const RUNGS = ['installed', 'up'] as const;
  const inventoryOf = () => {
    const inventory = createInventory({ services: [CACHE], ladders: new Map([['memcache', { rungs: RUNGS }]]) });
    const shared = { complete: true, problems: [] };
    let seq = 0;
    return {
      inventory,
      machine(at: number, ssh?: SshAnswer) {
        const readAt = asInstant(at);
        const power = { state: 'running', raw: 'running' } as const;
        const facts = {
          cloud: 'c',
          id: 'i-1',
          ip: CACHE.ip,
          readAt,
          power,
          ...(ssh && { ssh, bootId: 'b', binaries: '1', agent: true }),
        };
        inventory.apply({ source: 'c', epoch: 'e', seq: ++seq, instances: { ...shared, items: [facts], readAt } }, readAt);
      },
      cache(at: number, code: string) {
        const readAt = asInstant(at);
        const holds = code === '000000' ? { installed: true, up: true } : {};
        const items = [{ name: 'cache1', readAt, code, holds }];
        inventory.apply({ source: 's', epoch: 'e', seq: ++seq, services: { ...shared, items, readAt } }, readAt);
      },
    };
  };
  type Seen = ReturnType<typeof inventoryOf>;
  const cannotOf = (tell: (seen: Seen) => void) => {
    const seen = inventoryOf();
    seen.machine(1000, 'up');
    seen.cache(1000, '000000');
    tell(seen);
    const { inventory } = seen;
    const known = {
      inventory,
      services: [CACHE],
      kinds: new Map([['memcache', { host: 'managed', rungs: RUNGS } as const]]),
      cloud: 'c',
    };
    const nothing = {
      actions: () => [],
      lane: () => [],
      hindranceTo: () => null,
      offReason: () => null,
      failsOver: new Set<string>(),
    };
    const look = lookAt(CACHE, { known, inventory, ...nothing }, new Map());
    expect(look.is).toBe('lost');
    return look.cannot;
  };
  const DOUBTED = { code: 'ER0227', message: 'it waits until 10.0.0.1 answers or is missed' };

  test.each<[string, (seen: Seen) => void, object | null]>([
    ['is not started before that is read again', ({ cache }) => cache(2000, 'ER0023'), DOUBTED],
    [
      'is not started while there is no word of that',
      ({ machine, cache }) => {
        cache(2000, 'ER0023');
        machine(3000);
      },
      DOUBTED,
    ],
    [
      'is not started while that is missed, and not given up yet',
      ({ machine, cache }) => {
        cache(2000, 'ER0023');
        machine(3000, 'timeout');
      },
      DOUBTED,
    ],
    [
      'is started where that answers in the same reading',
      ({ machine, cache }) => {
        machine(2000, 'up');
        cache(2000, 'ER0023');
      },
      null,
    ],
  ])('%s', (_, tell, cannot) => expect(cannotOf(tell)).toEqual(cannot));
});
