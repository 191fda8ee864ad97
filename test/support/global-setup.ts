import { reapEarlierRuns, removeRun, runFolder } from './run-folder.ts';

/** Once before all tests; what it returns, once after them. The workers inherit the folder by their environment. */
export function setup(): () => void {
  reapEarlierRuns();
  const folder = runFolder();
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
  return () => removeRun(folder);
}
