import { setTimeout as pause } from 'node:timers/promises';
import { JOURNAL_TABLE, lostOf, type Stretch, startJournalingWriter } from './journaling-writer.ts';
import { APP_USER, openShop, PORTS, type Shop, VIP } from './shop.ts';
import { watchWritable } from './writable-watch.ts';

/** What a command did to a cluster that is written to. */
export interface UnderLoad {
  readonly writes: Stretch;
  /** Writes that were acknowledged and are missing on the present master. */
  readonly lost: number;
  /** How often two databases accepted writes at once. */
  readonly together: number;
  readonly tookMs: number;
  readonly master: string;
}

/** A shop that runs, and whose commands are given while 200 rows a second are written through its shared address. */
export interface LoadedShop {
  readonly shop: Shop;
  /** Gives a command, and waits until it has ended and all is routed. */
  command(action: string, group: string): Promise<UnderLoad>;
  close(): Promise<void>;
}

const PER_SECOND = 200;
const PATIENCE_MS = 120_000;

export async function openLoadedShop(): Promise<LoadedShop> {
  const shop = await openShop({ everyMs: 500 });
  const until = async (isSo: () => boolean | Promise<boolean>) => {
    const end = performance.now() + PATIENCE_MS;
    while (!(await isSo())) {
      if (performance.now() > end) throw new Error(['not ended:', ...shop.belowTop(), ...shop.failures()].join('\n'));
      await pause(20);
    }
  };
  const isQuiet = () => shop.fleet.actions().length === 0 && shop.belowTop().length === 0;
  const dispatch = (action: string, group: string) => shop.fleet.dispatch({ level: 'services', action, group });
  try {
    await until(() => shop.fleet.role === 'leader');
    await dispatch('start', 'shop');
    await until(isQuiet);
    await shop.sql('db1', `CREATE DATABASE app; ${JOURNAL_TABLE}; ${APP_USER}`);
    await until(async () => (await shop.holders()).length === 1);
  } catch (error) {
    await shop.close();
    throw error;
  }
  const watch = watchWritable(
    ['db1', 'db2', 'db3'].map((name) => {
      const socket = `/var/lib/fleetbeat/${name}/run/mariadb.sock`;
      return { name, machine: shop.machineOf(name), socket, user: 'app', password: 'app' };
    }),
  );
  const writer = startJournalingWriter({
    host: VIP,
    port: PORTS.writes,
    user: 'app',
    password: 'app',
    perSecond: PER_SECOND,
    connections: 8,
  });
  const masters = () => shop.fleet.views().filter(({ name, role }) => name.startsWith('db') && role === 'master');

  return {
    shop,
    async command(action, group) {
      writer.mark();
      const warm = PER_SECOND / 2;
      await until(() => writer.stretch().acknowledged >= warm);
      writer.mark();
      const from = performance.now();
      const { rejected } = await dispatch(action, group);
      if (rejected.length > 0) throw new Error(rejected.map(({ message }) => message).join('\n'));
      await until(isQuiet);
      const tookMs = performance.now() - from;
      const soFar = writer.stretch().acknowledged;
      await until(() => writer.stretch().acknowledged >= soFar + warm);
      const writes = writer.stretch();
      const [master] = masters();
      if (!master) throw new Error('there is no master');
      const rows = await shop.sql(master.name, 'SELECT id FROM app.journal');
      const lost = lostOf(writer.journal().slice(0, soFar), rows).length;
      return { writes, lost, together: watch.together().length, tookMs, master: master.name };
    },
    async close() {
      await writer.stop();
      await watch.stop();
      await shop.close();
    },
  };
}
