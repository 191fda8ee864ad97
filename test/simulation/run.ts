import { fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { joinedProgram } from '../support/joined-program.ts';
import { reportOf, simulate } from './simulate.ts';

/** So many schedules a process plays at once. */
const PART = 500;
/** After so many parts a process is replaced: what fast-check and XState remember of each schedule adds up. */
const PARTS_EACH = 8;
const TELL_EVERY = 5000;

const HELP = `Plays random schedules of two rival fleets, and stops at the first that breaks an invariant.
The exit code is 0 where every invariant held, 1 where one did not, 130 where it was interrupted.

  --runs <n>      how many schedules; default 10000
  --seed <n>      decides them all; default random
  --workers <n>   in how many processes; default one for each core
  --keep-going    after a failure go on with the next ${PART}, and tell of each
  --path <path>   only the schedule that an earlier failure has named, with its seed
  --program <file>  what plays them, joined already; default the present sources
`;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '10000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 30)) },
    workers: { type: 'string', default: String(availableParallelism()) },
    'keep-going': { type: 'boolean', default: false },
    path: { type: 'string' },
    program: { type: 'string' },
    help: { type: 'boolean' },
  },
});
const [runs, seed, workers] = [values.runs, values.seed, values.workers].map(Number) as [number, number, number];
const isCount = (found: number): boolean => Number.isSafeInteger(found) && found >= 1;
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
if (!isCount(runs) || !Number.isSafeInteger(seed) || !isCount(workers)) {
  process.stderr.write(
    `simulate: found --runs ${values.runs} --seed ${values.seed} --workers ${values.workers}, allowed: whole numbers from 1\n`,
  );
  process.exit(64);
}

const begun = performance.now();
const perSecond = (played: number): string => (played / ((performance.now() - begun) / 1000)).toFixed(0);
process.exitCode = await playAll();

/** The same schedules in however many processes: each part has a seed of its own. */
async function playAll(): Promise<number> {
  if (values.path !== undefined) return playOne(values.path);
  const parts = Array.from({ length: Math.ceil(runs / PART) }, (_, i) => ({
    seed: seed + i,
    runs: Math.min(PART, runs - i * PART),
  }));
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  const program = values.program ?? (await joinedProgram('test/simulation/part.ts'));
  let played = 0;
  let isKept = true;
  const workInTurn = async () => {
    while (parts.length > 0 && !stop.signal.aborted) await work(parts.splice(0, PARTS_EACH));
  };
  await Promise.all(Array.from({ length: Math.min(workers, parts.length) }, workInTurn));
  if (!isKept) return 1;
  if (stop.signal.aborted) return 130;
  process.stdout.write(`${runs} schedules of seed ${seed} kept every invariant, ${perSecond(runs)} a second\n`);
  return 0;

  async function work(own: typeof parts): Promise<void> {
    const child = fork(program, [], { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const end = () => child.kill();
    stop.signal.addEventListener('abort', end);
    const died = once(child, 'exit').then(() => [false]);
    try {
      for (const part of own) {
        if (stop.signal.aborted) break;
        child.send(part);
        const [isKeptHere] = await Promise.race([once(child, 'message'), died]);
        if (stop.signal.aborted) break;
        if (!isKeptHere) {
          isKept = false;
          if (!values['keep-going'] || !child.connected) stop.abort();
        }
        played += part.runs;
        if (played % TELL_EVERY === 0) process.stderr.write(`${played} of ${runs} schedules, ${perSecond(played)} a second\n`);
      }
    } finally {
      stop.signal.removeEventListener('abort', end);
      child.kill();
    }
  }
}

async function playOne(path: string): Promise<number> {
  const failure = await simulate({ runs: 1, seed, path });
  process.stdout.write(failure ? `${reportOf(failure)}\n` : `the schedule ${path} of seed ${seed} kept every invariant\n`);
  return failure ? 1 : 0;
}
