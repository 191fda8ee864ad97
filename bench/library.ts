import { existsSync } from 'node:fs';

/** What is measured. */
export type Library = typeof import('fleetbeat') & typeof import('fleetbeat/adapters/memory');

/** A file of the built package. The package's own name would lead tsx to the sources, which it transforms. */
export const built = (path: string): URL => new URL(`../dist/${path}`, import.meta.url);

/** Loads the built package, as its users run it. */
export async function loadBuilt(): Promise<Library> {
  const root = built('src/index.js');
  if (!existsSync(root)) throw new Error('dist/ is missing: run `npm run build` first');
  return { ...(await import(root.href)), ...(await import(built('adapters/memory.js').href)) };
}
