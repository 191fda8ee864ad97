import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CHART_TABLES, chartTables } from '../support/chart-tables.ts';

test('machines/README.md says what the charts say', () => {
  expect(readFileSync(CHART_TABLES, 'utf8'), 'machines/README.md is stale; run `npm run charts`').toBe(chartTables());
});
