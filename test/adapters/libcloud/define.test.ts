import { at, bearer, defineRestCloud, listAt, queryOf, type Secret, secret, textAt } from 'fleetbeat/adapters/libcloud';
import { afterEach, expect, test } from 'vitest';
import { asToken } from '../../../src/domain/identity.ts';
import { type ApiServer, apiServer } from '../../support/clouds/api-server.ts';
import { callTo, never, want } from '../../support/clouds/calls.ts';

/** A cloud in some forty lines, as a user would write it. */
const attic = defineRestCloud<{ readonly url: string; readonly token: Secret }, { readonly plan: string }>(
  'attic',
  ({ url, token }) => ({
    url,
    secrets: [token],
    login: bearer(token),
    list: {
      route: { method: 'GET', path: '/boxes' },
      items: (page) => listAt(page, 'boxes'),
      next: (page) => queryOf(at(page, 'next')),
    },
    read: (box) => ({
      id: at(box, 'id'),
      ips: [at(box, 'net', 'ip')],
      state: textAt(box, 'mood'),
      tags: listAt(box, 'tags') ?? [],
    }),
    states: { awake: 'running', asleep: 'stopped' },
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

const servers: ApiServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(...answer: Parameters<typeof apiServer>): Promise<ApiServer> {
  const server = await apiServer(...answer);
  servers.push(server);
  return server;
}

const PAGES: Readonly<Record<string, unknown>> = {
  '1': { boxes: [{ id: 1, net: { ip: '10.0.0.1' }, mood: 'awake' }], next: 'https://elsewhere.example/x?page=2' },
  '2': { boxes: [{ id: 'b', net: { ip: '10.0.0.2' }, mood: 'grumpy' }, null], next: null },
};

test('a cloud of one’s own is a table', async () => {
  const api = await serve(({ method, query }) =>
    method === 'GET' ? { body: PAGES[query.get('page') ?? '1'] } : { status: 204 },
  );
  const driver = attic({
    url: api.url,
    token: secret('a token'),
    allow: [api.host],
    launch: { plan: 'small', byIp: { '10.0.0.9': { plan: 'big' } } },
  });
  expect(await driver.observe(want, never)).toEqual({
    items: [
      { cloud: 'attic', id: '1', ip: '10.0.0.1', readAt: 1000, power: { state: 'running', raw: 'awake' } },
      { cloud: 'attic', id: 'b', ip: '10.0.0.2', readAt: 1000, power: { state: 'unknown', raw: 'grumpy' } },
    ],
    readAt: 1000,
    complete: false,
    problems: [{ subject: 'attic', code: 'ER0222', message: expect.stringContaining('without an id') }],
  });
  expect(
    await driver.perform([callTo('10.0.0.1', 'stop'), callTo('10.0.0.2', 'terminate', { token: asToken('t2') })], never),
  ).toEqual([null, null]);
  const sent = api.received.filter(({ method }) => method !== 'GET').map(({ method, path, body }) => `${method} ${path} ${body}`);
  expect(sent.sort()).toEqual(['DELETE /boxes/b ', 'PUT /boxes/1/mood {"mood":"asleep"}']);
  expect(api.received.every(({ headers }) => headers.authorization === 'Bearer a token')).toBe(true);
});

test('a table that throws at what it reads makes a problem of it', async () => {
  const api = await serve(() => ({ body: { boxes: [1, { id: 'a' }] } }));
  const fragile = defineRestCloud<{ readonly url: string }>('fragile', ({ url }) => ({
    url,
    secrets: [],
    login: async () => ({ headers: {} }),
    list: { route: { method: 'GET', path: '/' }, items: (page) => listAt(page, 'boxes') },
    read: (box) => ({ id: (box as { id: string }).id.toUpperCase(), ips: [], state: 'on' }),
    states: { on: 'running' },
    verbs: {
      start: { method: 'POST', path: '/{id}' },
      stop: { method: 'POST', path: '/{id}' },
      reboot: { method: 'POST', path: '/{id}' },
      terminate: { method: 'POST', path: '/{id}' },
    },
  }));
  const driver = fragile({ url: api.url, allow: [api.host] });
  expect(await driver.observe(want, never)).toMatchObject({
    items: [{ id: 'A' }],
    complete: false,
    problems: [{ code: 'ER0222' }],
  });
  expect(await driver.perform([callTo('10.0.0.1', 'launch')], never)).toMatchObject([{ code: 'ER0229' }]);
});

test('what is looked for in an answer is found, or is not there', () => {
  const answer = JSON.parse('{"a":{"b":[1]},"text":"x","__proto__":{"hidden":1}}');
  expect([at(answer, 'a', 'b'), listAt(answer, 'a', 'b'), textAt(answer, 'text')]).toEqual([[1], [1], 'x']);
  expect([at(answer, 'a', 'c', 'd'), at(null, 'a'), at('text', 'length'), at(answer, 'toString')]).toEqual(
    Array(4).fill(undefined),
  );
  expect([listAt(answer, 'text'), textAt(answer, 'a'), at({}, '__proto__')]).toEqual([null, undefined, undefined]);
});

test('of a link to the next page only its query is used', () => {
  expect(queryOf('https://elsewhere.example/x?marker=a%20b&limit=2#y')).toEqual({ marker: 'a b', limit: '2' });
  expect(queryOf('?page=2')).toEqual({ page: '2' });
  expect([queryOf(undefined), queryOf(null), queryOf(7), queryOf('http://[')]).toEqual(Array(4).fill(null));
});
