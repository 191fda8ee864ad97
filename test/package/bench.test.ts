import type { Store } from 'fleetbeat';
import * as fleetbeat from 'fleetbeat';
import * as webhook from 'fleetbeat/adapters/doctors/webhook';
import * as ec2 from 'fleetbeat/adapters/ec2';
import * as journaled from 'fleetbeat/adapters/journaled';
import * as local from 'fleetbeat/adapters/local';
import * as memcached from 'fleetbeat/adapters/memcached';
import * as memory from 'fleetbeat/adapters/memory';
import * as sqlite from 'fleetbeat/adapters/sqlite';
import * as ssh from 'fleetbeat/adapters/ssh';
import * as testing from 'fleetbeat/testing';
import * as wire from 'fleetbeat/wire';
import { describe, expect, test } from 'vitest';
import { beats } from '../../bench/beat.ts';
import { bill } from '../../bench/bill.ts';
import { createCloud, preparedDriver } from '../../bench/cloud.ts';
import { doctors } from '../../bench/doctors.ts';
import { type Figure, figure } from '../../bench/figure.ts';
import { firing } from '../../bench/firing.ts';
import { heap } from '../../bench/heap.ts';
import { ladder } from '../../bench/ladder.ts';
import { interleaved, percentile } from '../../bench/measure.ts';
import { createHandLoop } from '../../bench/peers/hand-loop.ts';
import { createKeyedDiff } from '../../bench/peers/keyed-diff.ts';
import { jsonPrinter, tablePrinter } from '../../bench/print.ts';
import { probing } from '../../bench/probing.ts';
import { reaction } from '../../bench/reaction.ts';
import { recordingStore, replay } from '../../bench/recording.ts';
import { createScene } from '../../bench/scene.ts';
import { select } from '../../bench/selection.ts';
import { switchover } from '../../bench/switchover.ts';

const library = {
  ...fleetbeat,
  ...journaled,
  ...local,
  ...memcached,
  ...memory,
  ...sqlite,
  ...ssh,
  ...webhook,
  ...wire,
  ...ec2,
  simulatedCloud: testing.simulatedCloud,
};
const EVERYTHING = select([]);
const ONCE = { warmUp: 0, timed: 1 };

async function all(figures: AsyncIterable<Figure>): Promise<readonly Figure[]> {
  const found: Figure[] = [];
  for await (const one of figures) found.push(one);
  return found;
}

describe('what is measured', () => {
  test('a beat stands beside each peer, at each share of change', async () => {
    const figures = await all(beats(library, EVERYTHING, [{ name: '20', size: 20, rounds: { warmUp: 0, timed: 1 } }]));
    const peers = ['hand-loop', 'raw-xstate', 'keyed-diff'];
    expect(figures.map(({ id }) => id)).toEqual([0, 1, 100].flatMap((share) => peers.map((peer) => `P1.20.${share}.${peer}`)));
    for (const { ours, peer, ratio } of figures)
      expect([typeof ours, typeof peer, typeof ratio]).toEqual(Array(3).fill('number'));
  });

  test('the heap of an entity stands beside an actor alone', async () => {
    const [measured] = await all(heap(library, EVERYTHING, { size: 50, rounds: 1 }));
    expect(measured).toMatchObject({ id: 'P2', unit: 'bytes', goal: 'ours <= 1024' });
  });

  test('an observation that is pushed reaches the driver as an action, trial after trial', async () => {
    const [measured] = await all(reaction(library, EVERYTHING, { size: 40, warmUp: 1, trials: 3 }));
    expect(measured).toMatchObject({ id: 'P6', unit: 'ms', goal: 'ours <= 5', ratio: null });
    expect(measured?.ours).toBeGreaterThan(0);
  });

  test('what a cloud is asked until its instances run stands beside waiters and polls, and an idle day beside its goal', async () => {
    const figures = await all(bill(library, EVERYTHING, { instances: 2, beatMs: 50, scale: 1000, idleHours: 0.5 }));
    expect(figures.map(({ id }) => id)).toEqual(
      ['describes', 'starts', 'throttles', 'time', 'naive', 'idle'].map((part) => `P3.${part}`),
    );
    for (const { id, ours } of figures.filter(({ id }) => id !== 'P3.throttles')) expect(ours, id).toBeGreaterThan(0);
    expect(figures.at(-1)).toMatchObject({ goal: 'ours <= 300', holds: true });
  });

  test('actions that are armed and fire stand beside the bare operations of their store', async () => {
    const figures = await all(firing(library, EVERYTHING, { actions: 5, alone: 2, rounds: ONCE }, ['memory', 'sqlite']));
    const of = (store: string, ...more: string[]) =>
      ['.alone', '', '.new', '.rate', '.operations', ...more].map((part) => `P5.${store}${part}`);
    expect(figures.map(({ id }) => id)).toEqual([...of('memory', '.bytes'), ...of('sqlite', '.bytes', '.syncs')]);
    expect(figures.find(({ id }) => id === 'P5.sqlite')).toMatchObject({
      unit: 'ms',
      goal: 'ratio <= 3',
      peer: expect.any(Number),
    });
    const operations = figures.find(({ id }) => id === 'P5.memory.operations')?.ours;
    // At the least: three to arm, claim, begin, end, and let go of index and claim.
    expect(operations).toBeGreaterThan(7);
    expect(figures.find(({ id }) => id === 'P5.sqlite.syncs')?.ours).toBeGreaterThan(0);
  });

  test('a beat with a doctor that hangs or fails stands beside one with a doctor that answers', async () => {
    const figures = await all(doctors(library, EVERYTHING, { size: 40, rounds: ONCE }));
    expect(figures.map(({ id }) => id)).toEqual(['P5.doctor', 'P5.doctor.hangs', 'P5.doctor.fails']);
    for (const { ours, peer } of figures) expect([typeof ours, typeof peer]).toEqual(['number', 'number']);
  });

  // Hosts of three kinds are started for it, which a busy machine does slowly.
  test('a beat over hosts on kept connections stands beside a process of ssh for each', { timeout: 240_000 }, async () => {
    const figures = await all(probing(library, EVERYTHING, { spoken: 3, real: 1, beats: 2, echoed: 2 }));
    const ids = ['', '.parallel', '.cpu', '.first', '.hung', '.sshd'].map((part) => `P4${part}`);
    expect(figures.map(({ id }) => id)).toEqual(ids.slice(0, figures.length));
    for (const { id, ours } of figures) expect(ours, id).toBeGreaterThan(0);
    expect(figures.find(({ id }) => id === 'P4.cpu')?.goal).toBe('ours <= 0.5');
  });

  test('a rung stands beside what its server needs, and what is beside that is counted in beats', async () => {
    const rungs = [
      { service: 'db1', call: 'start', tookMs: 1500, ownMs: 1000 },
      { service: 'db1', call: 'up', tookMs: 2750, ownMs: 2000 },
      { service: 'lb1', call: 'up', tookMs: 250, ownMs: 0 },
    ];
    const figures = await all(ladder(library, EVERYTHING, async () => ({ tookMs: 4000, beatMs: 500, rungs })));
    const shown = figures.map(({ id, ours, peer, holds }) => [id, ours, peer, holds]);
    expect(shown).toEqual([
      ['P8', 4, 3, null],
      ['P8.start', 1500, 1000, null],
      ['P8.up', 1500, 1000, null],
      ['P8.mean', 1, null, true],
      ['P8.worst', 1.5, null, false],
    ]);
  });

  test('a switchover is judged by how long no write was taken, and by what was lost', async () => {
    const measured = { outageMs: 1200, tookMs: 3000, restartOutageMs: 900, lost: 0, together: 1 };
    const figures = await all(switchover(library, EVERYTHING, async () => measured));
    expect(figures.map(({ id, ours, holds }) => [id, ours, holds])).toEqual([
      ['P9', 1.2, false],
      ['P9.whole', 3, null],
      ['P9.restart', 0.9, true],
      ['P9.lost', 0, true],
      ['P9.together', 1, false],
    ]);
  });

  test('a machine that can have no others says so instead of a figure', async () => {
    const figures = await all(ladder(library, EVERYTHING, async () => null));
    expect(figures).toMatchObject([{ id: 'P8', name: expect.stringContaining('needs root'), ours: null }]);
    const changes = await all(switchover(library, EVERYTHING, async () => null));
    expect(changes).toMatchObject([{ id: 'P9', name: expect.stringContaining('needs root'), ours: null }]);
  });

  test('nothing runs that was not asked for', async () => {
    const nothing = select(['P7']);
    expect(await all(beats(library, nothing))).toEqual([]);
    expect(await all(heap(library, nothing))).toEqual([]);
    expect(await all(firing(library, nothing))).toEqual([]);
    expect(await all(doctors(library, nothing))).toEqual([]);
    expect(await all(reaction(library, nothing))).toEqual([]);
    expect(await all(probing(library, nothing))).toEqual([]);
    expect(await all(ladder(library, nothing))).toEqual([]);
  });
});

test('the fleet and its peers see the same changes in the same readings', async () => {
  const cloud = createCloud(200);
  const driver = preparedDriver();
  const scene = createScene(library, driver);
  const handLoop = createHandLoop();
  const keyedDiff = createKeyedDiff();
  for (const [round, percent] of [0, 1, 100, 0, 1].entries()) {
    cloud.change(percent, round);
    const at = scene.passes();
    driver.hand(cloud.reading(at));
    const seen = (await scene.fleet.beat()).map(({ to }) => to.name);
    expect(handLoop.take(cloud.reading(at)).map(({ to }) => to.id)).toEqual(seen);
    expect(keyedDiff(cloud.reading(at)).map(({ to }) => to.id)).toEqual(seen);
  }
  await scene.fleet.stop();
});

describe('what is asked of a store', () => {
  test('is asked again of another one in the same order, as much of it at once, and comes to the same', async () => {
    const first = library.memory();
    const { store, take } = recordingStore(first);
    const log: string[] = [];
    await Promise.all([store.increment('n'), store.set('a', '1')]);
    await store.swap('a', '1', '2');
    const recording = take();
    const second = library.memory();
    const slow: Store = {
      ...second,
      async increment(key) {
        log.push('increment begins');
        const number = await second.increment(key);
        log.push('increment ends');
        return number;
      },
      async set(...all) {
        log.push('set begins');
        await second.set(...all);
        log.push('set ends');
      },
      swap(...all) {
        log.push('swap begins');
        return second.swap(...all);
      },
    };
    await replay(recording, slow);
    expect(log).toEqual(['increment begins', 'set begins', 'increment ends', 'set ends', 'swap begins']);
    expect(await Promise.all(['n', 'a'].map(second.get))).toEqual(await Promise.all(['n', 'a'].map(first.get)));
    expect(recording.bytes).toBe('n'.length + 'a1'.length + 'a12'.length);
  });

  test('is what was asked since it was looked at last', async () => {
    const { store, take } = recordingStore(library.memory());
    await store.get('a');
    expect(take().operations).toHaveLength(1);
    expect(take().operations).toEqual([]);
  });
});

describe('how it is judged', () => {
  test('a ratio or a figure of its own holds up to its goal', () => {
    const measured = { id: 'P0', name: 'any', unit: 'ms' } as const;
    expect(figure({ ...measured, ours: 6, peer: 2, goal: { ratio: 3 } })).toMatchObject({
      ratio: 3,
      goal: 'ratio <= 3',
      holds: true,
    });
    expect(figure({ ...measured, ours: 7, peer: 2, goal: { ratio: 3 } }).holds).toBe(false);
    expect(figure({ ...measured, ours: 6, goal: { ours: 5 } })).toMatchObject({ goal: 'ours <= 5', holds: false });
    expect(figure({ ...measured, ours: 6, peer: 2 })).toMatchObject({ goal: null, holds: null });
    expect(figure({ ...measured, ours: null, peer: 2, goal: { ratio: 3 } }).holds).toBeNull();
  });

  test('sides take turns, and what is not timed is not counted', async () => {
    const log: string[] = [];
    const side = (name: string) => ({ prepare: () => () => log.push(name), settle: async () => void log.push(`${name} rests`) });
    await interleaved({ ours: side('ours'), peer: side('peer') }, { warmUp: 1, timed: 1 }, (round) => log.push(String(round)));
    const turn = ['ours', 'ours rests', 'peer', 'peer rests'];
    expect(log).toEqual(['-1', ...turn, '0', ...turn]);
  });

  test('a percentile is a sample that was taken', () => {
    const samples = Array.from({ length: 200 }, (_, i) => 200 - i);
    expect([50, 99, 100].map((share) => percentile(samples, share))).toEqual([100, 198, 200]);
  });

  test('an id stands for all that begin with it', () => {
    const { covers, wants } = select(['P1.100k', 'P6']);
    expect(['P1.100k.1.hand-loop', 'P6'].map(wants)).toEqual([true, true]);
    expect(['P1.1k.1.hand-loop', 'P1.100k5', 'P2'].map(wants)).toEqual([false, false, false]);
    expect(['P1', 'P1.100k', 'P1.10k'].map(covers)).toEqual([true, true, false]);
  });
});

describe('how it is printed', () => {
  const one = figure({ id: 'P0', name: 'any', ours: 1, peer: 2, unit: 'ms', goal: { ratio: 3 } });

  test('as JSON, the machine and the versions come first, then one figure a line', () => {
    const lines: string[] = [];
    const printer = jsonPrinter((line) => lines.push(line));
    printer.figure(one);
    printer.end();
    const [bench, printed] = lines.map((line) => JSON.parse(line));
    expect(Object.keys(bench)).toEqual(['machine', 'load', 'node', 'fleetbeat', 'xstate']);
    expect(Object.keys(printed)).toEqual(['id', 'name', 'ours', 'peer', 'unit', 'ratio', 'goal', 'holds']);
    expect(lines).toHaveLength(2);
  });

  test('as a table, below a line with the machine and the versions', () => {
    const lines: string[] = [];
    const printer = tablePrinter((line) => lines.push(line));
    printer.figure(one);
    printer.end();
    expect(lines[0]).toContain(process.version);
    expect(lines[1]).toMatch(/P0.*any.*1.*2.*ms.*0\.5.*ratio <= 3.*yes/);
  });
});
