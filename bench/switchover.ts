import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Figure, figure } from './figure.ts';
import type { Library } from './library.ts';
import type { Selection } from './selection.ts';

/** What became of the writes of a cluster whose master was changed, and which was then restarted. */
export interface Switched {
  /** The longest time in which no write was taken. */
  readonly outageMs: number;
  /** From the command until all was seen in its place. */
  readonly tookMs: number;
  readonly restartOutageMs: number;
  /** Writes that were acknowledged, and are missing. */
  readonly lost: number;
  /** How often two databases took writes at once. */
  readonly together: number;
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Only what hangs takes this long. */
const PATIENCE_MS = 300_000;

/** P9: a planned switchover and a rolling restart under 200 writes a second, on machines that boot. */
export async function* switchover(_: Library, selection: Selection, measure = onMachines): AsyncGenerator<Figure> {
  if (!selection.covers('P9')) return;
  const switched = await measure();
  if (!switched) {
    yield figure({ id: 'P9', name: 'a switchover: needs root, and machines in namespaces', ours: null, unit: 's' });
    return;
  }
  const { outageMs, tookMs, restartOutageMs, lost, together } = switched;
  yield figure({
    id: 'P9',
    name: 'a switchover under 200 writes a second: the longest time without one',
    ours: outageMs / 1000,
    unit: 's',
    goal: { ours: 1 },
  });
  yield figure({ id: 'P9.whole', name: 'from the command until all is seen in its place', ours: tookMs / 1000, unit: 's' });
  yield figure({
    id: 'P9.restart',
    name: 'a rolling restart of the cluster: the longest time without a write',
    ours: restartOutageMs / 1000,
    unit: 's',
    goal: { ours: 1 },
  });
  yield figure({
    id: 'P9.lost',
    name: 'acknowledged writes that are missing after both',
    ours: lost,
    unit: 'writes',
    goal: { ours: 0 },
  });
  yield figure({
    id: 'P9.together',
    name: 'times that two databases took writes at once',
    ours: together,
    unit: 'times',
    goal: { ours: 0 },
  });
}

/** @returns null where there can be no machines */
async function onMachines(): Promise<Switched | null> {
  const program = [process.execPath, '--import', 'tsx', 'bench/switchover/under-load.ts'];
  const { stdout } = await promisify(execFile)('sh', ['test/support/orchestrator.sh', ...program], {
    cwd: ROOT,
    timeout: PATIENCE_MS,
  });
  return JSON.parse(stdout);
}
