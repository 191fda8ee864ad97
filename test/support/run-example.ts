import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Runs an example as its first lines say, against the built package. @returns what it printed */
export async function runExample(name: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', `examples/${name}`, ...args], {
    cwd: ROOT,
    timeout: 25_000,
    env: { ...process.env, TSX_TSCONFIG_PATH: 'test/support/tsconfig.example.json' },
  });
  return stdout;
}
