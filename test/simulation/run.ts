import { fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { reportOf, simulate } from './simulate.ts';

const HELP = `Plays random schedules of two rival fleets, and stops at the first that breaks an invariant.

  --runs <n>      how many schedules; default 10000
  --seed <n>      decides them all; default random
  --workers <n>   in how many processes; default one for each core
  --path <path>   only the schedule that an earlier failure has named, with its seed
`;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '10000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 30)) },
    workers: { type: 'string', default: String(availableParallelism()) },
    path: { type: 'string' },
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
process.exitCode = values.path === undefined && workers > 1 ? await playInWorkers() : await playHere();

async function playHere(): Promise<number> {
  const onProgress = (played: number) => {
    if (process.send) process.send(played);
    else process.stderr.write(`${played} schedules, ${perSecond(played)} a second\n`);
  };
  const failure = await simulate({ runs, seed, onProgress, ...(values.path === undefined ? {} : { path: values.path }) });
  if (failure) process.stdout.write(`${reportOf(failure)}\n`);
  else if (!process.send) tellKept();
  process.disconnect?.();
  return failure ? 1 : 0;
}

/** Each worker has a seed of its own, so that its failure is played again without the others. */
async function playInWorkers(): Promise<number> {
  const played = new Map<number, number>();
  let told = 0;
  const children = Array.from({ length: workers }, (_, i) => {
    const share = Math.floor(runs / workers) + (i < runs % workers ? 1 : 0);
    const child = fork(process.argv[1] ?? '', [
      '--runs',
      String(Math.max(1, share)),
      '--seed',
      String(seed + i),
      '--workers',
      '1',
    ]);
    child.on('message', (count: number) => {
      played.set(i, count);
      const all = [...played.values()].reduce((sum, one) => sum + one, 0);
      if (all - told < 5000) return;
      told = all;
      process.stderr.write(`${all} of ${runs} schedules, ${perSecond(all)} a second\n`);
    });
    return child;
  });
  const stop = () => {
    for (const child of children) child.kill();
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const codes = await Promise.all(
    children.map(async (child) => {
      const [code] = await once(child, 'exit');
      if (code !== 0) stop();
      return (code ?? 1) as number;
    }),
  );
  if (codes.every((code) => code === 0)) tellKept();
  return Math.max(...codes);
}

function tellKept(): void {
  process.stdout.write(`${runs} schedules of seed ${seed} kept every invariant, ${perSecond(runs)} a second\n`);
}
