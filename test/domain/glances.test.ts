import { asInstant, createInventory, type InstanceFacts, instanceKey, parseIp } from 'fleetbeat';
import { expect, test } from 'vitest';

test('an instance that was looked at, and is read again as it was, is seen as read now', () => {
  const inventory = createInventory();
  const beat = (seq: number) => {
    const facts: InstanceFacts = {
      cloud: 'c',
      id: 'a',
      ip: parseIp('10.0.0.1'),
      readAt: asInstant(seq),
      power: { state: 'running', raw: 'running' },
      ssh: 'up',
    };
    const instances = { items: [facts], readAt: asInstant(seq), complete: true, problems: [] };
    inventory.apply({ source: 's', epoch: 'e', seq, instances }, asInstant(seq));
    return inventory.get(instanceKey('c', 'a'))?.readAt;
  };
  expect([1, 2, 3].map(beat)).toEqual([1, 2, 3]);
});
