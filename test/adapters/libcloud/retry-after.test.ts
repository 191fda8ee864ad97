import type { AxiosError } from 'axios';
import { expect, test } from 'vitest';
import { delayMs, isWorthRepeating } from '../../../adapters/libcloud/repeating.ts';

const answered = (headers: Readonly<Record<string, string>>) => ({ response: { status: 429, headers } }) as unknown as AxiosError;
const WAITS = { retryMs: 1, retryAfterMostMs: 60_000 };
const hourOff = new Date(Date.now() + 3_600_000);
const afterHourOff = (ms: number) => new Date(hourOff.getTime() - hourOff.getMilliseconds() + ms);

test.each([
  ['3', 3000],
  [afterHourOff(4000).toUTCString(), 4000],
  // As asctime() writes it, which some servers still do.
  [
    afterHourOff(4000)
      .toUTCString()
      .replace(/^(\w+), (\d+) (\w+) (\d+) (\S+) GMT$/, '$1 $3 $2 $5 $4'),
    4000,
  ],
  [afterHourOff(-4000).toUTCString(), 0],
])('a server whose clock is an hour ahead and that says %j is left alone for that long', (retryAfter, ms) => {
  const error = answered({ 'retry-after': retryAfter, date: hourOff.toUTCString() });
  expect(isWorthRepeating(error, false, WAITS)).toBe(true);
  expect(Math.round(delayMs(1, error, WAITS) / 1000) * 1000).toBe(ms);
});

test('a date of a server that does not tell its time is one of ours', () => {
  const error = answered({ 'retry-after': new Date(Date.now() + 30_000).toUTCString() });
  expect(Math.abs(delayMs(1, error, WAITS) - 30_000)).toBeLessThan(5000);
});

test.each(['61', '99999999999999', '9'.repeat(400), hourOff.toUTCString()])('%s is too long to wait for', (retryAfter) => {
  expect(isWorthRepeating(answered({ 'retry-after': retryAfter }), false, WAITS)).toBe(false);
});

test.each(['soon', '-5', '1.5', ''])('%j says nothing', (retryAfter) => {
  const error = answered({ 'retry-after': retryAfter, date: 'today' });
  expect(isWorthRepeating(error, false, WAITS)).toBe(true);
  expect(delayMs(1, error, WAITS)).toBeLessThanOrEqual(1);
});
