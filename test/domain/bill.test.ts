import fc from 'fast-check';
import { type ApiCall, asInstant } from 'fleetbeat';
import { expect, test } from 'vitest';
import { billOf, type Entry, HOUR_MS, hourOf, merged, tallyOf } from '../../src/domain/bill.ts';
import { strainOn } from '../../src/domain/budget.ts';

const call: ApiCall = { driver: 'ec2', verb: 'DescribeInstances', caller: 'beat', outcome: 'ok', isRetry: false };
const at = (hours: number) => asInstant(hours * HOUR_MS);
const entry = (hours: number, of: Partial<ApiCall> = {}): Entry => {
  const made = { ...call, ...of };
  return { hour: hourOf(at(hours)), driver: made.driver, verb: made.verb, caller: made.caller, ...tallyOf(made) };
};
const FREE = { since: at(0), now: at(100), prices: {}, currency: 'USD' };

test('calls of one driver, verb and caller are one line, with what came of them', () => {
  const entries = [entry(1), entry(2, { outcome: 'throttled' }), entry(2, { isRetry: true }), entry(2, { caller: 'action' })];
  const { lines, calls } = billOf(entries, FREE);
  expect(lines).toMatchObject([
    { driver: 'ec2', verb: 'DescribeInstances', caller: 'beat', calls: 3, throttled: 1, retries: 1, refused: 0, failed: 0 },
    { caller: 'action', calls: 1 },
  ]);
  expect(calls).toBe(4);
});

test('a call costs what its verb costs, or any verb of its driver; one without a price is free', () => {
  const prices = { ec2: { RunInstances: 2, '*': 0.5 } };
  const entries = [entry(1, { verb: 'RunInstances' }), entry(1), entry(1, { driver: 'nova' })];
  const { cost, lines } = billOf(entries, { ...FREE, prices });
  expect(cost).toBe(2.5);
  expect(lines.find(({ driver }) => driver === 'nova')?.cost).toBe(0);
});

test('a driver or verb that is named like a property of objects has no price', () => {
  const entries = [entry(1, { driver: 'constructor', verb: 'toString' }), entry(1, { verb: 'constructor' })];
  expect(billOf(entries, { ...FREE, prices: { ec2: {} } }).cost).toBe(0);
});

test('only hours that reach into the asked time count', () => {
  expect(billOf([entry(1), entry(5), entry(6)], { ...FREE, since: at(5.5), now: at(6.5) }).calls).toBe(2);
});

test('the forecast goes on as the last 24 hours, or as many as there are', () => {
  const prices = { ec2: { '*': 1 } };
  const six = Array.from({ length: 6 }, (_, i) => entry(i));
  expect(billOf(six, { ...FREE, now: at(6), prices }).forecast).toEqual({ callsPerDay: 24, costPerDay: 24, costPer30Days: 720 });
  const old = [entry(1), ...Array.from({ length: 24 }, (_, i) => entry(77 + i))];
  expect(billOf(old, { ...FREE, now: at(101), prices }).forecast.callsPerDay).toBe(24);
});

test('however entries are put together, no call is lost or counted twice', () => {
  const some = fc.array(
    fc.record({
      hour: fc.integer({ min: 0, max: 3 }).map((hours) => at(hours)),
      driver: fc.constantFrom('ec2', 'nova'),
      verb: fc.constantFrom('list', 'start', '__proto__'),
      caller: fc.constantFrom('beat' as const, 'action' as const),
      calls: fc.nat(100),
      refused: fc.nat(9),
      throttled: fc.nat(9),
      failed: fc.nat(9),
      retries: fc.nat(9),
    }),
  );
  fc.assert(
    fc.property(some, some, (a, b) => {
      const bill = billOf(merged([...merged(a), ...merged(b)]), FREE);
      expect(bill.calls).toBe([...a, ...b].reduce((calls, one) => calls + one.calls, 0));
    }),
  );
});

test('a budget is strained from its limits on, the hard ones first', () => {
  const budget = { perHour: { soft: 10 }, perDay: { soft: 50, hard: 100 } };
  expect(strainOn(budget, { hour: 9, day: 49 }).strain).toBe('none');
  expect(strainOn(budget, { hour: 10, day: 10 })).toEqual({ strain: 'soft', text: '10 of 10 calls this hour (soft limit)' });
  expect(strainOn(budget, { hour: 0, day: 50 }).strain).toBe('soft');
  expect(strainOn(budget, { hour: 99, day: 100 })).toEqual({ strain: 'hard', text: '100 of 100 calls this day (hard limit)' });
});
