import { createFleet } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { expect, test } from 'vitest';
import { beats, counted, fleetOn } from '../support/counted-cloud.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test('the bill counts every request by driver, verb and caller, over restarts and for all who share the store', async () => {
  const world = counted();
  const store = memory({ now: world.now });
  const bill = { prices: { simulated: { '*': 0.01 } }, currency: 'EUR' };
  const fleet = fleetOn(world, store, { bill });
  await fleet.beat();
  await beats(fleet, world, 30 * MINUTE, 10_000);
  await fleet.stop();
  const next = fleetOn(world, store, { bill });
  await beats(next, world, 30 * MINUTE, 10_000);
  const found = await next.bill();
  expect(found).toMatchObject({ calls: world.reads.length, currency: 'EUR' });
  expect(found.cost).toBeCloseTo(world.reads.length / 100);
  expect(found.lines).toMatchObject([{ driver: 'simulated', verb: 'List', caller: 'beat' }]);
  expect(found.forecast.callsPerDay).toBeGreaterThan(world.reads.length);
  const reader = createFleet({ store, now: world.now });
  await next.stop();
  expect(await reader.bill()).toMatchObject({ calls: found.calls });
});

test('past its soft limit a cloud is read seldomer; past the hard one only for who waits, who is told', async () => {
  const world = counted();
  const problems: string[] = [];
  const budgets = { simulated: { perDay: { soft: 3, hard: 5 } } };
  const fleet = fleetOn(world, memory({ now: world.now }), { bill: { budgets } });
  fleet.on('problem', ({ code, message }) => problems.push(`${code} ${message}`));
  await fleet.beat();
  await beats(fleet, world, 12 * MINUTE, 10_000);
  expect(world.reads).toHaveLength(3);
  await beats(fleet, world, 40 * MINUTE, 10_000);
  expect(world.reads).toHaveLength(5);
  await beats(fleet, world, 5 * HOUR, MINUTE);
  expect(world.reads).toHaveLength(5);
  expect(problems).toEqual([
    expect.stringContaining('ER0245 simulated: 3 of 3 calls this day (soft limit)'),
    expect.stringContaining('ER0245 simulated: 5 of 5 calls this day (hard limit); only what is awaited is read; 0 actions wait'),
  ]);
  await fleet.dispatch({ level: 'instances', action: 'start', group: 'i-2' });
  await beats(fleet, world, MINUTE, 2000);
  expect(fleet.actions()).toEqual([]);
  expect(world.reads.length).toBeGreaterThan(5);
});
