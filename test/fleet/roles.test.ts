import { asInstant } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { expect, test } from 'vitest';
import { createRoles } from '../../src/roles.ts';

const now = () => asInstant(1);

test('a master that is recorded is wanted by all who share the store, until the configuration has another one', async () => {
  const store = memory();
  const [one, other] = [createRoles(store, now), createRoles(store, now)];
  expect(other.masterOf('shop', 'db1')).toBeNull();
  await one.want({ cluster: 'shop', master: 'db2', configured: 'db1', fence: 1 });
  await other.refresh();
  for (const roles of [one, other]) {
    expect(roles.masterOf('shop', 'db1')).toBe('db2');
    expect(roles.masterOf('shop', 'db3')).toBeNull();
    expect(roles.masterOf('constructor', 'db1')).toBeNull();
  }
});

test('a leader of an earlier term records nobody over a later one', async () => {
  const store = memory();
  const [later, earlier] = [createRoles(store, now), createRoles(store, now)];
  await later.want({ cluster: 'shop', master: 'db2', configured: 'db1', fence: 5 });
  const late = earlier.want({ cluster: 'shop', master: 'db3', configured: 'db1', fence: 4 });
  await expect(late).rejects.toMatchObject({ code: 'ER0211' });
  expect(earlier.masterOf('shop', 'db1')).toBe('db2');
});
