import type { Driver, InstanceFacts, Instant, Reading } from 'fleetbeat';

/** A cloud of instances that answer over ssh; every reading consists of new objects and strings, as one that came over the wire. */
export interface Cloud {
  readonly size: number;
  /** Stops a share of the instances that run, or starts them again: `percent` of all change, others in each round. */
  change(percent: number, round: number): void;
  reading(readAt: number): Reading<InstanceFacts>;
  /** One in which each instance says what it is told to. */
  readingOf(text: (i: number) => string, readAt: number): Reading<InstanceFacts>;
}

export function createCloud(size: number): Cloud {
  const stopped = new Uint8Array(size);
  const readingOf = (text: (i: number) => string, readAt: number): Reading<InstanceFacts> => ({
    items: JSON.parse(`[${Array.from(stopped, (_, i) => text(i)).join()}]`),
    readAt: readAt as Instant,
    complete: true,
    problems: [],
  });
  return {
    size,
    change(percent, round) {
      if (percent === 0) return;
      const step = Math.round(100 / percent);
      for (let i = ((round % step) + step) % step; i < size; i += step) stopped[i] = stopped[i] === 1 ? 0 : 1;
    },
    reading: (readAt) => readingOf((i) => (stopped[i] === 1 ? stoppedText(i, readAt) : runningText(i, readAt)), readAt),
    readingOf,
  };
}

export const CLOUD = 'bench';
export const idOf = (i: number): string => `i-0${(i * 2_654_435_761).toString(16).padStart(16, '0')}`;
export const ipOf = (i: number): string => `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;

const bootIdOf = (i: number): string => `${i.toString(16).padStart(8, '0')}-4b1d-4c8e-9f3a-5d2e7c6b8a90`;

export const stoppedText = (i: number, readAt: number): string =>
  `{"cloud":"${CLOUD}","id":"${idOf(i)}","ip":"${ipOf(i)}","readAt":${readAt},"power":{"state":"stopped","raw":"stopped"}}`;

export const runningText = (i: number, readAt: number): string =>
  `{"cloud":"${CLOUD}","id":"${idOf(i)}","ip":"${ipOf(i)}","readAt":${readAt},"power":{"state":"running","raw":"running"},` +
  `"bootId":"${bootIdOf(i)}","binaries":"1.4.2","agent":true,"ssh":"up"}`;

/** An instance that ssh reaches, and that is not bootstrapped yet. */
export const sshUpText = (i: number, readAt: number): string =>
  JSON.stringify({ ...JSON.parse(runningText(i, readAt)), binaries: null, agent: false });

/** A driver that hands out a reading prepared beforehand, once, and keeps nothing of it. */
export interface PreparedDriver extends Driver<InstanceFacts> {
  hand(reading: Reading<InstanceFacts>): void;
}

export function preparedDriver(
  perform: Driver<InstanceFacts>['perform'] = async (calls) => calls.map(() => null),
): PreparedDriver {
  let next: Reading<InstanceFacts> | null = null;
  return {
    name: CLOUD,
    everyMs: 10_000,
    hand(reading) {
      next = reading;
    },
    async observe() {
      if (next === null) throw new Error('the bench has prepared no reading');
      const reading = next;
      next = null;
      return reading;
    },
    perform,
  };
}
