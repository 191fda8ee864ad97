import { createFleet, type Driver, type Fleet, type InstanceFacts, type Instant, type Ip, type ServiceDriver } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { turns } from '../support/turns.ts';

let reads: number;
let performed: number;
/** What a reading waits for. */
let reading: Promise<void>;
let tellNews: () => void;
let end: () => Promise<void>;
beforeEach(() => {
  reads = 0;
  performed = 0;
  reading = Promise.resolve();
});
afterEach(() => end());

const stopped = (readAt: Instant): InstanceFacts => ({
  cloud: 'cloud',
  id: 'i-1',
  ip: '10.0.0.1' as Ip,
  readAt,
  power: { state: 'stopped', raw: 'stopped' },
});

const cloud: Driver<InstanceFacts> = {
  name: 'cloud',
  everyMs: 10_000,
  async observe({ now }) {
    reads++;
    await reading;
    return { items: [stopped(now)], readAt: now, complete: true, problems: [] };
  },
  async perform(calls) {
    performed++;
    return calls.map(() => null);
  },
  onNews(listener) {
    tellNews = listener;
    return () => {
      tellNews = () => {};
    };
  },
};

function start(everyMs: number, ...services: readonly ServiceDriver[]): Fleet {
  const fleet = createFleet({ store: memory(), drivers: { instances: [cloud], services } });
  fleet.start(everyMs);
  end = fleet.stop;
  return fleet;
}

/** Beats once more, now. */
const beatAgain = (count: number) =>
  expect
    .poll(() => {
      tellNews();
      return reads;
    })
    .toBe(count);

describe('a fleet that beats by itself', () => {
  test('is not held up by a source that is slow', async () => {
    let asked = 0;
    start(20, {
      name: 'slow',
      everyMs: 10_000,
      observe: () => {
        asked++;
        return new Promise(() => {});
      },
      perform: async () => [],
    });
    await expect.poll(() => reads).toBeGreaterThan(4);
    expect(asked).toBe(1);
  });

  test('dates the next reading of such a source after the one that was slow', async () => {
    const dates: number[] = [];
    let go = () => {};
    const slow = new Promise<void>((resolve) => {
      go = resolve;
    });
    start(20, {
      name: 'slow',
      everyMs: 10_000,
      async observe({ now }) {
        dates.push(now);
        if (dates.length === 1) await slow;
        return { items: [], readAt: now, complete: true, problems: [] };
      },
      perform: async () => [],
    });
    await expect.poll(() => reads).toBeGreaterThan(4);
    const endedAt = Date.now();
    go();
    await expect.poll(() => dates.length).toBeGreaterThan(1);
    expect(dates[1]).toBeGreaterThanOrEqual(endedAt);
  });

  test('beats once more where a driver has news and the next beat is far off', async () => {
    start(60_000);
    await expect.poll(() => reads).toBe(1);
    await beatAgain(2);
  });

  test('reads once more what was being read while a call was accepted, since that may have been missed', async () => {
    const fleet = start(60_000);
    await expect.poll(() => fleet.views()).toMatchObject([{ state: 'stopped' }]);
    let go = () => {};
    reading = new Promise((resolve) => {
      go = resolve;
    });
    await beatAgain(2);
    await fleet.dispatch({ level: 'instances', action: 'start', group: '10.0.0.1' });
    await expect.poll(() => performed).toBe(1);
    await turns(20);
    expect(reads).toBe(2);
    go();
    await expect.poll(() => reads).toBe(3);
    await turns(20);
    expect(reads).toBe(3);
  });

  test('waits for the next beat where that is near', async () => {
    start(900);
    await expect.poll(() => reads).toBe(1);
    await turns(20);
    tellNews();
    await turns(20);
    expect(reads).toBe(1);
  });
});
