import { durationRefusal, parseDuration } from './duration.ts';
import { usageError } from './usage.ts';

/** The options of every command line that works on a fleet. */
export interface Options {
  readonly config?: string;
  readonly json: boolean;
  readonly everyMs?: number;
  readonly timeoutMs?: number;
  readonly waits: boolean;
  readonly yes: boolean;
  /** Whether the cloud is read anew, whatever is remembered of it. */
  readonly fresh: boolean;
}

/** The options as the parser of arguments gives them. */
export interface RawOptions {
  readonly config?: string;
  readonly json?: boolean;
  readonly every?: string;
  readonly timeout?: string;
  readonly wait?: boolean;
  readonly yes?: boolean;
  readonly fresh?: boolean;
}

export function readOptions(raw: RawOptions): Options {
  const { config, json = false, every, timeout, wait = true, yes = false, fresh = false } = raw;
  return {
    json,
    waits: wait,
    yes,
    fresh,
    ...(config !== undefined && { config }),
    ...(every !== undefined && { everyMs: durationOf('--every', every) }),
    ...(timeout !== undefined && { timeoutMs: durationOf('--timeout', timeout) }),
  };
}

function durationOf(option: string, text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw usageError(durationRefusal(option, text));
  return ms;
}

/** The options of the demo. */
export interface DemoOptions {
  /** Simulated seconds in a real one. */
  readonly speed: number;
  readonly seed: number;
  /** How often what can go wrong does. */
  readonly faults: number;
}

export type RawDemoOptions = Readonly<Record<keyof DemoOptions, string>>;

export const readDemoOptions = ({ speed, seed, faults }: RawDemoOptions): DemoOptions => ({
  speed: numberOf('--speed', speed, 1, 100),
  seed: numberOf('--seed', seed, 0, 2 ** 32 - 1),
  faults: numberOf('--faults', faults, 0, 1),
});

function numberOf(option: string, text: string, low: number, high: number): number {
  const number = /^\d{1,12}(?:\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  if (number >= low && number <= high) return number;
  throw usageError(`${option}: found ${JSON.stringify(text)}, allowed: a number from ${low} to ${high}`);
}
