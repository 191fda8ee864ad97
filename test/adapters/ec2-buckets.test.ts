import fc from 'fast-check';
import { EC2_BUCKETS, type Ec2Action, type Ec2BucketOptions, ec2 } from 'fleetbeat/adapters/ec2';
import { describe, expect, test } from 'vitest';
import { readBuckets } from '../../adapters/ec2/buckets.ts';
import { createPacer } from '../../adapters/ec2/pacer.ts';
import { answered, type Bucket, drained, fullLevel, taken, waitMs } from '../../adapters/ec2/token-bucket.ts';
import { RUNS } from '../properties/runs.ts';

const buckets = fc.record({ capacity: fc.integer({ min: 1, max: 20 }), perSecond: fc.integer({ min: 1, max: 20 }) });

/** When somebody comes, how long after the one before, for how many tokens; how long the request travels, and its answer. */
const visits = fc.array(
  fc.record({
    afterMs: fc.integer({ min: 0, max: 2500 }),
    cost: fc.integer({ min: 1, max: 20 }),
    thereMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3000 })),
    backMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3000 })),
  }),
  { minLength: 1, maxLength: 60 },
);
type Visit = typeof visits extends fc.Arbitrary<(infer V)[]> ? V : never;

/** Lets everyone take, in order, as soon as the model has it. @returns when how much was taken, and when it arrived */
function takeAll(bucket: Bucket, coming: readonly Visit[]) {
  let now = 0;
  let level = fullLevel(bucket, now);
  const underWay: { readonly until: number; readonly cost: number }[] = [];

  /** Time passes, and what is answered meanwhile is noted when it is. */
  const passTo = (end: number) => {
    for (;;) {
      underWay.sort((a, b) => a.until - b.until);
      const [next] = underWay;
      if (!next || next.until > end) break;
      underWay.shift();
      now = next.until;
      level = answered(bucket, level, next.cost, now);
    }
    now = end;
  };

  const gone = coming.map(({ afterMs, cost: asked, thereMs, backMs }) => {
    const cost = Math.min(asked, bucket.capacity);
    passTo(now + afterMs);
    for (let wait = waitMs(bucket, level, cost, now); wait > 0; wait = waitMs(bucket, level, cost, now))
      passTo(Number.isFinite(wait) ? now + wait : Math.min(...underWay.map(({ until }) => until)));
    level = taken(bucket, level, cost, now);
    underWay.push({ until: now + thereMs + backMs, cost });
    return { at: now, arrivesAt: now + thereMs, cost };
  });
  return { gone, arriving: [...gone].sort((a, b) => a.arrivesAt - b.arrivesAt) };
}

describe('a token bucket', () => {
  test('never gives more than it holds and what comes back, in any window of time', () => {
    fc.assert(
      fc.property(buckets, visits, (bucket, coming) => {
        const { gone } = takeAll(bucket, coming);
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

  test('never gives what a provider would refuse that refills all the time, however long requests travel', () => {
    fc.assert(
      fc.property(buckets, visits, (bucket, coming) => {
        let tokens = bucket.capacity;
        let before = 0;
        for (const { arrivesAt, cost } of takeAll(bucket, coming).arriving) {
          tokens = Math.min(bucket.capacity, tokens + ((arrivesAt - before) / 1000) * bucket.perSecond) - cost;
          before = arrivesAt;
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
        for (const { arrivesAt, cost } of takeAll(bucket, coming).arriving) {
          for (; ticks * 1000 + phase <= arrivesAt; ticks++) tokens = Math.min(bucket.capacity, tokens + bucket.perSecond);
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
          level = answered(bucket, taken(bucket, level, cost, now), cost, now);
        }
      }),
      RUNS,
    );
  });

  test('keeps its pace where every answer takes its time', () => {
    const bucket = { capacity: 5, perSecond: 2 };
    const visit = { afterMs: 0, cost: 1, thereMs: 250, backMs: 250 };
    const { gone } = takeAll(
      bucket,
      Array.from({ length: 45 }, () => visit),
    );
    expect(gone.at(-1)?.at).toBe(500 + 20_000);
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
    const pacer = createPacer(readBuckets('ec2'), time.clock);
    /** Asks for one request, which is answered as soon as it is sent. */
    const send = async (action: Ec2Action, instances: number, signal = never) => {
      const answered = await pacer.take(action, instances, signal);
      answered();
    };
    return { ...time, pacer, send };
  };

  test('lets nobody overtake, and serves everybody at the pace of the bucket', async () => {
    const { send, clock, runUntil } = paced();
    const served: [number, number][] = [];
    for (let i = 0; i < 12; i++) void send('StartInstances', 1).then(() => served.push([i, clock.now()]));
    await runUntil(10_000);
    expect(served.map(([who]) => who)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(served.map(([, at]) => at)).toEqual([0, 0, 0, 0, 0, 1000, 1000, 2000, 2000, 3000, 3000, 4000]);
  });

  test('lets who wants few instances wait behind who wants many, so that nobody starves', async () => {
    const { send, clock, runUntil } = paced();
    const served: [string, number][] = [];
    const ask = (who: string, instances: number) =>
      void send('StartInstances', instances).then(() => served.push([who, clock.now()]));
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

  test('lets what is in flight be answered before it counts on refills that may have found no room', async () => {
    const { pacer, clock, runUntil } = paced();
    const first = await pacer.take('StartInstances', 1000, never);
    const served: number[] = [];
    void pacer.take('StartInstances', 1000, never).then(() => served.push(clock.now()));
    await runUntil(3000);
    expect(served).toEqual([]);
    first();
    await runUntil(600_000);
    expect(served).toEqual([503_000]);
  });

  test('keeps each action to its own buckets', async () => {
    const { send, clock, runUntil } = paced();
    const served: [string, number][] = [];
    for (let i = 0; i < 6; i++) void send('RunInstances', 1).then(() => served.push(['run', clock.now()]));
    void send('StopInstances', 1).then(() => served.push(['stop', clock.now()]));
    await runUntil(5000);
    expect(served.filter(([, at]) => at === 0).map(([what]) => what)).toContain('stop');
    expect(served.at(-1)).toEqual(['run', 1000]);
  });

  test('releases at once who gives up, and takes no token for him', async () => {
    const { send, clock, settle, runUntil } = paced();
    for (let i = 0; i < 5; i++) await send('StartInstances', 1);
    const impatient = new AbortController();
    const served: [string, number][] = [];
    const first = send('StartInstances', 1, impatient.signal).catch(() => served.push(['gave up', clock.now()]));
    const second = send('StartInstances', 1, impatient.signal).catch(() => served.push(['gave up', clock.now()]));
    void send('StartInstances', 2).then(() => served.push(['served', clock.now()]));
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

  test('loses no token to who gives up in the moment in which it is his turn', async () => {
    const { pacer, send, clock, runUntil } = paced();
    for (let turns = 0; turns < 12; turns++) {
      const undecided = new AbortController();
      const asked = pacer.take('StartInstances', 1, undecided.signal).then(
        (answered) => answered(),
        () => {},
      );
      for (let i = 0; i < turns; i++) await Promise.resolve();
      undecided.abort();
      await asked;
      await runUntil(clock.now() + 10_000);
    }
    const served: number[] = [];
    for (let i = 0; i < 5; i++) void send('StartInstances', 1).then(() => served.push(clock.now()));
    await runUntil(clock.now() + 1);
    expect(served).toEqual(Array(5).fill(120_000));
  });

  test('after a throttle answer waits for a refill, and refills at half the pace for a while', async () => {
    const { pacer, send, clock, runUntil } = paced();
    pacer.throttled('StartInstances', 1);
    const served: number[] = [];
    for (let i = 0; i < 4; i++) void send('StartInstances', 1).then(() => served.push(clock.now()));
    await runUntil(20_000);
    expect(served).toEqual([1000, 2000, 3000, 4000]);
    await runUntil(60_000);
    served.length = 0;
    for (let i = 0; i < 9; i++) void send('StartInstances', 1).then(() => served.push(clock.now()));
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
