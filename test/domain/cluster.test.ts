import {
  asInstant,
  createInventory,
  type Ip,
  type Known,
  parseIp,
  plan,
  type Role,
  type Service,
  type ServiceFacts,
} from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { type KindTraits, lookAtCluster } from '../../src/domain/cluster.ts';

const ip = (text: string): Ip => parseIp(text) ?? expect.unreachable(text);
const RUNGS = ['installed', 'up', 'replicating', 'routed'] as const;
const KINDS: ReadonlyMap<string, KindTraits> = new Map([
  ['mariadb', { host: 'managed', rungs: RUNGS, isSwitched: true }],
  ['haproxy', { host: 'managed', rungs: ['installed', 'up', 'routed'], isBalancer: true }],
]);
const ADDRESSES = new Map([
  ['db1', '10.0.0.1'],
  ['db2', '10.0.0.2'],
  ['db3', '10.0.0.3'],
  ['lb1', '10.0.0.4'],
]);

const service = (name: string, status: Role, mode = 'mariadb'): Service => ({
  name,
  ip: ip(ADDRESSES.get(name) ?? ''),
  mode,
  status,
  cluster: 'shop',
  settings: undefined,
});

const RUNNING = { state: 'running', raw: 'running' } as const;

type Seen = Readonly<
  Record<string, { readonly rung: 'stopped' | 'up' | 'replicating' | 'routed' | 'unknown'; readonly role?: Role }>
>;

/** A cluster whose services were seen so; those that are not told were never seen. */
function seeing(seen: Seen, services: readonly Service[]): Known {
  const ladders = new Map([...KINDS].map(([mode, { rungs }]) => [mode, { rungs }]));
  const inventory = createInventory({ services, ladders });
  const readAt = asInstant(1);
  const items = Object.entries(seen).map(([name, { rung, role }]): ServiceFacts => {
    const code = rung === 'unknown' ? 'ER0200' : rung === 'stopped' ? 'ER0023' : '000000';
    const at = (RUNGS as readonly string[]).indexOf(rung);
    const holds = Object.fromEntries(RUNGS.map((one, i) => [one, i <= at]));
    return { name, readAt, code, holds, ...(role !== undefined && { role }) };
  });
  const instances = services.map(
    (one) => ({ cloud: 'c', id: one.name, ip: one.ip, power: RUNNING, ssh: 'up', binaries: '1', agent: true, readAt }) as const,
  );
  const beat = { source: 'test', epoch: 'e', seq: 1 };
  inventory.apply({ ...beat, instances: { items: instances, readAt, complete: true, problems: [] } }, readAt);
  inventory.apply({ ...beat, seq: 2, services: { items, readAt, complete: true, problems: [] } }, readAt);
  return { inventory, services, kinds: KINDS, cloud: 'c' };
}

const SHOP: Service[] = [
  service('db1', 'master'),
  service('db2', 'slave'),
  service('db3', 'slave'),
  service('lb1', 'standalone', 'haproxy'),
];
const WELL: Seen = {
  db1: { rung: 'routed', role: 'master' },
  db2: { rung: 'routed', role: 'slave' },
  db3: { rung: 'routed', role: 'slave' },
  lb1: { rung: 'routed' },
};

describe('a cluster', () => {
  const lookAt = (seen: Seen, services = SHOP) => lookAtCluster('shop', seeing(seen, services));

  test('lacks nothing where its master is one, its replicas follow, and its balancers route', () => {
    expect(lookAt(WELL)).toEqual({ name: 'shop', master: 'db1', lacking: null, isFenced: false, readAt: 1 });
  });

  test.each<[string, Seen, string]>([
    ['a master that accepts no writes', { ...WELL, db1: { rung: 'up', role: 'na' } }, 'db1 is up, not yet the master'],
    ['a master that is stopped', { ...WELL, db1: { rung: 'stopped' } }, 'db1 is stopped, not yet the master'],
    ['a replica that runs and does not follow', { ...WELL, db3: { rung: 'up' } }, 'db3 does not replicate'],
    ['a balancer with another configuration', { ...WELL, lb1: { rung: 'up' } }, 'lb1 does not route as its cluster wants it'],
  ])('with %s says so', (_, seen, lacking) => {
    expect(lookAt(seen)).toMatchObject({ lacking });
  });

  test('is not judged by a replica or balancer that does not run, nor by one that cannot be seen', () => {
    expect(lookAt({ ...WELL, db2: { rung: 'stopped' }, lb1: { rung: 'stopped' } })).toMatchObject({ lacking: null });
    expect(lookAt({ ...WELL, db3: { rung: 'unknown' } })).toMatchObject({ lacking: null, readAt: 1 });
  });

  test('is not read as long as one of it was never seen', () => {
    const { db3: _, ...seen } = WELL;
    expect(lookAt(seen)).toMatchObject({ readAt: null });
  });

  test('without a master says so', () => {
    expect(lookAt(WELL, [service('db1', 'slave')])).toMatchObject({ master: null, lacking: 'nobody is wanted as its master' });
  });
});

describe('a command for a cluster', () => {
  const planned = (action: string, group: string, seen: Seen = WELL, services = SHOP) => {
    const { code, steps, rejected } = plan({ level: 'services', action, group }, seeing(seen, services), []);
    const texts = steps.map(({ lane, when, do: what }) => `${lane}: ${what.verb} ${'name' in what ? what.name : ''} ${when.on}`);
    return { code, steps: texts, why: rejected[0]?.message };
  };
  const refused = (why: string) => ({ code: 'ER0206', steps: [], why });

  test('that switches it is one step in its lane, to the one that is named or to a replica that is ready', () => {
    const step = (to: string) => ({ code: '000000', steps: [`clusters/shop: switch ${to} now`], why: undefined });
    expect(planned('switch', 'db3')).toEqual(step('db3'));
    expect(planned('switch', 'shop')).toEqual(step('db2'));
    expect(planned('switch', 'shop', { ...WELL, db2: { rung: 'up' } })).toEqual(step('db3'));
  });

  test('that switches it to its master has nothing to do, or brings what is half done to its end', () => {
    expect(planned('switch', 'db1')).toEqual({ code: '000000', steps: [], why: undefined });
    expect(planned('switch', 'db1', { ...WELL, db3: { rung: 'up' } })).toMatchObject({
      steps: ['clusters/shop: switch db1 now'],
    });
  });

  test('that switches it waits until those that matter are known', () => {
    const waits = { code: 'ER0016', steps: ['clusters/shop: switch db2 holds'], why: undefined };
    expect(planned('switch', 'db2', { ...WELL, db1: { rung: 'unknown' } })).toEqual(waits);
    expect(planned('switch', 'db2', { ...WELL, db2: { rung: 'unknown' } })).toEqual(waits);
  });

  test.each<[string, Seen, Service[], string]>([
    ['db2', { ...WELL, db2: { rung: 'up' } }, SHOP, 'it has to replicate first, and db2 is up'],
    ['db2', { ...WELL, db1: { rung: 'stopped' } }, SHOP, 'the present master db1 is stopped; nobody can say what it has written'],
    ['lb1', WELL, SHOP, 'a haproxy follows no master'],
    ['db3', WELL, [service('db1', 'master'), service('db3', 'discard')], 'its role is discard; only a slave becomes a master'],
    ['db2', WELL, [service('db2', 'slave')], 'nobody is wanted as master of shop'],
  ])('that switches it to %s is refused where that could not end well', (name, seen, services, why) => {
    expect(planned('switch', name, seen, services)).toEqual(refused(`services switch ${name}: ${why}`));
  });

  test.each(['all', 'local'])('that switches %s is refused: it has to name a service or a cluster', (group) => {
    const why = 'a switch is for the service that is to be the master, or for a cluster, by name';
    expect(planned('switch', group)).toEqual({ code: 'ER0203', steps: [], why });
  });

  test('that restarts it one after the other takes the replicas first, then switches, then takes the old master', () => {
    expect(planned('rolling_restart', 'shop').steps).toEqual(
      [
        'restart db2 all',
        'start db2 now',
        'restart db3 all',
        'start db3 now',
        'switch db2 all',
        'restart db1 all',
        'start db1 now',
      ].map((step) => `clusters/shop: ${step}`),
    );
  });

  test.each<[Seen, Service[], string]>([
    [
      { ...WELL, db3: { rung: 'stopped' } },
      SHOP,
      'rolling_restart of shop: db3 is stopped; all have to be well before one is restarted',
    ],
    [WELL, [service('db1', 'master')], 'rolling_restart of shop: db1 has no replica that could take its place'],
    [WELL, [service('lb1', 'standalone', 'haproxy')], 'rolling_restart: nothing in shop follows a master'],
  ])('that restarts it is refused where one would be missed', (seen, services, why) => {
    expect(planned('rolling_restart', 'shop', seen, services)).toEqual(refused(why));
  });

  test('that lets a replica join starts it, and no master', () => {
    const joined = planned('join', 'shop', { ...WELL, db3: { rung: 'stopped' } });
    expect(joined.steps).toEqual(['services/db3: start db3 now']);
    expect(planned('join', 'db1')).toEqual(
      refused('join: only what follows a master joins its cluster, with the role slave; db1 is a mariadb with the role master'),
    );
  });
});
