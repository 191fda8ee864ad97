import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
/** Where CI wants the results as JSON. */
const report = process.env.FLEETBEAT_TEST_REPORT;
/** A gigabyte to install and minutes to run: only where it is asked for. */
const heavy = process.env.FLEETBEAT_OPENSTACK === undefined ? ['test/adapters/openstack-real.test.ts'] : [];

export default defineConfig({
  resolve: {
    alias: [
      { find: /^fleetbeat$/, replacement: here('src/index.ts') },
      { find: /^fleetbeat\/machines$/, replacement: here('machines/index.ts') },
      { find: /^fleetbeat\/(wire|testing)$/, replacement: `${here('src')}/$1/index.ts` },
      { find: /^fleetbeat\/adapters\/(.+)$/, replacement: `${here('adapters')}/$1.ts` },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...heavy],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A poll ends as soon as it may; only a failure takes this long, on a machine that is busy.
    expect: { poll: { timeout: 20_000 } },
    // The tests of the real servers mostly wait; one worker a core would leave the cores idle.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    reporters: report === undefined ? ['default'] : ['default', ['json', { outputFile: report }]],
  },
});
