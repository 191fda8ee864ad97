import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asInstant, type Change } from 'fleetbeat';
import { scriptDoctor } from 'fleetbeat/adapters/doctors/script';
import { webhookDoctor } from 'fleetbeat/adapters/doctors/webhook';
import { memory } from 'fleetbeat/adapters/memory';
import { doctorWire } from 'fleetbeat/wire';
import { afterAll, afterEach, expect, test } from 'vitest';
import type { Doctor } from '../../src/contracts.ts';
import { createOutbox } from '../../src/outbox.ts';
import { serviceChange } from '../support/changes.ts';
import { answering, type HttpServer, httpServer } from '../support/http-server.ts';

const wire = doctorWire({ cloud: 'local' });
const servers: HttpServer[] = [];
const folder = mkdtempSync(join(tmpdir(), 'fleetbeat-doctors-'));

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function serve(answer: Parameters<typeof httpServer>[0]): Promise<HttpServer> {
  const server = await httpServer(answer);
  servers.push(server);
  return server;
}

function stage(doctors: readonly Doctor[]) {
  let now = 1_000_000;
  const outbox = createOutbox({
    store: memory(),
    doctors,
    policy: {
      deliverAttempts: 5,
      backoffMs: 2000,
      backoffMaxMs: 120_000,
      graceMs: 5000,
      historyMs: 3_600_000,
      deliverMs: 10_000,
    },
    now: () => asInstant(now),
    isLeader: () => true,
    onAnswer: async () => {},
    onParked: () => {},
    onProblem: () => {},
    onStoreError: (error) => {
      throw error;
    },
    yieldTurn: async () => {},
  });
  return {
    ...outbox,
    async beats(count: number) {
      for (let i = 0; i < count; i++) {
        now += 5000;
        outbox.pump();
        await outbox.idle();
      }
    },
  };
}

const idsIn = (bodies: readonly string[]) =>
  bodies.flatMap((body) => (JSON.parse(body) as { events: Change[] }).events.map(({ id }) => id));
const changes = [1, 2, 3].map((n) => serviceChange('node10', n));
const ids = changes.map(({ id }) => id);

test('a webhook that fails three times, then does not, has each batch in order, and the first one four times', async () => {
  const { url, received } = await serve(answering(503, 500, 429, 204));
  const { post, beats, parked } = stage([webhookDoctor({ name: 'hook', url, wire })]);
  for (const change of changes) await post([change]);
  await beats(20);
  expect(idsIn(received.map(({ body }) => body))).toEqual([ids[0], ids[0], ids[0], ...ids]);
  expect(new Set(received.slice(0, 4).map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  expect(await parked()).toEqual([]);
});

test('a webhook that never does keeps what comes of an entity behind its parked batch', async () => {
  const { url, received } = await serve(answering(503));
  const { post, beats, parked } = stage([webhookDoctor({ name: 'hook', url, wire })]);
  for (const change of changes) await post([change]);
  await beats(60);
  expect(idsIn(received.map(({ body }) => body))).toEqual(Array(5).fill(ids[0]));
  expect(await parked()).toMatchObject([
    { keys: ['services/node10'], attempts: 5, code: 'ER0018', message: expect.stringMatching(/answered by 503$/) },
  ]);
});

test('a script that hangs delays no post and no other doctor, and is told again', async () => {
  const { url, received } = await serve(answering(200));
  const file = join(folder, 'told');
  const lines = `if [ -e ${folder}/hung ]; then cat >> ${file}; else touch ${folder}/hung; sleep 60; fi`;
  const script = scriptDoctor({ name: 'script', argv: ['/bin/sh', '-c', lines], wire, deadlineMs: 300 });
  const { post, beats, idle } = stage([script, webhookDoctor({ name: 'hook', url, wire })]);
  const before = performance.now();
  for (const change of changes) await post([change]);
  expect(performance.now() - before).toBeLessThan(200);
  await expect.poll(() => received.length).toBe(3);
  await idle();
  await beats(3);
  expect(idsIn(readFileSync(file, 'utf8').trim().split('\n'))).toEqual(ids);
});
