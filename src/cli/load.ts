import { printable } from '../domain/printable.ts';
import { FleetError } from '../errors.ts';

const MISSING = /Cannot find (?:package|module) '([^']+)'/;

/**
 * Imports an adapter; where a package that it stands on is not installed, says what would help.
 *
 * @param packages all of them, where they are several: whoever lacks one lacks the others too
 */
export async function load<Module>(
  imported: () => Promise<Module>,
  adapter: string,
  packages: readonly string[] = [],
): Promise<Module> {
  try {
    return await imported();
  } catch (error) {
    const missing = missingPackage(error);
    if (missing === null) throw error;
    const wanted = packages.length > 0 ? packages.join(' ') : missing;
    throw new FleetError('ER0231', `the adapter ${adapter} needs ${missing}, which is not installed: npm install ${wanted}`, {
      cause: error,
    });
  }
}

function missingPackage(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_MODULE_NOT_FOUND') return null;
  const name = MISSING.exec(error.message)?.[1];
  return name === undefined || name.startsWith('.') || name.startsWith('/') || name.startsWith('file:') ? null : printable(name);
}
