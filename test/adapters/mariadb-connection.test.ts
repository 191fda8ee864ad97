import { type Mariadb, mariadb, secret, servers } from 'fleetbeat/adapters/services/mariadb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SilentServer, silentServer } from '../support/silent-server.ts';

const never = new AbortController().signal;

let server: SilentServer;
let of: Mariadb;
beforeAll(async () => {
  server = await silentServer();
  const settings = mariadb().settings({
    port: server.port,
    monitor: { password: secret('monitors') },
    replication: { password: secret('replicates') },
  });
  of = { name: 'db1', ip: server.host as Mariadb['ip'], mode: 'mariadb', status: 'master', settings };
});
afterAll(() => server.stop());

test('a question to a server that hangs has its end in time, also while others are asked beside it again and again', async () => {
  const from = servers();
  let isOver = false;
  const others = (async () => {
    while (!isOver) await from.ask(of, ['SELECT 1'], 20, never);
  })();
  const answer = await from.ask(of, ['SELECT 1'], 200, never);
  isOver = true;
  await others;
  expect(answer).toMatchObject({ kind: 'unsound', isThere: false });
});
