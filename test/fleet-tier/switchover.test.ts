import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LoadedShop, openLoadedShop, type UnderLoad } from '../support/loaded-shop.ts';
import { requiresMachines } from '../support/servers.ts';

const TEST_MS = 180_000;

requiresMachines('a cluster that takes 200 writes a second through its shared address', () => {
  let stage: LoadedShop;
  const told: string[] = [];
  beforeAll(async () => {
    stage = await openLoadedShop();
  }, TEST_MS);
  afterAll(async () => {
    process.stdout.write(`${told.join('\n')}\n`);
    await stage?.close();
  });

  const tell = (what: string, { writes, lost, tookMs }: UnderLoad) => {
    const { acknowledged, refused, unknown, longestOutageMs } = writes;
    told.push(
      `${what}: ${(tookMs / 1000).toFixed(1)} s, none taken for at most ${Math.round(longestOutageMs)} ms, ` +
        `${acknowledged} acknowledged, ${lost} lost, ${refused} refused, ${unknown} unknown`,
    );
  };

  test('has another master, with nothing lost and never two that take writes', { timeout: TEST_MS }, async () => {
    const switched = await stage.command('switch', 'db2');
    tell('switch to db2', switched);
    expect(switched).toMatchObject({ lost: 0, together: 0, master: 'db2' });
    expect(switched.writes.servers).toHaveLength(2);
  });

  test('is restarted one after the other, with nothing lost', { timeout: TEST_MS }, async () => {
    const runs = () => new Map(stage.shop.fleet.views().map(({ name, mark }) => [name, mark]));
    const before = runs();
    const restarted = await stage.command('rolling_restart', 'shop');
    tell('rolling restart', restarted);
    expect(restarted).toMatchObject({ lost: 0, together: 0, master: 'db1' });
    for (const name of ['db1', 'db2', 'db3']) expect(runs().get(name)).not.toBe(before.get(name));
  });
});
