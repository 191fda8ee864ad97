import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { serverFolder } from './run-folder.ts';

/** Makes a tar archive, by gzip where its name ends so, of files by their names. @returns its path */
export function makeArchive(name: string, files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = serverFolder('archive');
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, 'files', path)), { recursive: true });
    writeFileSync(join(folder, 'files', path), content);
  }
  const archive = join(folder, name);
  execFileSync('tar', [name.endsWith('gz') ? '-czf' : '-cf', archive, '-C', join(folder, 'files'), '.']);
  return archive;
}

export const sha256Of = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
