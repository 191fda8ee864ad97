import { performance } from 'node:perf_hooks';
import type { Store } from 'fleetbeat';
import { CLOUD, createCloud, idOf, ipOf, preparedDriver, runningText, sshUpText, stoppedText } from './cloud.ts';
import { type Figure, figure, type Goal } from './figure.ts';
import type { Library } from './library.ts';
import { interleaved, type Rounds } from './measure.ts';
import { type Recording, type RecordingStore, recordingStore, replay } from './recording.ts';
import { createScene } from './scene.ts';
import type { Selection } from './selection.ts';
import { countCommits, STORES, type StoreName, type StoreSource, sourceOf, writtenBytes } from './stores.ts';

export interface FiringScale {
  /** Actions that are armed and fire at once. */
  readonly actions: number;
  /** Actions of which each is armed only once the one before it is done. */
  readonly alone: number;
  readonly rounds: Rounds;
}

/** Actions in groups: those of one are armed and fire at once, and the next group follows when they are done. */
interface Load {
  readonly actions: number;
  readonly atOnce: number;
}

const GOALS: { readonly [S in StoreName]?: Goal } = { sqlite: { ratio: 3 }, memcached: { ratio: 3 } };

/** P5: what it costs to arm an action and to let it fire, beside what its store takes for that alone. */
export async function* firing(
  library: Library,
  selection: Selection,
  scale: FiringScale = { actions: 500, alone: 25, rounds: { warmUp: 8, timed: 9 } },
  stores: readonly StoreName[] = STORES,
): AsyncGenerator<Figure> {
  for (const name of stores) {
    if (!selection.covers(`P5.${name}`)) continue;
    const source = await sourceOf(name, library);
    if (source) yield* firingOn(name, source, library, scale);
    else yield figure({ id: `P5.${name}`, name: `${armAndFire(name)}; memcached is not installed`, ours: null, unit: 'ms' });
    await source?.close();
  }
}

const armAndFire = (name: StoreName): string => `arm and fire one action on ${name}`;

async function* firingOn(
  name: StoreName,
  source: StoreSource,
  library: Library,
  { actions, alone, rounds }: FiringScale,
): AsyncGenerator<Figure> {
  const burst = { actions, atOnce: actions };
  const once = await recorded(source, library, burst);
  const took = await race(source, library, burst, rounds, once);
  const each = (total: number | null) => (total === null ? null : total / actions);
  const goal = GOALS[name];
  const line = { actions: alone, atOnce: 1 };
  const one = await race(source, library, line, rounds, await recorded(source, library, line));
  yield figure({
    id: `P5.${name}.alone`,
    name: `${armAndFire(name)}, one after the other; the same operations of the bare store`,
    ours: one.fleet / alone,
    peer: one.store / alone,
    unit: 'ms',
    ...(goal && { goal }),
  });
  yield figure({
    id: `P5.${name}`,
    name: `${armAndFire(name)}, ${actions} at once; the same operations of the bare store`,
    ours: took.fleet / actions,
    peer: took.store / actions,
    unit: 'ms',
    ...(goal && { goal }),
  });
  yield figure({
    id: `P5.${name}.rate`,
    name: `of that, how many; as many as the bare store takes`,
    ours: (1000 * actions) / took.fleet,
    peer: (1000 * actions) / took.store,
    unit: 'per second',
  });
  yield figure({
    id: `P5.${name}.operations`,
    name: `operations of the store for each, beats included`,
    ours: each(once.fire.operations.length),
    unit: 'operations',
  });
  if (name === 'memory') {
    yield figure({ id: `P5.${name}.bytes`, name: 'bytes of the keys and values', ours: each(once.fire.bytes), unit: 'bytes' });
    return;
  }
  yield figure({
    id: `P5.${name}.bytes`,
    name: 'bytes written to files and sockets (wchar of /proc/self/io); those of the keys and values alone',
    ours: each(once.written),
    peer: once.fire.bytes / actions,
    unit: 'bytes',
  });
  if (name === 'memcached') return;
  yield figure({
    id: `P5.${name}.syncs`,
    name: 'syncs of a disk: commits as SQLite is asked for them, each of which syncs its log',
    ours: each(once.commits),
    unit: 'syncs',
  });
}

interface Recorded {
  /** What made the store ready. */
  readonly before: Recording;
  readonly fire: Recording;
  readonly written: number | null;
  readonly commits: number;
}

async function recorded(source: StoreSource, library: Library, load: Load): Promise<Recorded> {
  const counting = await countCommits();
  const inner = await source.open();
  const recording = recordingStore(inner);
  const stage = await createStage(library, recording, load);
  const before = recording.take();
  const [written, commits] = [writtenBytes(), counting.commits];
  await stage.armAndFire();
  const after = writtenBytes();
  const taken = {
    before,
    fire: recording.take(),
    written: written === null || after === null ? null : after - written,
    commits: counting.commits - commits,
  };
  await stage.stop();
  counting.stop();
  return taken;
}

async function race(
  source: StoreSource,
  library: Library,
  load: Load,
  rounds: Rounds,
  { before, fire }: Recorded,
): Promise<Readonly<Record<'fleet' | 'store', number>>> {
  let end: () => Promise<void> = async () => {};
  return interleaved(
    {
      fleet: {
        async prepare() {
          const stage = await createStage(library, recordingStore(await source.open()), load);
          end = stage.stop;
          return stage.armAndFire;
        },
        settle: () => end(),
      },
      store: {
        async prepare() {
          const store: Store = await source.open();
          await replay(before, store);
          end = async () => store.close?.();
          return () => replay(fire, store);
        },
        settle: () => end(),
      },
    },
    rounds,
  );
}

/** A fleet of machines that are stopped, each with an action that waits until it runs. */
async function createStage(library: Library, recording: RecordingStore, { actions, atOnce }: Load) {
  const driver = preparedDriver();
  const scene = createScene(library, driver, { store: recording.store });
  const { fleet } = scene;
  const cloud = createCloud(actions);
  cloud.change(100, 0);
  driver.hand(cloud.reading(scene.passes()));
  await fleet.beat();
  await idle();
  const steps = Array.from({ length: actions }, (_, i) => bootstrapOf(library, i));
  /** Those before the group run, those after it are stopped still. */
  const handOf = (from: number, text: (i: number, readAt: number) => string) => {
    const readAt = scene.passes();
    const textOf = (i: number) => (i < from ? runningText : i < from + atOnce ? text : stoppedText);
    driver.hand(cloud.readingOf((i) => textOf(i)(i, readAt), readAt));
  };
  let begun = 0;
  let done = 0;
  fleet.on('action', (action) => {
    if (action.status === 'done') done++;
    else if (action.begun) begun++;
  });

  /** Until the store has been asked for all that follows. */
  async function idle(isOver: () => boolean = () => true): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    for (let calm = 0; calm < CALM_TURNS; calm++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (recording.underWay > 0 || !isOver()) calm = 0;
      if (performance.now() > deadline) throw new Error(`only ${done} of ${actions} actions were done`);
    }
  }

  return {
    async armAndFire() {
      for (let from = 0; from < actions; from += atOnce) {
        await Promise.all(steps.slice(from, from + atOnce).map((step) => fleet.arm([step])));
        handOf(from, sshUpText);
        await fleet.beat();
        await idle(() => begun === from + atOnce);
        handOf(from, runningText);
        await fleet.beat();
        await idle(() => done === from + atOnce);
      }
    },
    async stop() {
      await fleet.stop();
      await recording.store.close?.();
    },
  };
}

const PATIENCE_MS = 120_000;
const CALM_TURNS = 3;

function bootstrapOf(library: Library, i: number) {
  const ip = library.parseIp(ipOf(i));
  if (!ip) throw new Error(`${ipOf(i)} is no address`);
  return {
    lane: library.instanceKey(CLOUD, idOf(i)),
    when: { on: 'holds', level: 'instances', subject: { ip }, state: 'running' },
    do: { level: 'instances', subject: { ip }, verb: 'bootstrap', upTo: 'managed' },
  } as const;
}
