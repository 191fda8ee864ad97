import { createFleet, type Store } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { expect, test } from 'vitest';
import { turns } from '../support/turns.ts';

test.each([
  ['and nothing is told of it after', true, 0],
  ['but a store that fails before is told of', false, 1],
])('a beat that is under way when its fleet is stopped finds the store closed, %s', async (_, isStopped, times) => {
  const real = memory();
  let fail = () => {};
  const failing = new Promise<never>((_resolve, reject) => {
    fail = () => reject(new Error('the store is closed'));
  });
  failing.catch(() => {});
  const store: Store = { ...real, get: (key) => (key === 'maintenance' ? failing : real.get(key)) };
  const fleet = createFleet({ store });
  const told: unknown[] = [];
  fleet.on('storeLost', ({ error }) => told.push(error));
  const beat = fleet.beat();
  await turns(1);
  if (isStopped) await fleet.stop();
  fail();
  await beat;
  expect(told).toHaveLength(times);
  await fleet.stop();
});
