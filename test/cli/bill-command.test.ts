import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { type ApiCall, asInstant, createFleet, type Driver, type InstanceFacts } from 'fleetbeat';
import { sqlite } from 'fleetbeat/adapters/sqlite';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { commandLine, documentsIn, folderWith } from './command-line.ts';

const HOUR_MS = 3_600_000;
const CLOUD = { driver: 'ec2', region: 'us-east-1' };
const SSH = { username: 'admin', identityFile: 'id', knownHosts: 'known_hosts' };

const configured = (bill: object = {}) => folderWith({ clouds: { aws: { ...CLOUD, active: true }, old: CLOUD }, ssh: SSH, bill });

/** Leaves calls of some time ago in the store, as a fleet does that made them. */
async function called(cwd: string, calls: readonly Partial<ApiCall>[], agoMs = 0): Promise<void> {
  const listeners = new Set<(call: ApiCall) => void>();
  const driver: Driver<InstanceFacts> = {
    name: 'aws',
    everyMs: 1000,
    observe: async ({ now }) => ({ items: [], readAt: now, complete: true, problems: [] }),
    perform: async () => [],
    onCall(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const store = sqlite(join(cwd, 'fleetbeat.db'));
  const now = () => asInstant(Date.now() - agoMs);
  const fleet = createFleet({ store, now, drivers: { instances: [driver] } });
  for (const call of calls)
    for (const listen of listeners)
      listen({ driver: 'aws', verb: 'DescribeInstances', caller: 'beat', outcome: 'ok', isRetry: false, ...call });
  await fleet.stop();
  await store.close?.();
}

describe('the bill', () => {
  // Hours and days begin by the clock: a test that runs over midnight would see another bill.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 4, 1, 12, 30) }));
  afterEach(() => void vi.useRealTimers());

  test('of a fleet that called nothing says so, also where no price is configured', async () => {
    const cwd = configured();
    const { exit, stdout, stderr } = await commandLine(['bill'], { cwd, columns: 80 });
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' });
    expect(stdout).toMatch(/^no calls\n\n.+: 0 calls\nforecast: 0 calls a day\nno prices are configured/);
  });

  test('tells each call with what came of it and what it costs, in JSON for a pipe', async () => {
    const cwd = configured({
      prices: { aws: { RunInstances: 2, '*': 0.25 } },
      budgets: { aws: { perHour: { soft: 2, hard: 10 }, perDay: { hard: 100 } }, old: { perDay: { soft: 1 } } },
    });
    const some = [
      {},
      { outcome: 'throttled' },
      { isRetry: true },
      { verb: 'RunInstances', caller: 'action', outcome: 'refused' },
    ] as const;
    await called(cwd, some);
    const { exit, stdout } = await commandLine(['bill'], { cwd });
    expect(exit).toBe(0);
    expect(documentsIn(stdout)).toMatchObject([
      {
        return: { code: '000000' },
        question: { action: 'bill' },
        bill: {
          lines: [
            { cloud: 'aws', verb: 'DescribeInstances', caller: 'beat', calls: 3, throttled: 1, retries: 1, cost: 0.75 },
            { cloud: 'aws', verb: 'RunInstances', caller: 'action', calls: 1, refused: 1, cost: 2 },
          ],
          calls: 4,
          cost: 2.75,
          currency: 'USD',
          forecast: { callsPerDay: 96, costPerDay: 66, costPer30Days: 1980 },
          budgets: [
            { cloud: 'aws', per: 'hour', calls: 4, soft: 2, softLeft: 0, hard: 10, hardLeft: 6, strain: 'soft' },
            { cloud: 'aws', per: 'day', calls: 4, hard: 100, hardLeft: 96, strain: 'none' },
            { cloud: 'old', per: 'day', calls: 0, soft: 1, softLeft: 1, strain: 'none' },
          ],
        },
      },
    ]);
    const shown = stripVTControlCharacters((await commandLine(['bill'], { cwd, columns: 120 })).stdout).split('\n');
    expect(shown[0]?.split(/ +/)).toEqual(['cloud', 'call', 'for', 'calls', 'throttled', 'failed', 'retries', 'cost']);
    expect(shown[2]).toMatch(/^aws +RunInstances +actions +1 +0 +0 +0 +2\.00 USD$/);
    expect(shown.join('\n')).toMatch(/: 4 calls, 2\.75 USD \(1 refused, 1 throttled, 1 retries\)$/m);
    expect(shown).toContain('forecast: 96 calls, 66.00 USD a day, 1980.00 USD in 30 days');
    expect(shown.join('\n')).toMatch(/^aws +this hour +4 +2, reached +10, 6 left$/m);
    const json = await commandLine(['bill', '--json'], { cwd, columns: 120 });
    expect(documentsIn(json.stdout)).toMatchObject([{ bill: { calls: 4 } }]);
  });

  test('reaches as far back as it is asked for, and its budgets only into this hour and day', async () => {
    const cwd = configured({ budgets: { aws: { perHour: { hard: 5 }, perDay: { hard: 5 } } } });
    await called(cwd, [{}, {}, {}, {}], 72 * HOUR_MS);
    await called(cwd, [{}, {}], 2 * HOUR_MS);
    await called(cwd, [{}]);
    const callsOf = async (...args: string[]) => {
      const [{ bill }] = documentsIn((await commandLine(['bill', ...args], { cwd })).stdout) as readonly [
        { readonly bill: { readonly calls: number; readonly budgets: readonly { readonly calls: number }[] } },
      ];
      return [bill.calls, ...bill.budgets.map(({ calls }) => calls)];
    };
    expect(await callsOf()).toEqual([3, 1, 3]);
    expect(await callsOf('--since', '1h')).toEqual([1, 1, 3]);
    expect(await callsOf('--since', '7d')).toEqual([7, 1, 3]);
  });

  test('keeps to a narrow terminal: what nobody misses is left out first', async () => {
    const cwd = configured({ prices: { aws: { '*': 0.00001 } } });
    await called(cwd, [{}]);
    const [head] = stripVTControlCharacters((await commandLine(['bill'], { cwd, columns: 60 })).stdout).split('\n');
    expect(head?.split(/ +/)).toEqual(['cloud', 'call', 'for', 'calls', 'cost']);
  });

  test.each<[readonly string[], object, string]>([
    [['bill', '--since', '40d'], {}, '--since: found "40d", allowed: a time in the past, at most 39d ago'],
    [['bill', '--since', 'yesterday'], {}, '--since: found "yesterday", allowed: how long ago'],
    [['bill', '--no-wait'], {}, 'bill: found --no-wait, which means nothing here'],
    [['bill', 'aws'], {}, 'too many arguments'],
    [['bill'], { store: { driver: 'memory' } }, 'store: found memory together with bill, allowed: a store that outlives'],
  ])('%j is refused where it cannot be', async (args, more, message) => {
    const cwd = folderWith({ clouds: { aws: { ...CLOUD, active: true } }, ssh: SSH, ...more });
    const { exit, stdout, stderr } = await commandLine(args, { cwd });
    expect({ exit, stdout }).toEqual({ exit: 64, stdout: '' });
    expect(stderr).toContain(message);
  });

  test('explains itself, with examples and how it exits', async () => {
    const { exit, stdout } = await commandLine(['bill', '--help']);
    expect(exit).toBe(0);
    for (const text of ['--since <time>', 'Exit: 0 told', '$ fleetbeat bill --since 7d']) expect(stdout).toContain(text);
  });
});
