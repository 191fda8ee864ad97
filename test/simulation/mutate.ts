import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { MUTATIONS, type Mutation } from './mutations.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** Among the packages, so that what is built here finds them. */
const FOLDER = join(ROOT, 'node_modules/.fleetbeat-mutants');
/** Schedules that have to be enough to notice a mutation. */
const RUNS = 5000;

/** The simulation, with one thing in the engine changed. @returns the file to run */
async function buildWith(mutation: Mutation, file: string): Promise<void> {
  let isMade = false;
  const bundle = await rolldown({
    input: join(ROOT, 'test/simulation/part.ts'),
    platform: 'node',
    tsconfig: join(ROOT, 'tsconfig.json'),
    external: (id) => /^[^./]/.test(id) && !id.startsWith('fleetbeat'),
    plugins: [
      {
        name: 'mutation',
        transform(code, id) {
          if (relative(ROOT, id) !== mutation.file) return null;
          if (code.split(mutation.text).length !== 2) throw new Error(`${mutation.file} has not once: ${mutation.text}`);
          isMade = true;
          return code.replace(mutation.text, () => mutation.instead);
        },
      },
    ],
  });
  await bundle.write({ file, format: 'esm', codeSplitting: false });
  await bundle.close();
  if (!isMade) throw new Error(`the simulation does not load ${mutation.file}`);
}

/** @returns what the simulation noticed, or null */
async function noticed(mutation: Mutation): Promise<string | null> {
  const file = join(FOLDER, `${mutation.name.replaceAll(' ', '-')}.mjs`);
  mkdirSync(dirname(file), { recursive: true });
  await buildWith(mutation, file);
  const run = join(ROOT, 'test/simulation/run.ts');
  const asked = ['--program', file, '--runs', String(RUNS), '--seed', '1', '--workers', '1'];
  const child = spawn(process.execPath, ['--import', 'tsx', run, ...asked], { stdio: ['ignore', 'pipe', 'ignore'] });
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => {
    output += bytes;
  });
  await once(child, 'close');
  if (child.exitCode === 0) return null;
  return output.split('\n').find((line) => line.includes(' does not hold: ')) ?? `it ended with ${child.exitCode}`;
}

const waiting = MUTATIONS.filter(({ name }) => process.argv.length === 2 || process.argv.includes(name));
let missed = 0;

async function work(): Promise<void> {
  for (let mutation = waiting.shift(); mutation; mutation = waiting.shift()) {
    const what = await noticed(mutation);
    if (what === null || !what.includes(' does not hold: ')) missed++;
    process.stdout.write(`${what === null ? 'NOT NOTICED' : 'noticed'}  ${mutation.name}: ${what ?? `in ${RUNS} schedules`}\n`);
  }
}

await Promise.all(Array.from({ length: availableParallelism() }, work));
rmSync(FOLDER, { recursive: true, force: true });
process.exit(missed === 0 ? 0 : 1);
