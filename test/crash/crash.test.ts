import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { seededRandom } from '../../src/testing/random.ts';
import { isThorough } from '../properties/runs.ts';
import { type MemcachedServer, requires, startMemcached } from '../support/servers.ts';
import { type Outcome, type Surroundings, twoLives } from './lives.ts';
import { joinProgram } from './program.ts';
import { brokenToTheDoctor, brokenToThoseWhoAsk } from './promises.ts';

/** Histories that are played at once. */
const LANES = availableParallelism();
const PATIENCE_MS = 1_800_000;

let program = '';
beforeAll(async () => {
  program = await joinProgram();
});

interface Matrix {
  /** What is around the history of one lane in which a process dies at a moment. */
  readonly around: (lane: number, death: number | null) => Omit<Surroundings, 'program'>;
  readonly lanes: number;
  /** At so many moments, spread over all of them, or at each. */
  readonly deaths: number;
}

const broken = (outcome: Outcome, undisturbed: Outcome): readonly string[] => [
  ...brokenToThoseWhoAsk(outcome, undisturbed),
  ...brokenToTheDoctor(outcome),
];

/** Plays the history anew for each moment at which its process is to die. @returns the promises that were broken */
async function dieAtEach({ around, lanes, deaths }: Matrix): Promise<readonly string[]> {
  const undisturbed = await twoLives({ program, ...around(0, null) }, null);
  expect(broken(undisturbed, undisturbed)).toEqual([]);
  const moments = undisturbed.world.report()?.moments ?? 0;
  expect(moments).toBeGreaterThan(200);
  const count = Math.min(deaths, moments);
  const due = Array.from({ length: count }, (_, i) => 1 + Math.floor(((i + 0.5) * moments) / count));
  const found: string[] = [];
  let died = 0;
  const play = async (lane: number) => {
    for (let death = due.shift(); death !== undefined; death = due.shift()) {
      const outcome = await twoLives({ program, ...around(lane, death) }, death);
      if (outcome.hasDied) died++;
      for (const promise of broken(outcome, undisturbed)) found.push(`dead at ${death}: ${promise}`);
    }
  };
  await Promise.all(Array.from({ length: lanes }, (_, lane) => play(lane)));
  // One history may have fewer moments than another, the more so on a busy machine.
  expect(died).toBeGreaterThan(0.8 * count);
  return found;
}

const EVERY = Number.POSITIVE_INFINITY;

test(
  'a process killed at any operation of its sqlite file loses nothing, and nothing is done twice',
  async () => {
    const found = await dieAtEach({
      around: () => ({ store: (folder) => ({ kind: 'sqlite', file: join(folder, 'store.db') }) }),
      lanes: LANES,
      deaths: isThorough ? EVERY : 3,
    });
    expect(found).toEqual([]);
  },
  PATIENCE_MS,
);

requires('memcached')('a process killed over a memcached that is killed and restarted, empty, meanwhile', () => {
  /** These mostly wait. */
  const lanes = isThorough ? 2 * LANES : LANES;
  const servers: MemcachedServer[] = [];
  beforeAll(async () => {
    for (let lane = 0; lane < lanes; lane++) servers.push(await startMemcached());
  });
  afterAll(() => Promise.all(servers.map((server) => server.stop())));

  /**
   * Memcached dies twice in a history, and in every other one also while no process runs: when, is chosen by the moment of the
   * death. The world answers while it is away, or waits until it is back.
   */
  const losing =
    (dies: 'whole' | 'in parts'): Matrix['around'] =>
    (lane, death) => {
      const server = servers[lane];
      if (!server) throw new Error(`no server for lane ${lane}`);
      const random = seededRandom(death ?? 0);
      const losses = new Set(death === null ? [] : [random.between(1, 60), random.between(1, 60)]);
      let questions = 0;
      let restarting = Promise.resolve();
      const lose = () => {
        restarting = restarting.then(() => server.restart());
        return restarting;
      };
      const prefix = `${dies.replace(' ', '-')}-${death}:`;
      return {
        store: (folder) => ({ kind: 'journaled', file: join(folder, 'journal.db'), servers: server.address, prefix, dies }),
        async onQuestion() {
          if (losses.has(++questions)) void lose();
          if (random.chance(0.5)) await restarting;
        },
        onDeath: () => (random.chance(0.5) ? lose() : restarting),
      };
    };

  test(
    'at any operation of its journaled store, loses nothing, and nothing is done twice',
    async () => {
      const deaths = isThorough ? EVERY : 1;
      expect(await dieAtEach({ around: losing('whole'), lanes, deaths })).toEqual([]);
    },
    PATIENCE_MS,
  );

  test(
    'between memcached and its journal, loses nothing, and nothing is done twice',
    async () => {
      const deaths = isThorough ? 40 : 1;
      expect(await dieAtEach({ around: losing('in parts'), lanes, deaths })).toEqual([]);
    },
    PATIENCE_MS,
  );
});
