import fc from 'fast-check';
import { EC2_BUCKETS, type Ec2BucketOptions, ec2 } from 'fleetbeat/adapters/ec2';
import { describe, expect, test } from 'vitest';
import { readBuckets } from '../../adapters/ec2/buckets.ts';
import { createPacer } from '../../adapters/ec2/pacer.ts';
import { type Bucket, drained, fullLevel, taken, waitMs } from '../../adapters/ec2/token-bucket.ts';
import { RUNS } from '../properties/runs.ts';

const buckets = fc.record({ capacity: fc.integer({ min: 1, max: 20 }), perSecond: fc.integer({ min: 1, max: 20 }) });

/** When somebody comes, how long after the one before, and for how many tokens. */
const visits = fc.array(fc.record({ afterMs: fc.integer({ min: 0, max: 2500 }), cost: fc.integer({ min: 1, max: 20 }) }), {
  minLength: 1,
  maxLength: 60,
});

/** Lets everyone take as soon as the model has it. @returns when how much was taken */
function takeAll(bucket: Bucket, coming: readonly { readonly afterMs: number; readonly cost: number }[]) {
  let now = 0;
  let level = fullLevel(bucket, now);
  return coming.map(({ afterMs, cost: asked }) => {
    const cost = Math.min(asked, bucket.capacity);
    now += afterMs;
    now += waitMs(bucket, level, cost, now);
    level = taken(bucket, level, cost, now);
    return { at: now, cost };
  });
}

describe('a token bucket', () => {
  test('never gives more than it holds and what comes back, in any window of time', () => {
    fc.assert(
      fc.property(buckets, visits, (bucket, coming) => {
        const gone = takeAll(bucket, coming);
        for (let from = 0; from < gone.length; from++) {
          let sum = 0;
          for (const { at, cost } of gone.slice(from)) {
            sum += cost;
            const seconds = (at - (gone[from]?.at ?? 0)) / 1000;
            expect(sum).toBeLessThanOrEqual(bucket.capacity + bucket.perSecond * seconds);
          }
        }
      }),
      RUNS,
    );
  });

  test('never gives what a provider would refuse that refills all the time', () => {
    fc.assert(
      fc.property(buckets, visits, (bucket, coming) => {
        let tokens = bucket.capacity;
        let before = 0;
        for (const { at, cost } of takeAll(bucket, coming)) {
          tokens = Math.min(bucket.capacity, tokens + ((at - before) / 1000) * bucket.perSecond) - cost;
          before = at;
          expect(tokens).toBeGreaterThan(-1e-6);
        }
      }),
      RUNS,
    );
  });

  test('never gives what a provider would refuse that refills by the second, whenever its seconds begin', () => {
    fc.assert(
      fc.property(buckets, visits, fc.integer({ min: 0, max: 999 }), (bucket, coming, phase) => {
        let tokens = bucket.capacity;
        let ticks = 0;
        for (const { at, cost } of takeAll(bucket, coming)) {
          for (; ticks * 1000 + phase <= at; ticks++) tokens = Math.min(bucket.capacity, tokens + bucket.perSecond);
          tokens -= cost;
          expect(tokens).toBeGreaterThanOrEqual(0);
        }
      }),
      RUNS,
    );
  });

  test('never lets anybody wait longer than the missing tokens take to come back', () => {
    fc.assert(
      fc.property(buckets, visits, (bucket, coming) => {
        let now = 0;
        let level = fullLevel(bucket, now);
        for (const { afterMs, cost: asked } of coming) {
          const cost = Math.min(asked, bucket.capacity);
          now += afterMs;
          const wait = waitMs(bucket, level, cost, now);
          expect(wait).toBeLessThanOrEqual((Math.ceil(cost / bucket.perSecond) + 1) * 1000);
          now += wait;
          level = taken(bucket, level, cost, now);
        }
      }),
      RUNS,
    );
  });

  test('says that it never will hold more than its capacity', () => {
    const bucket = { capacity: 5, perSecond: 2 };
    expect(waitMs(bucket, fullLevel(bucket, 0), 6, 0)).toBe(Number.POSITIVE_INFINITY);
  });

  test('holds less than was asked for once the provider has refused it', () => {
    const bucket = { capacity: 1000, perSecond: 2 };
    expect(waitMs(bucket, drained(bucket, fullLevel(bucket, 0), 200, 0), 200, 0)).toBe(1000);
    expect(waitMs(bucket, drained(bucket, fullLevel(bucket, 0), 1, 0), 1, 0)).toBe(1000);
  });
});

/** A clock on which all sleepers are woken in the order of their time. */
function sleepers() {
  let now = 0;
  const asleep: { readonly until: number; readonly wake: () => void }[] = [];
  /** All that follows without time passing has happened once the event loop has turned. */
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    clock: {
      now: () => now,
      sleep: (ms: number, signal: AbortSignal) =>
        new Promise<void>((wake, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
          asleep.push({ until: now + ms, wake });
        }),
    },
    settle,
    async runUntil(end: number) {
      for (;;) {
        await settle();
        asleep.sort((a, b) => a.until - b.until);
        const [next] = asleep;
        if (!next || next.until > end) break;
        asleep.shift();
        now = next.until;
        next.wake();
      }
      now = end;
    },
  };
}

const never = new AbortController().signal;

describe('the pacer', () => {
  const paced = () => {
    const time = sleepers();
    return { ...time, pacer: createPacer(readBuckets('ec2'), time.clock) };
  };

  test('lets nobody overtake, and serves everybody at the pace of the bucket', async () => {
    const { pacer, clock, runUntil } = paced();
    const served: [number, number][] = [];
    for (let i = 0; i < 12; i++) void pacer.take('StartInstances', 1, never).then(() => served.push([i, clock.now()]));
    await runUntil(10_000);
    expect(served.map(([who]) => who)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(served.map(([, at]) => at)).toEqual([0, 0, 0, 0, 0, 1000, 1000, 2000, 2000, 3000, 3000, 4000]);
  });

  test('lets who wants few instances wait behind who wants many, so that nobody starves', async () => {
    const { pacer, clock, runUntil } = paced();
    const served: [string, number][] = [];
    const ask = (who: string, instances: number) =>
      void pacer.take('StartInstances', instances, never).then(() => served.push([who, clock.now()]));
    ask('all', 1000);
    ask('many', 20);
    ask('one', 1);
    await runUntil(60_000);
    expect(served).toEqual([
      ['all', 0],
      ['many', 10_000],
      ['one', 11_000],
    ]);
  });

  test('keeps each action to its own buckets', async () => {
    const { pacer, clock, runUntil } = paced();
    const served: [string, number][] = [];
    for (let i = 0; i < 6; i++) void pacer.take('RunInstances', 1, never).then(() => served.push(['run', clock.now()]));
    void pacer.take('StopInstances', 1, never).then(() => served.push(['stop', clock.now()]));
    await runUntil(5000);
    expect(served.filter(([, at]) => at === 0).map(([what]) => what)).toContain('stop');
    expect(served.at(-1)).toEqual(['run', 1000]);
  });

  test('releases at once who gives up, and takes no token for him', async () => {
    const { pacer, clock, settle, runUntil } = paced();
    for (let i = 0; i < 5; i++) await pacer.take('StartInstances', 1, never);
    const impatient = new AbortController();
    const served: [string, number][] = [];
    const first = pacer.take('StartInstances', 1, impatient.signal).catch(() => served.push(['gave up', clock.now()]));
    const second = pacer.take('StartInstances', 1, impatient.signal).catch(() => served.push(['gave up', clock.now()]));
    void pacer.take('StartInstances', 2, never).then(() => served.push(['served', clock.now()]));
    await settle();
    impatient.abort();
    await Promise.all([first, second]);
    await runUntil(5000);
    expect(served).toEqual([
      ['gave up', 0],
      ['gave up', 0],
      ['served', 1000],
    ]);
  });

  test('after a throttle answer waits for a refill, and refills at half the pace for a while', async () => {
    const { pacer, clock, runUntil } = paced();
    pacer.throttled('StartInstances', 1);
    const served: number[] = [];
    for (let i = 0; i < 4; i++) void pacer.take('StartInstances', 1, never).then(() => served.push(clock.now()));
    await runUntil(20_000);
    expect(served).toEqual([1000, 2000, 3000, 4000]);
    await runUntil(60_000);
    served.length = 0;
    for (let i = 0; i < 9; i++) void pacer.take('StartInstances', 1, never).then(() => served.push(clock.now()));
    await runUntil(70_000);
    expect(served).toEqual([60_000, 60_000, 60_000, 60_000, 60_000, 61_000, 61_000, 62_000, 62_000]);
  });
});

describe('the buckets of EC2', () => {
  test('are those that AWS documents', () => {
    expect(EC2_BUCKETS.DescribeInstances).toEqual({ request: { capacity: 100, perSecond: 20 } });
    expect(EC2_BUCKETS.RunInstances).toEqual({
      request: { capacity: 5, perSecond: 2 },
      resource: { capacity: 1000, perSecond: 2 },
    });
    expect(EC2_BUCKETS.StopInstances).toEqual({
      request: { capacity: 50, perSecond: 5 },
      resource: { capacity: 1000, perSecond: 20 },
    });
  });

  test.each([
    [{ RunInstances: { request: { capacity: 0, perSecond: 2 } } }, /RunInstances.*capacity of 1 or more/],
    [{ StartInstances: { resource: { capacity: 9, perSecond: 0 } } }, /more than 0 per second/],
    [{ EatInstances: {} }, /"EatInstances"; allowed are DescribeInstances/],
  ])('are refused where they could never be drawn from: %j', (given, message) => {
    expect(() => ec2({ region: 'us-east-1', buckets: given as Ec2BucketOptions })).toThrow(message);
  });
});
