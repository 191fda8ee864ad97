import { FleetError } from '../errors.ts';
import type { Random } from './random.ts';

const SECOND = 1000;

/** How long everything takes in a simulated fleet unless told otherwise, as `[low, high]` in milliseconds. */
export const DEFAULT_LATENCY_MS = {
  /** A machine that was launched or started, until its power is `running`. */
  pending: [5 * SECOND, 15 * SECOND],
  /** A machine that boots or reboots, until ssh answers. */
  'ssh-up': [5 * SECOND, 20 * SECOND],
  stopping: [10 * SECOND, 30 * SECOND],
  'shutting-down': [10 * SECOND, 30 * SECOND],
  /** How long a terminated instance is still listed. */
  terminated: [60 * SECOND, 300 * SECOND],
  bootstrapped: [20 * SECOND, 60 * SECOND],
  managed: [5 * SECOND, 15 * SECOND],
  installed: [3 * SECOND, 10 * SECOND],
  up: [1 * SECOND, 5 * SECOND],
  replicating: [2 * SECOND, 10 * SECOND],
  routed: [1 * SECOND, 3 * SECOND],
  stop: [1 * SECOND, 4 * SECOND],
  remove: [1 * SECOND, 3 * SECOND],
  /** How long a service runs before the fault `serviceCrash` ends it. */
  crash: [5 * SECOND, 60 * SECOND],
  /** How long the fault `eventualConsistency` keeps showing what was. */
  stale: [1 * SECOND, 6 * SECOND],
} as const satisfies Record<string, readonly [number, number]>;

/** Something that takes time in a simulated fleet. */
export type Delay = keyof typeof DEFAULT_LATENCY_MS;

export interface SimulatedLatency<D extends string = Delay> {
  /** Multiplies every delay: 0.1 is ten times as fast, 0 takes no time at all. Default 1. */
  readonly scale?: number;
  /** `[low, high]` in milliseconds, both included; see {@link DEFAULT_LATENCY_MS}. */
  readonly ms?: Readonly<Partial<Record<D, readonly [number, number]>>>;
}

/** Draws how long something takes, in whole milliseconds. */
export type DrawMs<D extends string = Delay> = (delay: D) => number;

export function drawLatency<D extends string>(
  usual: Readonly<Record<D, readonly [number, number]>>,
  { scale = 1, ms }: SimulatedLatency<D>,
  random: Random,
): DrawMs<D> {
  const ranges: Readonly<Record<D, readonly [number, number]>> = { ...usual, ...ms };
  for (const [delay, [low, high]] of Object.entries<readonly [number, number]>(ranges)) {
    if (!(low >= 0 && low <= high && Number.isFinite(high))) {
      throw new FleetError('ER0230', `latency.ms['${delay}'] is [${low}, ${high}]; two numbers are allowed, 0 <= low <= high`);
    }
  }
  if (!(scale >= 0 && Number.isFinite(scale))) {
    throw new FleetError('ER0230', `latency.scale is ${scale}; a number from 0 is allowed`);
  }
  return (delay) => {
    const [low, high] = ranges[delay];
    return Math.round(random.between(low, high) * scale);
  };
}
