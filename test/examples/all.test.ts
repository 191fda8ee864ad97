import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const at = (folder: string) => fileURLToPath(new URL(folder, import.meta.url));

test('each example is run by a test', () => {
  const tests = readdirSync(at('..'), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.test.ts'));
  const texts = tests.map((file) => readFileSync(join(at('..'), file), 'utf8')).join();
  const runs = (example: string) => ["'", '/', '}'].some((before) => texts.includes(`${before}${example}`));
  expect(readdirSync(at('../../examples')).filter((example) => !runs(example))).toEqual([]);
});
