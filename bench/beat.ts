import type { InstanceFacts, Reading } from 'fleetbeat';
import { createCloud, preparedDriver } from './cloud.ts';
import { type Figure, figure, type Goal } from './figure.ts';
import type { Library } from './library.ts';
import { interleaved, type Rounds, type Side } from './measure.ts';
import { createHandLoop } from './peers/hand-loop.ts';
import { createKeyedDiff } from './peers/keyed-diff.ts';
import { createRawXState } from './peers/raw-xstate.ts';
import { createScene } from './scene.ts';
import type { Selection } from './selection.ts';

export interface BeatSize {
  readonly name: string;
  readonly size: number;
  readonly rounds: Rounds;
}

const SIZES: readonly BeatSize[] = [
  { name: '1k', size: 1000, rounds: { warmUp: 20, timed: 11 } },
  { name: '10k', size: 10_000, rounds: { warmUp: 6, timed: 9 } },
  { name: '100k', size: 100_000, rounds: { warmUp: 3, timed: 7 } },
];

const SHARES = [0, 1, 100] as const;

const PEERS = {
  'hand-loop': 'a hand-written loop with the same duties',
  'raw-xstate': 'raw XState, every observation sent to every actor',
  'keyed-diff': 'the bare keyed diff',
} as const;
type Peer = keyof typeof PEERS;

/** What is claimed at 100,000 entities of which 1 % changed. */
const GOALS: { readonly [P in Peer]: Goal } = {
  'hand-loop': { ratio: 3 },
  'raw-xstate': { ratio: 1 / 8 },
  'keyed-diff': { ratio: 6 },
};

/** P1: how long a beat takes. */
export async function* beats(library: Library, selection: Selection, sizes = SIZES): AsyncGenerator<Figure> {
  for (const size of sizes)
    if (selection.covers(`P1.${size.name}`)) {
      const race = createRace(library, size.size);
      for (const percent of SHARES) {
        const id = `P1.${size.name}.${percent}`;
        if (!selection.covers(id)) continue;
        const took = await race.run(percent, size.rounds);
        for (const peer of Object.keys(PEERS) as Peer[])
          yield figure({
            id: `${id}.${peer}`,
            name: `beat over ${size.name}, ${percent} % changed; ${PEERS[peer]}`,
            ours: took.fleet,
            peer: took[peer],
            unit: 'ms',
            ...(size.name === '100k' && percent === 1 ? { goal: GOALS[peer] } : {}),
          });
      }
      await race.stop();
    }
}

function createRace(library: Library, size: number) {
  const cloud = createCloud(size);
  const driver = preparedDriver();
  const scene = createScene(library, driver);
  const handLoop = createHandLoop();
  const keyedDiff = createKeyedDiff();
  const rawXState = createRawXState();
  let at = scene.passes();

  /** Each side gets objects of its own: what one has read is warm for nobody else. */
  const reads = (take: (reading: Reading<InstanceFacts>) => unknown): Side => ({
    prepare() {
      const reading = cloud.reading(at);
      return () => take(reading);
    },
  });
  const fleet: Side = {
    prepare() {
      driver.hand(cloud.reading(at));
      return scene.fleet.beat;
    },
    settle: scene.quiet,
  };
  const sides = {
    fleet,
    'hand-loop': reads(handLoop.take),
    'raw-xstate': reads(rawXState.beat),
    'keyed-diff': reads(keyedDiff),
  };

  return {
    run: (percent: number, rounds: Rounds) =>
      interleaved(sides, rounds, (round) => {
        at = scene.passes();
        cloud.change(percent, round);
      }),
    async stop() {
      rawXState.stop();
      await scene.fleet.stop();
    },
  };
}
