import type { View } from 'fleetbeat';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { JOURNAL_TABLE, type JournalingWriter, lostOf, startJournalingWriter } from '../support/journaling-writer.ts';
import { requiresMachines } from '../support/servers.ts';
import { APP_USER, openShop, PORTS, type Shop, VIP } from '../support/shop.ts';
import { type WritableWatch, watchWritable } from '../support/writable-watch.ts';

const TEST_MS = 200_000;
const PATIENT = { timeout: 90_000, interval: 50 };
const DATABASES = ['db1', 'db2', 'db3'] as const;

requiresMachines('a cluster that fails over by itself, written to through its shared address', () => {
  let shop: Shop;
  let writer: JournalingWriter;
  let watch: WritableWatch;
  const told: string[] = [];

  beforeAll(async () => {
    shop = await openShop({
      everyMs: 500,
      databases: { semiSync: true, answerMs: 1000 },
      recover: { services: 'all', failover: ['shop'] },
      policy: { dwellMs: 2000, holdDownMs: 2000, holdDownMaxMs: 4000, recoveries: 20 },
    });
    await vi.waitUntil(() => shop.fleet.role === 'leader', PATIENT);
    await shop.fleet.dispatch({ level: 'services', action: 'start', group: 'shop' });
    await vi.waitUntil(() => shop.belowTop().length === 0, PATIENT);
    await shop.sql('db1', `CREATE DATABASE app; ${JOURNAL_TABLE}; ${APP_USER}`);
    await vi.waitUntil(async () => (await shop.holders()).length === 1, PATIENT);
    writer = startJournalingWriter({ host: VIP, port: PORTS.writes, user: 'app', password: 'app', perSecond: 100 });
    watch = watchWritable(
      DATABASES.map((name) => {
        const socket = `/var/lib/fleetbeat/${name}/run/mariadb.sock`;
        return { name, machine: shop.machineOf(name), socket, user: 'app', password: 'app' };
      }),
    );
  }, TEST_MS);
  afterAll(async () => {
    process.stdout.write(`${told.join('\n')}\n`);
    await writer?.stop();
    await watch?.stop();
    await shop?.close();
  });

  const viewOf = (name: string): View | undefined => shop.fleet.views().find((view) => view.name === name);
  const masters = () => DATABASES.filter((name) => viewOf(name)?.role === 'master' && viewOf(name)?.holds.has('up'));
  const takesWrites = async () => {
    const { acknowledged } = writer.stretch();
    await expect.poll(() => writer.stretch().acknowledged, PATIENT).toBeGreaterThan(acknowledged + 50);
  };
  /** Whether a database that was the master has what nobody else has. */
  const isAlone = (name: string) => shop.failures().some((why) => why.includes(`services/${name}: ER0250`));

  /** Breaks the master, and waits until another has taken its place. */
  async function replaced(what: string, breakIt: (master: string) => void | Promise<void>): Promise<readonly [string, string]> {
    const [from = ''] = masters();
    await takesWrites();
    writer.mark();
    await breakIt(from);
    await expect.poll(() => masters().find((name) => name !== from), PATIENT).toBeDefined();
    await takesWrites();
    const to = masters().find((name) => name !== from) ?? '';
    const { longestOutageMs, refused, unknown } = writer.stretch();
    const lost = lostOf(writer.journal(), await shop.sql(to, 'SELECT id FROM app.journal'));
    told.push(
      `${what} ${from}: ${to} took its place, none taken for at most ${(longestOutageMs / 1000).toFixed(1)} s, ` +
        `${lost.length} lost, ${refused} refused, ${unknown} unknown`,
    );
    expect(lost).toEqual([]);
    expect(watch.together()).toEqual([]);
    return [from, to];
  }

  /** The old master follows; what it alone has was acknowledged to nobody, and it is built anew. */
  async function comesBack(name: string): Promise<void> {
    await expect.poll(() => viewOf(name)?.state === 'routed' || isAlone(name), PATIENT).toBe(true);
    if (isAlone(name)) {
      for (const { id, lane } of shop.fleet.actions()) if (lane === `services/${name}`) await shop.fleet.discard(id);
      const command = (action: string) => shop.fleet.dispatch({ level: 'services', action, group: name });
      for (const action of ['stop', 'remove', 'remove', 'start']) {
        const { started } = await command(action);
        for (const { id, lane } of started) {
          const { status } = await shop.fleet.settled(id);
          if (status === 'failed' && lane === `services/${name}`) await shop.fleet.discard(id);
        }
      }
    }
    await expect.poll(() => shop.belowTop(), PATIENT).toEqual([]);
    await expect.poll(() => shop.fleet.actions().length, PATIENT).toBe(0);
    expect(viewOf(name)?.role).toBe('slave');
  }

  test('has another master after a power cut, with nothing lost and never two that take writes', {
    timeout: TEST_MS,
  }, async () => {
    const [from] = await replaced('power cut of', (name) => shop.machineOf(name).off());
    await comesBack(from);
  });

  test('has another master once the old one is cut off from all, and turned off', { timeout: TEST_MS }, async () => {
    let heal = () => {};
    const [from] = await replaced('partition of', (name) => {
      const { ip } = shop.machineOf(name);
      const healers = [shop.machines.lose({ from: ip }), shop.machines.lose({ to: ip })];
      heal = () => {
        for (const each of healers) each();
      };
    });
    expect(
      shop.climb
        .happenings()
        .filter(({ kind, what, name }) => kind === 'call' && what === 'stop' && name === shop.machineOf(from).name),
    ).toHaveLength(1);
    heal();
    await comesBack(from);
  });

  test('keeps its master where only the fleet cannot reach it', { timeout: TEST_MS }, async () => {
    const [name = ''] = masters();
    const { ip, name: machine } = shop.machineOf(name);
    await takesWrites();
    writer.mark();
    const heal = shop.machines.lose({ from: shop.machines.orchestrator, to: ip });
    await expect.poll(() => shop.fleet.views().find((view) => view.name === machine)?.state, PATIENT).toBe('unreachable');
    const reasons = async () => (await shop.fleet.recovery()).find(({ key }) => key === `services/${name}`)?.reason;
    await expect.poll(reasons, PATIENT).toMatch(/^no failover yet: it is there .*heard by/);
    await takesWrites();
    expect(writer.stretch()).toMatchObject({ refused: 0, unknown: 0, servers: [expect.any(Number)] });
    heal();
    await expect.poll(() => shop.belowTop(), PATIENT).toEqual([]);
    expect(masters()).toEqual([name]);
  });
});
