import { createCloud, preparedDriver } from './cloud.ts';
import { type Figure, figure } from './figure.ts';
import type { Library } from './library.ts';
import { heapBytes, median } from './measure.ts';
import { createRawXState } from './peers/raw-xstate.ts';
import { createScene } from './scene.ts';
import type { Selection } from './selection.ts';

export interface HeapScale {
  readonly size: number;
  readonly rounds: number;
}

/** P2: the heap that a quiet entity takes, with everything held for it: facts, view, chart, and its part of the stored heartbeat. */
export async function* heap(
  library: Library,
  selection: Selection,
  { size, rounds }: HeapScale = { size: 100_000, rounds: 7 },
): AsyncGenerator<Figure> {
  if (!selection.covers('P2')) return;
  const ours: number[] = [];
  const peer: number[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push((await fleetBytes(library, size)) / size);
    peer.push(actorBytes(size) / size);
  }
  yield figure({
    id: 'P2',
    name: `heap per quiet entity at ${size}; a raw XState actor alone`,
    ours: median(ours),
    peer: median(peer),
    unit: 'bytes',
    goal: { ours: 1024 },
  });
}

/** The driver hands each reading over and keeps none; the memory store is counted with what the fleet keeps in it. */
async function fleetBytes(library: Library, size: number): Promise<number> {
  const cloud = createCloud(size);
  const driver = preparedDriver();
  const before = heapBytes();
  const scene = createScene(library, driver);
  for (let beat = 0; beat < BEATS; beat++) {
    if (beat > 0) cloud.change(1, beat);
    driver.hand(cloud.reading(scene.passes()));
    await scene.fleet.beat();
    await scene.quiet();
  }
  const bytes = heapBytes() - before;
  await scene.fleet.stop();
  return bytes;
}

function actorBytes(size: number): number {
  const cloud = createCloud(size);
  const before = heapBytes();
  const rawXState = createRawXState();
  rawXState.beat(cloud.reading(0));
  const bytes = heapBytes() - before;
  rawXState.stop();
  return bytes;
}

/** The first makes the entities known; in the others a few of them change, as they do in life. */
const BEATS = 5;
