import fc from 'fast-check';
import { BOUND } from './moves.ts';
import { type Breach, play } from './schedule.ts';

export interface Simulation {
  /** How many schedules are played. */
  readonly runs: number;
  readonly seed: number;
  /** Only the schedule that an earlier failure has named. */
  readonly path?: string;
}

/** A schedule that broke an invariant, after everything that did not matter was left out of it. */
export interface Failure {
  readonly breach: Breach;
  readonly numbers: readonly number[];
  /** Everything that happened, in order. */
  readonly trace: readonly string[];
  /** How many schedules were played before one failed. */
  readonly after: number;
  readonly seed: number;
  readonly path: string;
}

const LONGEST = 120;

/** What decides a schedule: its setting, then one number for each move. */
const schedule: fc.Arbitrary<readonly number[]> = fc.array(fc.nat(BOUND - 1), { maxLength: LONGEST, size: 'max' });

/** Plays schedules until one breaks an invariant. @returns null where none did */
export async function simulate({ runs, seed, path }: Simulation): Promise<Failure | null> {
  const property = fc.asyncProperty(schedule, async (numbers) => {
    const breach = await play(numbers);
    if (breach) throw new Error(`${breach.invariant}: ${breach.what}`);
  });
  const replay = path === undefined ? { numRuns: runs } : { path, numRuns: 1 };
  const details = await fc.check(property, { seed, endOnFailure: true, ...replay });
  if (!details.failed) return null;
  const numbers = await shortened(details.counterexample?.[0] ?? []);
  const trace: string[] = [];
  const breach = await play(numbers, (line) => trace.push(line));
  if (!breach) throw new Error(`the schedule ${JSON.stringify(numbers)} failed once and then did not: it is not deterministic`);
  return { breach, numbers, trace, after: details.numRuns, seed: details.seed, path: details.counterexamplePath ?? '' };
}

/** Leaves out what the breach does not need: halves of the schedule first, single moves last. */
async function shortened(failing: readonly number[]): Promise<readonly number[]> {
  const invariant = (await play(failing))?.invariant;
  let numbers = failing;
  for (let size = Math.ceil(numbers.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 1; at < numbers.length; ) {
      const fewer = [...numbers.slice(0, at), ...numbers.slice(at + size)];
      if ((await play(fewer))?.invariant === invariant) numbers = fewer;
      else at += size;
    }
  }
  return numbers;
}

/** A failure as a person reads it: the schedule, what broke, how to see it again. */
export const reportOf = ({ breach, trace, after, seed, path }: Failure): string =>
  [
    ...trace,
    '',
    `${breach.invariant} does not hold: ${breach.what}`,
    `found in schedule ${after}; play just this one again with`,
    `  npm run simulate -- --seed ${seed} --path ${path}`,
  ].join('\n');
