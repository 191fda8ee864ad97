import { asInstant, createInventory, type InstanceFacts, type Ip, parseIp } from 'fleetbeat';
import { expect, test } from 'vitest';

const IP = parseIp('10.0.0.1') as Ip;

test('a conflict over an address is over once one of the two no longer reports it', () => {
  const inventory = createInventory();
  const facts = (id: string, ip: Ip | null): InstanceFacts => ({
    cloud: 'c',
    id,
    ip,
    readAt: asInstant(1),
    power: { state: ip ? 'running' : 'stopped', raw: '' },
    ssh: 'up',
  });
  const beat = (seq: number, ...items: readonly InstanceFacts[]) =>
    inventory.apply(
      { source: 's', epoch: 'e', seq, instances: { items, readAt: asInstant(seq), complete: true, problems: [] } },
      asInstant(seq),
    );
  expect(beat(1, facts('a', IP), facts('b', IP)).filter((change) => change.kind === 'conflict')).toHaveLength(2);
  expect(inventory.atIp(IP)).toBe('conflict');
  beat(2, facts('a', null), facts('b', IP));
  expect(inventory.atIp(IP)).toMatchObject({ name: 'b' });
  expect(beat(3, facts('a', IP), facts('b', IP)).map((change) => [change.kind, change.to.name])).toContainEqual([
    'conflict',
    'b',
  ]);
});
