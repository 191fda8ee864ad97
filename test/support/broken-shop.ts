import type { Policy, View } from 'fleetbeat';
import { expect, vi } from 'vitest';
import { JOURNAL_TABLE, type JournalingWriter, lostOf, startJournalingWriter } from './journaling-writer.ts';
import { type Report, type Reporter, reportOf, type Sighting, tableOf } from './report.ts';
import { APP_USER, openShop, PORTS, type Shop, VIP } from './shop.ts';
import { type WritableWatch, watchWritable } from './writable-watch.ts';

/** Only a failure takes this long. */
export const PATIENT = { timeout: 90_000, interval: 100 };

/** A shop that runs, is kept running, is written to and is watched, while it is broken in one way after the other. */
export interface BrokenShop {
  readonly shop: Shop;
  readonly writer: JournalingWriter;
  readonly watch: WritableWatch;
  viewOf(name: string): View | undefined;
  /** Breaks something. What happens from then on is told by `whole`. */
  break(what: string, how: () => void | Promise<void>): Promise<void>;
  /** Waits until a view has said so since the breakage, and gives the first. */
  seen(isSeen: (view: View) => boolean): Promise<Sighting>;
  /** Waits until something was refused, or left undone, for that reason since the breakage. */
  refused(reason: RegExp): Promise<void>;
  /** Waits until all is as it was; then no acknowledged write may be missing, and no two databases may have accepted writes at once. */
  whole(): Promise<Report>;
  /** Ends the writes, and waits until each replica has the same rows as the master. */
  alike(): Promise<void>;
  /** What became of all breakages. */
  table(): string;
  close(): Promise<void>;
}

const BEAT_MS = 500;
/** What makes recovery fast: what lasts for two seconds is recovered from. */
const POLICY: Partial<Policy> = { dwellMs: 2000, holdDownMs: 3000, holdDownMaxMs: 6000, recoveries: 3 };

/** @param diskMb the size of each machine's disk, in MiB */
export async function openBrokenShop(diskMb?: number): Promise<BrokenShop> {
  const size = diskMb === undefined ? {} : { diskMb };
  const shop = await openShop({ everyMs: BEAT_MS, recover: { services: 'all' }, policy: POLICY, ...size });
  try {
    await vi.waitUntil(() => shop.fleet.role === 'leader', PATIENT);
    await shop.fleet.dispatch({ level: 'services', action: 'start', group: 'shop' });
    await vi.waitUntil(() => shop.belowTop().length === 0, PATIENT);
    await shop.sql('db1', `CREATE DATABASE app; ${JOURNAL_TABLE}; ${APP_USER}`);
    await vi.waitUntil(async () => (await shop.holders()).length === 1, PATIENT);
  } catch (error) {
    await shop.close();
    throw error;
  }
  const master = Number(await shop.sql('db1', 'SELECT @@server_id'));
  const writer = startJournalingWriter({ host: VIP, port: PORTS.writes, user: 'app', password: 'app' });
  const watch = watchWritable(
    ['db1', 'db2', 'db3'].map((name) => {
      const socket = `/var/lib/fleetbeat/${name}/run/mariadb.sock`;
      return { name, machine: shop.machineOf(name), socket, user: 'app', password: 'app' };
    }),
  );
  const reports: Report[] = [];
  let reporter: Reporter | null = null;
  const present = (): Reporter => reporter ?? expect.unreachable('nothing was broken');

  /** Whatever is not as it was. */
  const left = async (): Promise<readonly string[]> => [
    ...shop.belowTop(),
    ...shop.failures(),
    ...shop.fleet.actions().map(({ do: { verb }, lane, status }) => `${verb} of ${lane} is ${status}`),
    ...(await shop.fleet.recovery()).flatMap(({ key, state, reason }) => (state === 'well' ? [] : `${key} ${state} ${reason}`)),
  ];
  /** Until some writes more were acknowledged. */
  const takesWrites = async () => {
    const before = writer.stretch().acknowledged;
    await expect.poll(() => writer.stretch().acknowledged, PATIENT).toBeGreaterThan(before + 10);
  };
  /** What was recovered from before is no reason to wait longer. */
  const acknowledge = async () => {
    for (const { key, falls } of await shop.fleet.recovery())
      if (falls.length > 0) await shop.fleet.acknowledge(key.replace('services/', ''));
    await expect.poll(async () => (await shop.fleet.recovery()).flatMap(({ falls }) => falls), PATIENT).toEqual([]);
  };

  return {
    shop,
    writer,
    watch,
    viewOf: (name) => shop.fleet.views().find((view) => view.name === name),
    async break(what, how) {
      await acknowledge();
      await takesWrites();
      writer.mark();
      reporter = reportOf(shop, what);
      await how();
    },
    seen: (isSeen) => vi.waitFor(() => present().note(isSeen) ?? expect.unreachable('it was not seen'), PATIENT),
    refused: (reason) => expect.poll(() => present().refused(), PATIENT).toContainEqual(expect.stringMatching(reason)),
    async whole() {
      // What was seen before may be what was so before it broke.
      const from = Date.now();
      const unread = () => shop.fleet.views().filter(({ level, readAt }) => level === 'services' && readAt < from);
      await expect.poll(() => unread().map(({ name }) => name), PATIENT).toEqual([]);
      await expect.poll(left, PATIENT).toEqual([]);
      await takesWrites();
      const writes = writer.stretch();
      const lost = lostOf(writer.journal(), await shop.sql('db1', 'SELECT id FROM app.journal'));
      const report = { ...present().end(), writes, lost: lost.length };
      reports.push(report);
      expect(lost).toEqual([]);
      expect(writes.servers).toEqual([master]);
      expect(watch.together()).toEqual([]);
      return report;
    },
    async alike() {
      await writer.stop();
      const rows = (database: string) =>
        shop.sql(database, 'SELECT COUNT(*), SUM(CRC32(CONCAT(id, " ", server))) FROM app.journal');
      const wanted = await rows('db1');
      for (const replica of ['db2', 'db3']) await expect.poll(() => rows(replica), PATIENT).toBe(wanted);
    },
    table: () => tableOf(reports),
    async close() {
      await writer.stop();
      await watch.stop();
      await shop.close();
    },
  };
}
