import { parseArgs } from 'node:util';
import { reportOf, simulate } from './simulate.ts';

const { values } = parseArgs({ options: { runs: { type: 'string' }, seed: { type: 'string' }, path: { type: 'string' } } });
const runs = Number(values.runs ?? 10_000);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
if (!Number.isInteger(runs) || runs < 1 || !Number.isInteger(seed)) {
  process.stderr.write('simulate: --runs is a whole number from 1, --seed a whole number\n');
  process.exit(64);
}

const begun = performance.now();
const perSecond = (played: number) => (played / ((performance.now() - begun) / 1000)).toFixed(0);
const onProgress = (played: number) => process.stderr.write(`${played} schedules, ${perSecond(played)} a second\n`);

const failure = await simulate({ runs, seed, onProgress, ...(values.path === undefined ? {} : { path: values.path }) });
if (failure) {
  process.stdout.write(`${reportOf(failure)}\n`);
  process.exit(1);
}
process.stdout.write(`${runs} schedules of seed ${seed} kept every invariant, ${perSecond(runs)} a second\n`);
