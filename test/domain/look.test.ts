import { type Action, asToken, clusterKey, type Ip, NOW, type Role, type Service, serviceKey } from 'fleetbeat';
import { expect, test } from 'vitest';
import { asActionId, asInstant, type EntityKey } from '../../src/domain/identity.ts';
import { recoveringActions } from '../../src/domain/look.ts';

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
