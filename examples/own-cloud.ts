/**
 * A cloud that nobody else has, as a table of some thirty lines: this one is a small server within the example.
 *
 *   npx tsx examples/own-cloud.ts
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createFleet } from 'fleetbeat';
import { at, bearer, defineRestCloud, listAt, type Secret, secret } from 'fleetbeat/adapters/libcloud';
import { memory } from 'fleetbeat/adapters/memory';

const attic = defineRestCloud<{ readonly url: string; readonly token: Secret }, { readonly plan: string }>(
  'attic',
  ({ url, token }) => ({
    url,
    secrets: [token],
    login: bearer(token),
    list: {
      route: { method: 'GET', path: '/boxes' },
      items: (page) => listAt(page, 'boxes'),
      next: (page, number) => (number < Number(at(page, 'pages')) ? { page: number + 1 } : null),
    },
    read: (box) => ({ id: at(box, 'id'), ips: [at(box, 'ip')], state: at(box, 'mood'), tags: listAt(box, 'tags') ?? [] }),
    states: { awake: 'running', asleep: 'stopped', yawning: 'pending' },
    verbs: {
      start: { method: 'PUT', path: '/boxes/{id}/mood', body: { mood: 'awake' } },
      stop: { method: 'PUT', path: '/boxes/{id}/mood', body: { mood: 'asleep' } },
      reboot: { method: 'POST', path: '/boxes/{id}/shake' },
      terminate: { method: 'DELETE', path: '/boxes/{id}' },
    },
    launch: {
      route: ({ ip, name, tag, settings: { plan } }) => ({
        method: 'POST',
        path: '/boxes',
        body: { name, ip, plan, tags: [tag] },
      }),
    },
    message: (body) => at(body, 'why'),
  }),
);

const boxes = [
  { id: 1, ip: '10.0.0.101', mood: 'awake' },
  { id: 2, ip: '10.0.0.102', mood: 'asleep' },
  { id: 3, ip: '10.0.0.103', mood: 'grumpy' },
];
const server = createServer((_, response) => response.end(JSON.stringify({ boxes, pages: 1 }))).listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;

const cloud = attic({ url: `http://127.0.0.1:${port}`, token: secret('of nobody'), allow: [`127.0.0.1:${port}`] });
await using fleet = createFleet({ drivers: { instances: [cloud] }, store: memory() });
fleet.on('changed', ({ to }) => console.log(`${to.key} at ${to.ip}: ${to.state} (${to.raw})`));
await fleet.beat();
server.close();
server.closeAllConnections();
