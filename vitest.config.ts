import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
/** What takes root or minutes is no part of the everyday suite: `fleet` is on machines that boot, `cloud` against a real OpenStack. */
const tier = process.env.FLEETBEAT_TIER;
/** The folder where CI wants the results as JSON, one file of each run. */
const reports = process.env.FLEETBEAT_TEST_REPORTS;

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
    include: [tier === undefined ? 'test/**/*.test.ts' : `test/${tier}-tier/**/*.test.ts`],
    exclude: [...configDefaults.exclude, ...(tier === undefined ? ['test/*-tier/**'] : [])],
    // The machines of a tier are all on one network.
    fileParallelism: tier === undefined,
    globalSetup: ['test/support/global-setup.ts', ...(tier === 'cloud' ? ['test/support/openstack-setup.ts'] : [])],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A poll ends as soon as it may; only a failure takes this long, on a machine that is busy.
    expect: { poll: { timeout: 20_000 } },
    // The tests of the real servers mostly wait; one worker a core would leave the cores idle.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    reporters:
      reports === undefined ? ['default'] : ['default', ['json', { outputFile: join(reports, `${tier ?? 'everyday'}.json`) }]],
  },
});
