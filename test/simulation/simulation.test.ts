import { expect, test } from 'vitest';
import { PATIENCE_MS } from '../properties/runs.ts';
import { play } from './schedule.ts';
import { reportOf, simulate } from './simulate.ts';

/** A few of the schedules that `npm run simulate` plays by the hundred thousand. */
const SCHEDULES = { runs: 100, seed: 1 };

test(
  'two rival fleets keep every invariant, whatever is delayed, lost, doubled, or dies',
  async () => {
    const failure = await simulate(SCHEDULES);
    expect(failure === null ? 'kept' : reportOf(failure)).toBe('kept');
  },
  PATIENCE_MS,
);

test('a schedule is played the same way each time', async () => {
  const numbers = Array.from({ length: 100 }, (_, i) => (i * 2_654_435_761) % 500_000);
  const traces = [0, 1].map(() => [] as string[]);
  for (const trace of traces) await play(numbers, (line) => trace.push(line));
  const [once, again] = traces;
  expect(once?.length).toBeGreaterThan(100);
  expect(again).toEqual(once);
});
