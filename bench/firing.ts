import { performance } from 'node:perf_hooks';
import type { InstanceFacts, Reading, Step, Store } from 'fleetbeat';
import { CLOUD, createCloud, idOf, ipOf, preparedDriver, runningText, sshUpText, stoppedText } from './cloud.ts';
import { type Figure, figure, type Goal } from './figure.ts';
import type { Library } from './library.ts';
import { interleaved, type Rounds } from './measure.ts';
import { checkAnswers, type Recording, recordingStore, replay } from './recording.ts';
import { BEAT_MS, createScene } from './scene.ts';
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

/** A group, and what is read of all machines in its two beats. */
interface Group {
  readonly steps: readonly Step[];
  readonly sshUp: Reading<InstanceFacts>;
  readonly running: Reading<InstanceFacts>;
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
  const once = await taken(source, library, burst);
  const took = await race(source, library, burst, rounds, 'one');
  const fresh = await race(source, library, burst, rounds, 'new');
  const one = await race(source, library, { actions: alone, atOnce: 1 }, rounds, 'one');
  const each = (total: number | null) => (total === null ? null : total / actions);
  const goal = GOALS[name];
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
    id: `P5.${name}.new`,
    name: 'the same by a fleet that is new each time, which Node compiles anew; the same operations of a new store',
    ours: fresh.fleet / actions,
    peer: fresh.store / actions,
    unit: 'ms',
  });
  yield figure({
    id: `P5.${name}.rate`,
    name: `how many, ${actions} at once; as many as the bare store takes`,
    ours: (1000 * actions) / took.fleet,
    peer: (1000 * actions) / took.store,
    unit: 'per second',
  });
  yield figure({
    id: `P5.${name}.operations`,
    name: `operations of the store for each, beats included`,
    ours: each(once.operations),
    unit: 'operations',
  });
  if (name === 'memory') {
    yield figure({ id: `P5.${name}.bytes`, name: 'bytes of the keys and values', ours: each(once.bytes), unit: 'bytes' });
    return;
  }
  yield figure({
    id: `P5.${name}.bytes`,
    name: 'bytes written to files and sockets (wchar of /proc/self/io); those of the keys and values alone',
    ours: each(once.written),
    peer: once.bytes / actions,
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

/** What it takes of a store, whatever the time. */
interface Taken {
  readonly operations: number;
  readonly bytes: number;
  readonly written: number | null;
  readonly commits: number;
}

async function taken(source: StoreSource, library: Library, load: Load): Promise<Taken> {
  const counting = await countCommits();
  const stage = await createStage(library, await source.open(), load);
  await stage.ready();
  const [written, commits] = [writtenBytes(), counting.commits];
  await stage.armAndFire();
  const after = writtenBytes();
  const { operations, bytes } = stage.take();
  await stage.stop();
  counting.stop();
  return {
    operations: operations.length,
    bytes,
    written: written === null || after === null ? null : after - written,
    commits: counting.commits - commits,
  };
}

/**
 * What one fleet asks of its store is asked of another store that is as that was. @param fleets whether one fleet goes
 * through all rounds, as in a process that lives: compiled code goes with the last fleet that it was compiled for
 */
async function race(
  source: StoreSource,
  library: Library,
  load: Load,
  rounds: Rounds,
  fleets: 'one' | 'new',
): Promise<Readonly<Record<'fleet' | 'store', number>>> {
  const open = async () => ({ stage: await createStage(library, await source.open(), load), bare: await source.open() });
  const close = async () => {
    await stage.stop();
    await bare.close?.();
  };
  let { stage, bare } = await open();
  let before: Recording;
  let fire: Recording;
  let answers: readonly unknown[];
  const took = await interleaved(
    {
      fleet: {
        async prepare() {
          if (fleets === 'new') {
            await close();
            ({ stage, bare } = await open());
          }
          before = await stage.ready();
          return stage.armAndFire;
        },
      },
      store: {
        async prepare() {
          fire = stage.take();
          await replay(before, bare);
          return async () => {
            answers = await replay(fire, bare);
          };
        },
        settle: async () => checkAnswers(fire, answers),
      },
    },
    rounds,
  );
  await close();
  return took;
}

/** A fleet of machines, each with an action that waits until it runs. */
async function createStage(library: Library, store: Store, { actions, atOnce }: Load) {
  const recording = recordingStore(store);
  const driver = preparedDriver();
  const scene = createScene(library, driver, { store: recording.store });
  const { fleet } = scene;
  const cloud = createCloud(actions);
  const steps = Array.from({ length: actions }, (_, i) => bootstrapOf(library, i));
  /** A reading in which those before the group run, and those after it are stopped still. */
  const readingOf = (from: number, text: (i: number, readAt: number) => string, readAt: number) => {
    const textOf = (i: number) => (i < from ? runningText : i < from + atOnce ? text : stoppedText);
    return cloud.readingOf((i) => textOf(i)(i, readAt), readAt);
  };
  let groups: readonly Group[] = [];
  const beat = (reading: Reading<InstanceFacts>) => {
    scene.passes();
    driver.hand(reading);
    return fleet.beat();
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
    /** Stops all machines, and prepares what is read next. @returns what was asked of the store since the last taking */
    async ready(): Promise<Recording> {
      const now = scene.passes();
      driver.hand(readingOf(0, stoppedText, now));
      await fleet.beat();
      await idle();
      [begun, done] = [0, 0];
      groups = Array.from({ length: actions / atOnce }, (_, i): Group => {
        const [from, before] = [i * atOnce, now + 2 * i * BEAT_MS];
        return {
          steps: steps.slice(from, from + atOnce),
          sshUp: readingOf(from, sshUpText, before + BEAT_MS),
          running: readingOf(from, runningText, before + 2 * BEAT_MS),
        };
      });
      return recording.take();
    },
    async armAndFire() {
      let armed = 0;
      for (const group of groups) {
        armed += atOnce;
        await Promise.all(group.steps.map((step) => fleet.arm([step])));
        await beat(group.sshUp);
        await idle(() => begun === armed);
        await beat(group.running);
        await idle(() => done === armed);
      }
    },
    take: recording.take,
    async stop() {
      await fleet.stop();
      await store.close?.();
    },
  };
}

const PATIENCE_MS = 120_000;
const CALM_TURNS = 3;

function bootstrapOf(library: Library, i: number): Step {
  const ip = library.parseIp(ipOf(i));
  if (!ip) throw new Error(`${ipOf(i)} is no address`);
  return {
    lane: library.instanceKey(CLOUD, idOf(i)),
    when: { on: 'holds', level: 'instances', subject: { ip }, state: 'running' },
    do: { level: 'instances', subject: { ip }, verb: 'bootstrap', upTo: 'managed' },
  };
}
