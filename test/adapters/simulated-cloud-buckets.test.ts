import fc from 'fast-check';
import { EC2_BUCKETS } from 'fleetbeat/testing';
import { describe, expect, test } from 'vitest';
import type { Ec2Action, RequestOf } from '../../src/testing/cloud/actions.ts';
import { createThrottle } from '../../src/testing/cloud/buckets.ts';
import { seededRandom } from '../../src/testing/random.ts';
import { PATIENCE_MS, RUNS } from '../properties/runs.ts';

const open = (seed = 1) => createThrottle(EC2_BUCKETS, seededRandom(seed));
const PAGED = { maxResults: 1000 };

/** How many requests in a row go through at one instant. */
function burst<A extends Ec2Action>(action: A, request: RequestOf<A>, admit = open(), now = 0): number {
  let count = 0;
  while (admit(action, request, now)) count++;
  return count;
}

describe("the simulated EC2's token buckets", () => {
  test('let through at once what AWS documents for each action', () => {
    expect(burst('DescribeInstances', PAGED)).toBe(100);
    expect(burst('DescribeInstances', {})).toBe(50);
    expect(burst('DescribeInstances', { ids: ['i-1'] })).toBe(100);
    expect(burst('DescribeInstances', { filters: [{ name: 'tag-key', values: ['a'] }] })).toBe(100);
    expect(burst('DescribeAddresses', {})).toBe(100);
    expect(burst('RunInstances', {})).toBe(5);
    expect(burst('StartInstances', { ids: ['i-1'] })).toBe(5);
    expect(burst('StopInstances', { ids: ['i-1'] })).toBe(50);
    expect(burst('RebootInstances', { ids: ['i-1'] })).toBe(50);
    expect(burst('TerminateInstances', { ids: ['i-1'] })).toBe(100);
    expect(burst('AssignPrivateIpAddresses', { interfaceId: 'eni-1', ips: [] })).toBe(100);
  });

  test('count instances too where AWS does', () => {
    const ids = Array.from({ length: 400 }, (_, i) => `i-${i}`);
    expect(burst('StartInstances', { ids })).toBe(2);
    expect(burst('StopInstances', { ids })).toBe(2);
    expect(burst('RunInstances', { maxCount: 250 })).toBe(4);
    expect(burst('RebootInstances', { ids })).toBe(50);
  });

  test('are each their own', () => {
    const admit = open();
    burst('StartInstances', { ids: ['i-1'] }, admit);
    expect(burst('RunInstances', {}, admit)).toBe(5);
    burst('DescribeInstances', {}, admit);
    expect(burst('DescribeInstances', PAGED, admit)).toBe(100);
  });

  test('fill once a second', () => {
    const admit = open();
    burst('RunInstances', {}, admit);
    const admitted: number[] = [];
    for (let now = 100; now <= 3000; now += 100) if (burst('RunInstances', {}, admit, now) === 2) admitted.push(now);
    expect(admitted).toHaveLength(3);
    expect(new Set(admitted.map((now) => now % 1000)).size).toBe(1);
  });

  test('never let through more than their size and what was added meanwhile', { timeout: PATIENCE_MS }, () => {
    const steps = fc.array(fc.record({ waitMs: fc.nat(5000), tries: fc.integer({ min: 1, max: 20 }) }), { maxLength: 40 });
    fc.assert(
      fc.property(fc.nat(), steps, (seed, schedule) => {
        const admit = open(seed);
        const admitted: number[] = [];
        let now = 0;
        for (const { waitMs, tries } of schedule) {
          now += waitMs;
          for (let i = 0; i < tries; i++) if (admit('StartInstances', { ids: ['i-1'] }, now)) admitted.push(now);
        }
        const { capacity, perSecond } = EC2_BUCKETS.requests.StartInstances;
        for (const [first, from] of admitted.entries())
          for (const [last, to] of admitted.entries())
            if (last >= first) expect(last - first + 1).toBeLessThanOrEqual(capacity + Math.ceil((to - from) / 1000) * perSecond);
      }),
      RUNS,
    );
  });

  test.each([
    { capacity: 0, perSecond: 1 },
    { capacity: 5, perSecond: 0 },
    { capacity: Number.NaN, perSecond: 1 },
  ])('that cannot be are refused: %j', (bucket) => {
    const requests = { ...EC2_BUCKETS.requests, StopInstances: bucket };
    expect(() => createThrottle({ ...EC2_BUCKETS, requests }, seededRandom(1))).toThrow(
      expect.objectContaining({ code: 'ER0230', detail: expect.stringContaining('StopInstances') }),
    );
  });
});
