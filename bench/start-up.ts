import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Figure, figure } from './figure.ts';
import { built, type Library } from './library.ts';
import { interleaved, median, type Side } from './measure.ts';
import type { Selection } from './selection.ts';

const PROJECT = fileURLToPath(new URL('..', import.meta.url));
const CLI = fileURLToPath(built('src/cli/bin.js'));

/** P7: what it costs to load the library, what that loads, and how soon the command line answers. */
export async function* startUp(_: Library, selection: Selection, processes = 15): AsyncGenerator<Figure> {
  if (selection.covers('P7.import')) yield* importing(processes);
  if (selection.covers('P7.packages')) {
    const packages = packagesLoadedBy('fleetbeat');
    yield figure({
      id: 'P7.packages',
      name: `packages that an import of fleetbeat loads: ${packages.join(', ')}; an import of xstate`,
      ours: packages.length,
      peer: packagesLoadedBy('xstate').length,
      unit: 'packages',
      goal: { ratio: 1 },
    });
  }
  if (selection.covers('P7.version')) yield await version(processes);
}

async function* importing(processes: number): AsyncGenerator<Figure> {
  const within: Record<'ours' | 'peer', number[]> = { ours: [], peer: [] };
  const importOf = (side: 'ours' | 'peer', name: string): Side => ({
    prepare: () => () => void within[side].push(Number(run(['--input-type=module', '-e', timedImport(name)]))),
  });
  const took = await interleaved(
    { ours: importOf('ours', 'fleetbeat'), peer: importOf('peer', 'xstate') },
    { warmUp: 2, timed: processes },
  );
  yield figure({
    id: 'P7.import',
    name: 'a process that imports fleetbeat; one that imports xstate alone',
    ...took,
    unit: 'ms',
    goal: { ratio: 1.3 },
  });
  yield figure({
    id: 'P7.import.within',
    name: 'of that, the import itself, without the start of the process',
    ours: median(within.ours),
    peer: median(within.peer),
    unit: 'ms',
  });
}

async function version(processes: number): Promise<Figure> {
  const measured = {
    id: 'P7.version',
    name: 'fleetbeat --version; node -e 0',
    unit: 'ms',
    goal: { ratio: 1.5 },
  } as const;
  if (!existsSync(CLI)) return figure({ ...measured, ours: null });
  const took = await interleaved(
    {
      ours: { prepare: () => () => run([CLI, '--version']) },
      peer: { prepare: () => () => run(['-e', '0']) },
    },
    { warmUp: 2, timed: processes },
  );
  return figure({ ...measured, ...took });
}

const timedImport = (name: string): string =>
  `const from = performance.now(); await import('${name}'); process.stdout.write(String(performance.now() - from));`;

/** The packages in node_modules of which a file is loaded, by `import` or by `require`. */
function packagesLoadedBy(name: string): readonly string[] {
  const files = run([
    '--import',
    moduleOf(`import { register } from 'node:module'; register(${JSON.stringify(moduleOf(TELL_EACH_LOAD))});`),
    '--input-type=module',
    '-e',
    `import { createRequire } from 'node:module';
    await import('${name}');
    process.stdout.write(Object.keys(createRequire(process.cwd() + '/x').cache).join('\\n'));`,
  ]);
  const found = files.matchAll(/\/node_modules\/((?:@[^/\s]+\/)?[^/\s]+)/g);
  return [...new Set([...found].map(([, loaded = '']) => loaded))].sort();
}

const TELL_EACH_LOAD = `import { writeSync } from 'node:fs';
export function load(url, context, next) {
  writeSync(1, url + '\\n');
  return next(url, context);
}`;

const moduleOf = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;

/** Runs node in the project's folder, where the package may be imported by its own name. @returns what it printed */
function run(args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: PROJECT, encoding: 'utf8' });
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}
