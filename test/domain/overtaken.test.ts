import { type Action, asToken, createInventory, type Ip, NOW, type Service, serviceKey } from 'fleetbeat';
import { expect, test } from 'vitest';
import { asActionId, asInstant } from '../../src/domain/identity.ts';
import { lookAt } from '../../src/domain/look.ts';
import { unlooked } from '../../src/domain/recovery.ts';

const RUNGS = ['installed', 'up', 'replicating'] as const;
const database = (n: number): Service => ({
  name: `db${n}`,
  ip: `10.0.0.${n}` as Ip,
  mode: 'mariadb',
  status: n === 1 ? 'master' : 'slave',
  cluster: 'shop',
  settings: undefined,
});
const SERVICES = [1, 2].map(database);
const [MASTER] = SERVICES as [Service];

/** A master of whom provider nothing, but ssh, SQL and its replica say that it is lost. */
function lostMaster({ isHeard = false } = {}) {
  const inventory = createInventory({ services: SERVICES, ladders: new Map([['mariadb', { rungs: RUNGS }]]) });
  const tell = (seq: number, isLost: boolean) => {
    const readAt = asInstant(seq * 1000);
    const shared = { readAt, complete: true, problems: [] };
    const instances = SERVICES.map(({ name: id, ip, status }) => ({
      ...{ cloud: 'c', id, ip, readAt, power: { state: 'running', raw: 'running' } as const },
      ...(isLost && status === 'master'
        ? { ssh: 'timeout' as const }
        : { ssh: 'up' as const, bootId: 'b', binaries: '1', agent: true }),
    }));
    const services = SERVICES.map(({ name, status }) =>
      isLost && status === 'master'
        ? { name, readAt, code: 'ER0003', holds: {} }
        : {
            ...{ name, readAt, code: '000000', holds: { installed: true, up: true, replicating: !isLost } },
            ...(status === 'slave' && { following: { hears: isHeard || !isLost, isFit: true } }),
          },
    );
    inventory.apply({ source: 'c', epoch: 'e', seq, instances: { ...shared, items: instances } }, readAt);
    inventory.apply({ source: 's', epoch: 'e', seq, services: { ...shared, items: services } }, readAt);
  };
  for (const [i, isLost] of [false, true, true, true].entries()) tell(i + 1, isLost);
  return inventory;
}

test.each([
  [
    'that calls for a failover by now is overtaken where it only waits',
    'waiting',
    false,
    { failsOverTo: 'db2', isOvertaken: true },
  ],
  ['is not with a call under way', 'dispatching', false, { failsOverTo: 'db2', isOvertaken: false }],
  ['that its replica hears is overtaken where it only waits', 'waiting', true, { cannot: { code: 'ER0257' }, isOvertaken: true }],
] as const)('a start of an unreachable master %s', (_, status, isHeard, look) => {
  const inventory = lostMaster({ isHeard });
  const key = serviceKey('db1');
  const start: Action = {
    ...{ id: asActionId('a'), token: asToken('t'), lane: key, when: NOW, do: { level: 'services', name: 'db1', verb: 'start' } },
    ...{ order: 1, armedAt: asInstant(1), expiresAt: null, onExpire: 'drop', status, attempts: 0, begun: null, history: [] },
  };
  const traits = { host: 'managed', rungs: RUNGS, isSwitched: true, canFailOver: true } as const;
  const known = { inventory, services: SERVICES, kinds: new Map([['mariadb', traits]]), cloud: 'c' };
  const lanes = { actions: () => [start], lane: (of: string) => (of === key ? [start] : []) };
  const around = { known, inventory, ...lanes, hindranceTo: () => null, offReason: () => null, failsOver: new Set(['shop']) };
  const acting = { ...unlooked(asInstant(1)), state: 'acting' as const };
  expect(lookAt(MASTER, around, new Map([[key, acting]]))).toMatchObject({ is: 'lost', ...look });
});
