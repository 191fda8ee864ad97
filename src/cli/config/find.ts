import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { FleetError } from '../../errors.ts';

export const FILE_NAMES = [
  'fleetbeat.config.js',
  'fleetbeat.config.json',
  'fleetbeat.config.yaml',
  'fleetbeat.config.yml',
] as const;

/**
 * The configuration file: the one that is asked for, or the first that is found from `folder` upward.
 *
 * @throws FleetError ER0230 where there is none, or a folder has two
 */
export function findConfiguration(folder: string, asked?: string): string {
  if (asked !== undefined) return resolve(folder, asked);
  for (let at = resolve(folder); ; at = dirname(at)) {
    const [file, ...others] = FILE_NAMES.map((name) => join(at, name)).filter((path) => existsSync(path));
    if (file !== undefined && others.length === 0) return file;
    if (file !== undefined) {
      throw new FleetError('ER0230', `${at}: found ${[file, ...others].join(' and ')}, allowed: one of them, or --config FILE`);
    }
    if (at === dirname(at)) break;
  }
  throw new FleetError(
    'ER0230',
    `${resolve(folder)}: found no configuration here or above, allowed: ${FILE_NAMES.join(', ')}, or --config FILE`,
  );
}
