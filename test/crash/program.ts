import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { serverFolder } from '../support/run-folder.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const here = (path: string) => join(PROJECT, path);

/**
 * Joins the process that is to be killed, and all of the library that it needs, in one file: it is started hundreds of times,
 * and starts several times as fast as from its sources.
 *
 * @returns the file, in a folder of the test run
 */
export async function joinProgram(): Promise<string> {
  const folder = serverFolder('crash');
  // What is not ours is found from there as from here.
  symlinkSync(here('node_modules'), join(folder, 'node_modules'));
  const bundle = await rolldown({
    input: here('test/crash/process.ts'),
    platform: 'node',
    external: ['libsql', 'memjs'],
    resolve: {
      alias: {
        'fleetbeat/testing': here('src/testing/index.ts'),
        'fleetbeat/adapters': here('adapters'),
        fleetbeat: here('src/index.ts'),
      },
    },
    logLevel: 'silent',
  });
  const file = join(folder, 'process.mjs');
  await bundle.write({ file, codeSplitting: false });
  await bundle.close();
  return file;
}
