import { existsSync } from 'node:fs';

/** What is measured. */
export type Library = typeof import('fleetbeat') &
  typeof import('fleetbeat/adapters/journaled') &
  typeof import('fleetbeat/adapters/local') &
  typeof import('fleetbeat/adapters/memcached') &
  typeof import('fleetbeat/adapters/memory') &
  typeof import('fleetbeat/adapters/sqlite') &
  typeof import('fleetbeat/adapters/ssh') &
  typeof import('fleetbeat/adapters/doctors/webhook') &
  typeof import('fleetbeat/adapters/ec2') &
  Pick<typeof import('fleetbeat/testing'), 'simulatedCloud'> &
  typeof import('fleetbeat/wire');

const FILES = [
  'src/index',
  'adapters/journaled',
  'adapters/local',
  'adapters/memcached',
  'adapters/memory',
  'adapters/sqlite',
  'adapters/ssh',
  'adapters/doctors/webhook',
  'adapters/ec2',
  'src/testing/index',
  'src/wire/index',
];

/** A file of the built package. The package's own name would lead tsx to the sources, which it transforms. */
export const built = (path: string): URL => new URL(`../dist/${path}`, import.meta.url);

/** Loads the built package, as its users run it. */
export async function loadBuilt(): Promise<Library> {
  const urls = FILES.map((file) => built(`${file}.js`));
  if (!urls.every((url) => existsSync(url))) throw new Error('dist/ is missing: run `npm run build` first');
  return Object.assign({}, ...(await Promise.all(urls.map((url) => import(url.href)))));
}
