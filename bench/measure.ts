import { performance } from 'node:perf_hooks';

/** One of the things compared. Whatever `prepare` does is not timed; what it returns is. */
export interface Side {
  prepare(): (() => unknown) | Promise<() => unknown>;
  /** Not timed: lets what the side does in the background come to its end. */
  settle?(): Promise<void>;
}

export interface Rounds {
  readonly warmUp: number;
  readonly timed: number;
}

/**
 * Times each side once per round, one after the other, so that whatever slows the machine for a while slows all of them.
 * Garbage of one side is collected before the next is timed. @returns the median of each side, in milliseconds
 */
export async function interleaved<K extends string>(
  sides: Readonly<Record<K, Side>>,
  rounds: Rounds,
  onRound: (round: number) => void = () => {},
): Promise<Readonly<Record<K, number>>> {
  const names = Object.keys(sides) as K[];
  const samples = new Map(names.map((name): [K, number[]] => [name, []]));
  for (let round = -rounds.warmUp; round < rounds.timed; round++) {
    onRound(round);
    for (const name of names) {
      const side = sides[name];
      const work = await side.prepare();
      await rest();
      const from = performance.now();
      await work();
      const took = performance.now() - from;
      await side.settle?.();
      if (round >= 0) samples.get(name)?.push(took);
    }
  }
  return Object.fromEntries([...samples].map(([name, took]) => [name, median(took)])) as Record<K, number>;
}

export const median = (samples: readonly number[]): number => percentile(samples, 50);

/** The smallest sample that at least `share` of a hundred do not exceed. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((sorted.length * share) / 100) - 1)] ?? Number.NaN;
}

/** Collects garbage and lets the collector's other threads finish: they would compete for the processor with what is timed next. */
async function rest(): Promise<void> {
  if (!globalThis.gc) return;
  collect();
  await new Promise((resolve) => setTimeout(resolve, SWEEP_MS));
}

const SWEEP_MS = 100;

/** Collects garbage, where node was started with `--expose-gc`. */
export function collect(): void {
  globalThis.gc?.();
}

/** Collects young garbage, so that what came before is not paid for in what is timed next. */
export function collectYoung(): void {
  globalThis.gc?.({ type: 'minor' });
}

/** The bytes that are left on the heap after collecting. */
export function heapBytes(): number {
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}
