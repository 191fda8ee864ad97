import { createRequire } from 'node:module';

/** The version of this package. */
export function version(): string {
  const description: { readonly version: string } = createRequire(import.meta.url)('fleetbeat/package.json');
  return description.version;
}
