import { asInstant, createInventory, type InstanceFacts, type Ip, parseIp } from 'fleetbeat';
import { expect, test } from 'vitest';

const IP = parseIp('10.0.0.1') as Ip;

/** The states of a running instance after readings that say this of its ssh; nothing, as while a host that hangs is still being asked. */
function statesOf(...words: readonly (InstanceFacts['ssh'] | 'nothing')[]): readonly string[] {
  const inventory = createInventory();
  return words.map((ssh, i) => {
    const readAt = asInstant(i + 1);
    const facts = { cloud: 'c', id: 'a', ip: IP, readAt, power: { state: 'running', raw: '' } } as const;
    const item: InstanceFacts = ssh === undefined || ssh === 'nothing' ? facts : { ...facts, ssh };
    inventory.apply(
      { source: 's', epoch: 'e', seq: i + 1, instances: { items: [item], readAt, complete: true, problems: [] } },
      readAt,
    );
    const view = inventory.atIp(IP);
    return typeof view === 'object' ? view.state : view;
  });
}

test('an instance is unreachable after two misses, however many readings between them had no word of it', () => {
  expect(statesOf('up', 'timeout', 'timeout').at(-1)).toBe('unreachable');
  expect(statesOf('up', 'timeout', 'nothing', 'nothing', 'timeout')).toEqual([...Array(4).fill('ssh-up'), 'unreachable']);
  expect(statesOf('up', 'timeout', 'timeout', 'nothing').at(-1)).toBe('unreachable');
});

test('an instance that has answered in between has missed nothing', () => {
  expect(statesOf('up', 'timeout', 'nothing', 'up', 'nothing', 'timeout').at(-1)).toBe('ssh-up');
});
