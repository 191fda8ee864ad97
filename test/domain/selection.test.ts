import { asInstant, type Command, createInventory, type Ip, type Known, parseIp, type Service } from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { selectInstances, selectServices, targetsOf } from '../../src/domain/selection.ts';

const ip = (text: string): Ip => {
  const parsed = parseIp(text);
  if (parsed === null) throw new Error(`${text} is no ip`);
  return parsed;
};

const service = (name: string, at: string, mode: string, cluster?: string): Service => ({
  name,
  ip: ip(at),
  mode,
  status: 'na',
  settings: undefined,
  ...(cluster === undefined ? {} : { cluster }),
});

const SERVICES = [
  service('node10', '10.0.0.102', 'mariadb', 'shop'),
  service('node11', '10.0.0.47', 'mysql', 'shop'),
  service('nosql1', '10.0.0.102', 'memcache'),
  service('proxy1', '10.0.0.47', 'mysql-proxy', 'web'),
  service('lb1', '10.0.0.102', 'keepalived'),
  service('lb2', '10.0.0.47', 'haproxy'),
];

const inventory = createInventory();
for (const [cloud, seq] of [
  ['ec2', 1],
  ['vcloud', 2],
] as const)
  inventory.apply(
    {
      source: cloud,
      epoch: 'e',
      seq,
      instances: {
        items: [
          { cloud, id: `${cloud}-1`, ip: ip(cloud === 'ec2' ? '10.0.0.102' : '10.0.0.47'), readAt: asInstant(1) },
          { cloud, id: `${cloud}-2`, ip: null, readAt: asInstant(1) },
        ],
        readAt: asInstant(1),
        complete: true,
        problems: [],
      },
    },
    asInstant(1),
  );

const known: Known = { inventory, services: SERVICES, kinds: new Map(), cloud: 'ec2' };
const host = { ips: [ip('10.0.0.102')] };

const names = (command: Pick<Command, 'group' | 'type' | 'host'>) => selectServices(command, SERVICES).map(({ name }) => name);
const ids = (command: Pick<Command, 'group' | 'type' | 'host'>) => selectInstances(command, known).map(({ name }) => name);

describe('services are selected', () => {
  test('by name, by ip, by cluster, and all of them', () => {
    expect(names({ group: 'node10' })).toEqual(['node10']);
    expect(names({ group: '10.0.0.47' })).toEqual(['node11', 'proxy1', 'lb2']);
    expect(names({ group: 'shop' })).toEqual(['node10', 'node11']);
    expect(names({ group: 'all' })).toEqual(SERVICES.map(({ name }) => name));
  });

  test('as local: those on the ips of the host that asks, and none where no host does', () => {
    expect(names({ group: 'local', host })).toEqual(['node10', 'nosql1', 'lb1']);
    expect(names({ group: 'local' })).toEqual([]);
  });

  test('by mode or by section, together with the group', () => {
    expect(names({ group: 'all', type: 'mariadb' })).toEqual(['node10']);
    expect(names({ group: 'all', type: 'db' })).toEqual(['node10', 'node11']);
    expect(names({ group: 'all', type: 'nosql' })).toEqual(['nosql1']);
    expect(names({ group: 'all', type: 'proxy' })).toEqual(['proxy1']);
    expect(names({ group: '10.0.0.47', type: 'lb' })).toEqual(['lb2']);
  });

  test('not at all by a type that is none, also where the word means something to objects', () => {
    for (const type of ['dbx', '', '__proto__', 'constructor', 'toString']) expect(names({ group: 'all', type })).toEqual([]);
  });
});

describe('instances are selected', () => {
  test('by id, by ip, by the cluster of a service on them, and all of them', () => {
    expect(ids({ group: 'ec2-2' })).toEqual(['ec2-2']);
    expect(ids({ group: '10.0.0.47' })).toEqual(['vcloud-1']);
    expect(ids({ group: 'shop' })).toEqual(['ec2-1', 'vcloud-1']);
    expect(ids({ group: 'all' })).toEqual(['ec2-1', 'ec2-2', 'vcloud-1', 'vcloud-2']);
  });

  test('by cloud, and as local', () => {
    expect(ids({ group: 'all', type: 'vcloud' })).toEqual(['vcloud-1', 'vcloud-2']);
    expect(ids({ group: 'local', host })).toEqual(['ec2-1']);
    expect(ids({ group: 'all', type: 'vcl' })).toEqual([]);
  });
});

describe('a command', () => {
  const targets = (command: Command) => targetsOf(command, known);

  test('to an ip follows the ip, also where nobody has it yet', () => {
    expect(targets({ level: 'instances', action: 'launch', group: '10.9.9.9' })).toEqual({
      targets: [
        { lane: 'instances/ec2/wanted/10.9.9.9', do: { level: 'instances', subject: { ip: '10.9.9.9' }, verb: 'launch' } },
      ],
    });
  });

  test('to bootstrap for a service is the bootstrap of its instance, in the lane of the service', () => {
    expect(targets({ level: 'services', action: 'bootstrap_ncc', group: 'node10' })).toEqual({
      targets: [
        {
          lane: 'services/node10',
          do: { level: 'instances', subject: { ip: '10.0.0.102' }, verb: 'bootstrap', upTo: 'managed' },
        },
      ],
    });
  });

  test('world starts the services of the host that announces itself', () => {
    const selected = targets({ level: 'instances', action: 'world', group: 'local', host });
    expect('targets' in selected && selected.targets.map((target) => target.lane)).toEqual([
      'services/node10',
      'services/nosql1',
      'services/lb1',
    ]);
  });

  test.each([
    [{ level: 'services', action: 'start', group: 'nobody' }, 'ER0203', 'node10, node11'],
    [{ level: 'services', action: 'fly', group: 'all' }, 'ER0202', 'install, remove, start'],
    [{ level: 'instances', action: 'bootstrap', group: 'all' }, 'ER0202', 'launch, start, stop'],
    [{ level: 'instances', action: 'stop', group: 'nobody' }, 'ER0203', 'no instance'],
    [{ level: 'instances', action: 'world', group: 'local' }, 'ER0203', 'no service'],
    [{ level: 'config', action: 'display', group: 'all' }, 'ER0202', 'config'],
  ] as const)('%j is refused with %s and what is known', (command, code, text) => {
    const selected = targets(command);
    expect('rejected' in selected && selected.rejected.code).toBe(code);
    expect('rejected' in selected && selected.rejected.message).toContain(text);
  });
});
