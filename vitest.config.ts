import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^fleetbeat$/, replacement: here('src/index.ts') },
      { find: /^fleetbeat\/machines$/, replacement: here('machines/index.ts') },
      { find: /^fleetbeat\/(wire|testing)$/, replacement: `${here('src')}/$1/index.ts` },
      { find: /^fleetbeat\/adapters\/(.+)$/, replacement: `${here('adapters')}/$1.ts` },
    ],
  },
  test: { include: ['test/**/*.test.ts'], testTimeout: 30_000 },
});
