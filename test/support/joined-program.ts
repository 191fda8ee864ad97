import { symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { serverFolder } from './run-folder.ts';

const here = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/**
 * Joins a program of the tests, and all that it needs of the library, in one file that plain node runs: many processes of it start
 * sooner, and run quicker, than where each translates its own. @returns the file
 */
export async function joinedProgram(path: string): Promise<string> {
  const name = basename(path, '.ts');
  const folder = serverFolder(name);
  symlinkSync(here('node_modules'), join(folder, 'node_modules'));
  const bundle = await rolldown({
    input: here(path),
    platform: 'node',
    external: ['libsql', '@aws-sdk/client-ec2', 'fast-check', 'xstate'],
    resolve: {
      alias: {
        'fleetbeat/adapters': here('adapters'),
        'fleetbeat/machines': here('machines/index.ts'),
        'fleetbeat/testing': here('src/testing/index.ts'),
        fleetbeat: here('src/index.ts'),
      },
    },
    logLevel: 'silent',
  });
  const file = join(folder, `${name}.mjs`);
  await bundle.write({ file, codeSplitting: false });
  await bundle.close();
  return file;
}
