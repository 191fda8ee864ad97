import { availableParallelism } from 'node:os';
import { beforeAll, describe, expect, test } from 'vitest';
import { isThorough, PATIENCE_MS } from '../properties/runs.ts';
import { joinedProgram } from '../support/joined-program.ts';
import { type Death, playLaunches } from '../support/launch-history.ts';
import { KILLS, launchThroughKills } from '../support/launching-lives.ts';

const DEATHS = ['at its store', 'before the call', 'during the call', 'with the call on its way', 'after the call'] as const;

describe.each([
  ['clientToken', 'until somebody has it retried', isThorough ? 1000 : 60],
  ['tag', 'until it works', isThorough ? 500 : 40],
  ['tag', 'until somebody has it retried', isThorough ? 1000 : 60],
] as const)(
  'on a cloud that knows a launch that is repeated by its %s, by a fleet that tries %s',
  (launchedOnceBy, trying, count) => {
    test('whatever is lost, and whenever a process dies, each instance that is asked for is launched, once', {
      timeout: 3 * PATIENCE_MS,
    }, async () => {
      const wrong: string[] = [];
      const deaths: Partial<Record<Death, number>> = {};
      for (let seed = 0; seed < count; seed++) {
        const outcome = await playLaunches(seed, launchedOnceBy, trying);
        wrong.push(...outcome.wrongs.map((what) => `seed ${seed}: ${what}`));
        for (const [how, times] of Object.entries(outcome.deaths) as [Death, number][]) deaths[how] = (deaths[how] ?? 0) + times;
      }
      expect(wrong).toEqual([]);
      // Else nothing was tried.
      for (const how of DEATHS) expect(deaths[how], how).toBeGreaterThan(count / 20);
    });
  },
);

describe('a process that is killed', () => {
  const rounds = isThorough ? 4 : 1;
  /** Processes mostly wait. */
  const lanes = 2 * availableParallelism();
  /** Everyday, only where it matters most. */
  const kills = isThorough ? KILLS : KILLS.slice(1, 3);

  let program = '';
  beforeAll(async () => {
    program = await joinedProgram('test/support/launching-process.ts');
  });

  test('before, during or after its request to EC2 leaves a store with which another one launches once', {
    timeout: 3 * PATIENCE_MS,
  }, async () => {
    const due = Array.from({ length: rounds }, (_, seed) => kills.map((kill) => ({ seed, kill }))).flat();
    const found: object[] = [];
    const expected = due.map(({ seed, kill }) => ({ seed, kill, launched: 1, isKilled: true }));
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        for (let next = due.shift(); next; next = due.shift()) {
          const { cloud, kills: count } = await launchThroughKills(program, next.seed, next.kill);
          const launched = cloud.instances().filter(({ ip }) => ip === '10.0.0.7').length;
          found.push({ ...next, launched, isKilled: count > 0 });
        }
      }),
    );
    expect(new Set(found)).toEqual(new Set(expected));
  });
});
