import {
  type Beat,
  createFleet,
  type Driver,
  type Fleet,
  type InstanceFacts,
  type Instant,
  type Ip,
  type ServiceDriver,
} from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { turns } from '../support/turns.ts';

let reads: number;
let performed: number;
/** What a reading waits for. */
let reading: Promise<void>;
let tellNews: () => void;
let ssh: InstanceFacts['ssh'];
let isListed: boolean;
let end: () => Promise<void>;
beforeEach(() => {
  reads = 0;
  performed = 0;
  ssh = undefined;
  isListed = true;
  reading = Promise.resolve();
});
afterEach(() => end());

const instance = (readAt: Instant): InstanceFacts => ({
  cloud: 'cloud',
  id: 'i-1',
  ip: '10.0.0.1' as Ip,
  readAt,
  ...(ssh === undefined ? { power: { state: 'stopped', raw: 'stopped' } } : { power: { state: 'running', raw: 'on' }, ssh }),
});

const cloud: Driver<InstanceFacts> = {
  name: 'cloud',
  everyMs: 10_000,
  async observe({ now }) {
    reads++;
    await reading;
    return { items: isListed ? [instance(now)] : [], readAt: now, complete: true, problems: [] };
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

  describe('on a clock of ours', () => {
    const EVERY_MS = 8000;
    beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] }));
    afterEach(() => void vi.useRealTimers());

    /** How long after the last reading the next one begins, in steps of 100 ms. */
    async function nextAfterMs(): Promise<number> {
      const before = reads;
      for (let ms = 100; ms <= 2 * EVERY_MS; ms += 100) {
        await pass(100);
        if (reads > before) return ms;
      }
      return expect.unreachable('no beat comes');
    }
    async function pass(ms: number): Promise<void> {
      await vi.advanceTimersByTimeAsync(ms);
      await turns(20);
    }

    test('rests for its interval after each beat', async () => {
      start(EVERY_MS);
      await pass(0);
      expect([await nextAfterMs(), await nextAfterMs()]).toEqual([EVERY_MS, EVERY_MS]);
    });

    test('beats sooner where a driver has news, and rests twice as long each time after that', async () => {
      start(EVERY_MS);
      await pass(0);
      tellNews();
      expect([await nextAfterMs(), await nextAfterMs(), await nextAfterMs(), await nextAfterMs()]).toEqual([
        2000, 4000, 8000, 8000,
      ]);
    });

    test('beats at once where the last beat is a rest ago already, once for all that is new', async () => {
      start(EVERY_MS);
      await pass(5000);
      tellNews();
      tellNews();
      await pass(0);
      expect(reads).toBe(2);
      expect(await nextAfterMs()).toBe(4000);
    });

    test('beats sooner after one in which there was news: that has perhaps missed it', async () => {
      start(EVERY_MS);
      await pass(0);
      let go = () => {};
      reading = new Promise((resolve) => {
        go = resolve;
      });
      expect(await nextAfterMs()).toBe(EVERY_MS);
      tellNews();
      go();
      await pass(0);
      expect(await nextAfterMs()).toBe(2000);
    });

    test('beats sooner after a call that was accepted, whose effect somebody waits for', async () => {
      const fleet = start(EVERY_MS);
      await pass(0);
      expect(fleet.views()).toMatchObject([{ state: 'stopped' }]);
      await fleet.dispatch({ level: 'instances', action: 'start', group: '10.0.0.1' });
      await pass(0);
      expect(performed).toBe(1);
      expect(await nextAfterMs()).toBe(2000);
    });

    test('is no sooner sure that a host is lost: what it misses counts once in an interval', async () => {
      const fleet = start(EVERY_MS);
      ssh = 'up';
      await pass(0);
      await nextAfterMs();
      expect(fleet.views()).toMatchObject([{ state: 'ssh-up' }]);
      ssh = 'timeout';
      tellNews();
      await nextAfterMs();
      tellNews();
      await nextAfterMs();
      tellNews();
      await nextAfterMs();
      expect(fleet.views()).toMatchObject([{ state: 'ssh-up', code: expect.not.stringMatching('000000') }]);
      await nextAfterMs();
      await nextAfterMs();
      expect(fleet.views()).toMatchObject([{ state: 'unreachable' }]);
    });

    test('is no sooner sure that an instance is gone, which its cloud does not list', async () => {
      const fleet = start(EVERY_MS);
      await pass(0);
      await nextAfterMs();
      isListed = false;
      for (let i = 0; i < 3; i++) {
        tellNews();
        await nextAfterMs();
      }
      expect(fleet.views()).toMatchObject([{ state: 'stopped', gone: false }]);
      await nextAfterMs();
      await nextAfterMs();
      expect(fleet.views()).toMatchObject([{ state: 'absent', gone: true }]);
    });
  });

  test('tells of each beat when it began, how long it took, and how much changed', async () => {
    const beats: Beat[] = [];
    const fleet = start(20);
    fleet.on('beat', (beat) => beats.push(beat));
    await expect.poll(() => beats.length).toBeGreaterThan(1);
    const [first, second] = beats as [Beat, Beat];
    expect([first.changes, second.changes]).toEqual([1, 0]);
    expect(first.tookMs).toBeGreaterThanOrEqual(0);
    expect(second.at - first.at).toBeGreaterThanOrEqual(first.tookMs);
  });
});
