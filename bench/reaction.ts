import { performance } from 'node:perf_hooks';
import type { Action, Heartbeat, Instant } from 'fleetbeat';
import { CLOUD, createCloud, idOf, ipOf, preparedDriver, runningText, sshUpText, stoppedText } from './cloud.ts';
import { type Figure, figure } from './figure.ts';
import type { Library } from './library.ts';
import { collect, collectYoung, percentile } from './measure.ts';
import { createScene } from './scene.ts';
import type { Selection } from './selection.ts';

export interface ReactionScale {
  readonly size: number;
  readonly warmUp: number;
  readonly trials: number;
}

/** P6: how long after one entity's observation was pushed its waiting action reaches the driver. */
export async function* reaction(
  library: Library,
  selection: Selection,
  { size, warmUp, trials }: ReactionScale = { size: 10_000, warmUp: 100, trials: 400 },
): AsyncGenerator<Figure> {
  if (!selection.covers('P6')) return;
  const took = await reactions(library, size, warmUp + trials);
  yield figure({
    id: 'P6',
    name: `observation pushed into a fleet of ${size} to its action at the driver, p99 of ${trials}`,
    ours: percentile(took.slice(warmUp), 99),
    unit: 'ms',
    goal: { ours: 5 },
  });
}

async function reactions(library: Library, size: number, trials: number): Promise<readonly number[]> {
  let performed = () => {};
  const driver = preparedDriver(async (calls) => {
    performed();
    return calls.map(() => null);
  });
  const scene = createScene(library, driver);
  const { fleet } = scene;
  const cloud = createCloud(size);
  cloud.change(100, 0);
  driver.hand(cloud.reading(scene.passes()));
  await fleet.beat();
  await scene.quiet();

  const push = (text: string, at: number): Promise<unknown> => fleet.observe(heartbeatOf(text, at), 'driver');
  const took: number[] = [];
  collect();
  for (let trial = 0; trial < trials; trial++) {
    const i = (trial * STRIDE) % size;
    const armed = await armBootstrap(library, fleet, i);
    const isPerformed = new Promise<void>((resolve) => {
      performed = resolve;
    });
    const at = scene.passes();
    const observation = sshUpText(i, at);
    collectYoung();
    const from = performance.now();
    void push(observation, at);
    await isPerformed;
    took.push(performance.now() - from);

    await scene.quiet();
    const later = scene.passes();
    await push(runningText(i, later), later);
    await fleet.settled(armed.id);
    await push(stoppedText(i, later), later);
    await scene.quiet();
  }
  await fleet.stop();
  return took;
}

/** Trials are about entities far from each other. */
const STRIDE = 37;

async function armBootstrap(library: Library, fleet: ReturnType<typeof createScene>['fleet'], i: number): Promise<Action> {
  const ip = library.parseIp(ipOf(i));
  if (!ip) throw new Error(`${ipOf(i)} is no address`);
  const [armed] = await fleet.arm([
    {
      lane: library.instanceKey(CLOUD, idOf(i)),
      when: { on: 'holds', level: 'instances', subject: { ip }, state: 'running' },
      do: { level: 'instances', subject: { ip }, verb: 'bootstrap', upTo: 'managed' },
    },
  ]);
  if (!armed) throw new Error('nothing was armed');
  return armed;
}

let sequence = 0;

/** One entity's facts, in the name of its driver's source. */
function heartbeatOf(text: string, readAt: number): Heartbeat {
  const instances = { items: JSON.parse(`[${text}]`), readAt: readAt as Instant, complete: false, problems: [] };
  return { source: CLOUD, epoch: 'pushed', seq: ++sequence, instances };
}
