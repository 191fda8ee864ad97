import { writeFileSync } from 'node:fs';
import { CHART_TABLES, chartTables } from './chart-tables.ts';

writeFileSync(CHART_TABLES, chartTables());
