import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Rung } from '../test/support/climb.ts';
import { type Figure, figure } from './figure.ts';
import type { Library } from './library.ts';
import type { Selection } from './selection.ts';

/** What it took to bring a cluster from machines that are off to routed. */
export interface Climbed {
  readonly tookMs: number;
  readonly beatMs: number;
  readonly rungs: readonly Rung[];
}

/** Lowest first. */
const RUNGS = ['start', 'bootstrap', 'installed', 'up', 'replicating', 'routed'];

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Only what hangs takes this long. */
const PATIENCE_MS = 300_000;

/** P8: the ladders of a cluster on machines that boot, beside what its servers themselves need. */
export async function* ladder(_: Library, selection: Selection, climb = fromNothing): AsyncGenerator<Figure> {
  if (!selection.covers('P8')) return;
  const climbed = await climb();
  if (climbed) yield* judged(climbed);
  else
    yield figure({
      id: 'P8',
      name: 'a cluster from nothing to routed: needs root, and machines in namespaces',
      ours: null,
      unit: 's',
    });
}

function* judged({ tookMs, beatMs, rungs }: Climbed): Generator<Figure> {
  const services = new Set(rungs.map(({ service }) => service));
  const ownOf = (name: string) => sum(rungs.filter(({ service }) => service === name).map(({ ownMs }) => ownMs));
  const beside = rungs.map((rung) => (rung.tookMs - rung.ownMs) / beatMs);
  yield figure({
    id: 'P8',
    name: `${services.size} services from machines that are off to routed, by one command; the servers of the longest ladder`,
    ours: tookMs / 1000,
    peer: Math.max(...[...services].map(ownOf)) / 1000,
    unit: 's',
  });
  for (const call of RUNGS) {
    const those = rungs.filter((rung) => rung.call === call);
    if (those.length === 0) continue;
    yield figure({
      id: `P8.${call}`,
      name: `${call}, on average over ${those.length}; of that the server itself`,
      ours: mean(those.map((rung) => rung.tookMs)),
      peer: mean(those.map((rung) => rung.ownMs)),
      unit: 'ms',
    });
  }
  yield figure({
    id: 'P8.mean',
    name: 'a rung, beside its server, on average',
    ours: mean(beside),
    unit: 'beats',
    goal: { ours: 1 },
  });
  yield figure({
    id: 'P8.worst',
    name: 'a rung, beside its server, at most',
    ours: Math.max(...beside),
    unit: 'beats',
    goal: { ours: 1 },
  });
}

/** @returns null where there can be no machines */
async function fromNothing(): Promise<Climbed | null> {
  const program = [process.execPath, '--import', 'tsx', 'bench/ladder/from-nothing.ts'];
  const { stdout } = await promisify(execFile)('sh', ['test/support/orchestrator.sh', ...program], {
    cwd: ROOT,
    timeout: PATIENCE_MS,
  });
  return JSON.parse(stdout);
}

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
const mean = (values: readonly number[]): number => sum(values) / values.length;
