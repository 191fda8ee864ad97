import { readFile } from 'node:fs/promises';
import type { Path } from '../../wire/refusal.ts';
import { configurationError, type Origin } from './mistake.ts';

/**
 * The text of a file that a configuration names.
 *
 * @param path where in the configuration it is named
 * @param missing whether a file that is not there is as good as an empty one
 * @throws FleetError ER0230 where it cannot be read
 */
export async function fileText(file: string, path: Path, origin: Origin, missing?: 'may be missing'): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'no file';
    if (missing && code === 'ENOENT') return '';
    const found = `${JSON.stringify(file)} (${code})`;
    throw configurationError(origin, { path, found, allowed: 'a file that can be read' }, error);
  }
}
