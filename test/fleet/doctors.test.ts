import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Change, Doctor } from 'fleetbeat';
import { scriptDoctor } from 'fleetbeat/adapters/doctors/script';
import { webhookDoctor } from 'fleetbeat/adapters/doctors/webhook';
import { doctorWire } from 'fleetbeat/wire';
import { afterEach, expect, test } from 'vitest';
import { fleetStage } from '../support/fleet-stage.ts';
import { answering, type HttpServer, httpServer } from '../support/http-server.ts';

const wire = doctorWire({ cloud: 'simulated' });
const SOON = { timeout: 20_000, interval: 5 };
const IPS = ['10.1.0.1', '10.1.0.2'] as const;

const servers: HttpServer[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

async function hook(answer: Parameters<typeof httpServer>[0], name = 'hook') {
  const server = await httpServer(answer);
  servers.push(server);
  return { doctor: webhookDoctor({ name, url: server.url, wire }), bodies: () => server.received.map(({ body }) => body) };
}

/** A fleet of two machines with a service each, that remembers its own changes. */
function stage(doctors: readonly Doctor[]) {
  const world = {
    instances: IPS.map((ip, i) => ({ id: `i-${i}`, ip, state: 'running' as const })),
    services: IPS.map((ip, i) => ({ name: `cache${i}`, ip, mode: 'memcache', status: 'master' as const })),
  };
  const { fleet, simulated, pass } = fleetStage({
    world,
    fleet: { doctors },
    policy: { deliverAttempts: 5, backoffMs: 2000, backoffMaxMs: 4000 },
  });
  const happened: Change[] = [];
  fleet.on('changed', (change) => happened.push(change));
  return {
    fleet,
    happened,
    pass,
    /** Each machine loses its power twice and is given it back: its own changes, and those of its service, one after another. */
    async live() {
      await pass(2000);
      for (const power of ['off', 'on', 'off', 'on'] as const)
        for (const ip of IPS) {
          simulated.world.power(ip, power);
          await pass(4000);
        }
    },
    /** Beats until so much was told, and once more for what should not be. */
    async beatUntil(isTold: () => boolean) {
      const beat = async () => {
        await pass(2000);
        return isTold();
      };
      await expect.poll(beat, SOON).toBe(true);
      await pass(10_000);
    },
  };
}

const idsIn = (bodies: readonly string[]): readonly string[] =>
  bodies.flatMap((body) => (JSON.parse(body) as { events: readonly { id: string }[] }).events.map(({ id }) => id));

const idsOf = (changes: readonly Change[]): readonly string[] => changes.map(({ id }) => id);

/** The first time that each change was told, of one entity or of all. */
const firsts = (ids: readonly string[], of = ''): readonly string[] => [...new Set(ids)].filter((id) => id.includes(of));

test('a webhook that fails three times and then does not has every change, in order, and the first batch four times', async () => {
  const { doctor, bodies } = await hook(answering(503, 500, 429, 204));
  const { fleet, happened, live, beatUntil } = stage([doctor]);
  await live();
  expect(happened.length).toBeGreaterThan(8);
  await beatUntil(() => new Set(idsIn(bodies())).size === happened.length);
  const batches = bodies();
  expect(batches.slice(0, 4)).toEqual(Array(4).fill(batches[0]));
  expect(idsIn(batches.slice(3))).toEqual(idsOf(happened));
  expect(await fleet.parked()).toEqual([]);
  await fleet.stop();
});

test('a webhook that never takes anything loses nothing, and keeps nobody else waiting', async () => {
  let isWell = false;
  const broken = await hook((_, response) => response.writeHead(isWell ? 204 : 503).end(), 'broken');
  const other = await hook(answering(204), 'other');
  const { fleet, happened, live, beatUntil, pass } = stage([broken.doctor, other.doctor]);
  await live();
  await beatUntil(() => idsIn(other.bodies()).length >= happened.length);
  expect(idsIn(other.bodies())).toEqual(idsOf(happened));
  const isParked = async () => {
    await pass(4000);
    return (await fleet.parked()).flatMap(({ keys }) => keys).length;
  };
  // Each of two machines and their services waits behind the first change that was not taken.
  await expect.poll(isParked, SOON).toBe(4);
  expect(await fleet.parked()).toMatchObject(
    (await fleet.parked()).map(() => ({ doctor: 'broken', attempts: 5, code: 'ER0018' })),
  );
  isWell = true;
  for (const { id } of await fleet.parked()) await fleet.redeliver(id);
  await beatUntil(() => new Set(idsIn(broken.bodies())).size === happened.length);
  for (const key of new Set(happened.map((change) => change.key)))
    expect(firsts(idsIn(broken.bodies()), key)).toEqual(idsOf(happened.filter((change) => change.key === key)));
  expect(await fleet.parked()).toEqual([]);
  await fleet.stop();
});

test('a script that hangs is told again from where it hung, and nobody else waits for it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fleetbeat-doctors-'));
  folders.push(folder);
  const lines = 'if [ -e hung ]; then cat >> told; else touch hung; sleep 60; fi';
  const script = scriptDoctor({ name: 'script', argv: ['/bin/sh', '-c', lines], cwd: folder, wire, deadlineMs: 500 });
  const other = await hook(answering(204), 'other');
  const { fleet, happened, live, beatUntil } = stage([script, other.doctor]);
  await live();
  await beatUntil(() => idsIn(other.bodies()).length >= happened.length);
  expect(idsIn(other.bodies())).toEqual(idsOf(happened));
  const told = () => {
    try {
      return idsIn(readFileSync(join(folder, 'told'), 'utf8').trim().split('\n'));
    } catch {
      return [];
    }
  };
  await beatUntil(() => told().length >= happened.length);
  expect(told()).toEqual(idsOf(happened));
  expect(await fleet.parked()).toEqual([]);
  await fleet.stop();
});

test('a beat ends, and acts, while every doctor hangs', async () => {
  const asked: (() => void)[] = [];
  const silent = await hook((_, response) => void asked.push(() => response.writeHead(204).end()), 'silent');
  const { fleet, happened, live, beatUntil } = stage([silent.doctor]);
  await live();
  await fleet.dispatch({ level: 'services', action: 'restart', group: 'cache0' });
  await expect.poll(() => asked.length, SOON).toBe(1);
  await beatUntil(() => fleet.actions().length === 0);
  expect(asked).toHaveLength(1);
  const answerAll = () => {
    for (const answer of asked.splice(0)) answer();
    return idsIn(silent.bodies()).length;
  };
  await expect.poll(answerAll, SOON).toBe(happened.length);
  expect(idsIn(silent.bodies())).toEqual(idsOf(happened));
  answerAll();
  await fleet.stop();
});
