import { createHmac } from 'node:crypto';
import { webhookDoctor } from 'fleetbeat/adapters/doctors/webhook';
import { doctorWire } from 'fleetbeat/wire';
import { afterEach, expect, test, vi } from 'vitest';
import { serviceChange } from '../support/changes.ts';
import { answering, type HttpServer, httpServer } from '../support/http-server.ts';
import { freePort } from '../support/server-process.ts';

const never = new AbortController().signal;
const wire = doctorWire({ cloud: 'local' });
const batch = { id: 'b1', changes: [serviceChange('node10', 1)] };
const SECRET = 'a secret of the ops team';
const servers: HttpServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(answer: Parameters<typeof httpServer>[0]): Promise<HttpServer> {
  const server = await httpServer(answer);
  servers.push(server);
  return server;
}

type Options = Omit<Parameters<typeof webhookDoctor>[0], 'name' | 'wire'>;
const deliver = (options: Options, signal = never) => webhookDoctor({ name: 'hook', wire, ...options }).deliver(batch, signal);

test('a webhook gets the seed’s events, and can tell by the signature who sent them and when', async () => {
  const { url, received } = await serve(answering(204));
  await deliver({ url: `${url}/fleet`, secret: SECRET, now: () => 1_700_000_000_999 });
  const [{ path, headers, body } = { path: '', headers: {}, body: '' }] = received;
  expect(path).toBe('/fleet');
  expect(JSON.parse(body)).toMatchObject({
    batch: 'b1',
    events: [{ id: 'e:1:services/node10:0', name: 'node10', state: 'running' }],
  });
  expect(headers).toMatchObject({ 'content-type': 'application/json', 'webhook-id': 'b1', 'webhook-timestamp': '1700000000' });
  const signature = createHmac('sha256', SECRET).update(`b1.1700000000.${body}`).digest('base64');
  expect(headers['webhook-signature']).toBe(`v1,${signature}`);
});

test('a secret after whsec_ is a key in base64', async () => {
  const { url, received } = await serve(answering(200));
  await deliver({ url, secret: `whsec_${Buffer.from(SECRET).toString('base64')}`, now: () => 5000 });
  const signature = createHmac('sha256', SECRET).update(`b1.5.${received[0]?.body}`).digest('base64');
  expect(received[0]?.headers['webhook-signature']).toBe(`v1,${signature}`);
});

test.each([500, 502, 503, 429, 408, 425])('a webhook that answers %i has failed for now', async (status) => {
  const { url } = await serve(answering(status));
  await expect(deliver({ url })).rejects.toMatchObject({ code: 'ER0018', retryable: true, retryAfterMs: 0 });
});

test.each([
  ['120', 120_000],
  ['Thu, 01 Jan 1970 00:01:00 GMT', 59_000],
  ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
  ['soon', 0],
])('a webhook that asks to be left alone for %j is', async (retryAfter, ms) => {
  const { url } = await serve((_, response) => response.writeHead(503, { 'retry-after': retryAfter }).end());
  await expect(deliver({ url, now: () => 1000 })).rejects.toMatchObject({ retryAfterMs: ms });
});

test.each([400, 401, 404, 410, 422])('a webhook that answers %i has failed for good', async (status) => {
  const { url } = await serve(answering(status));
  await expect(deliver({ url })).rejects.toMatchObject({ code: 'ER0221', retryable: false });
});

test.each([301, 302, 307, 308, 304])('a redirect (%i) is an error, and nothing follows it', async (status) => {
  const elsewhere = await serve(answering(200));
  const { url } = await serve((_, response) => response.writeHead(status, { location: elsewhere.url }).end());
  await expect(deliver({ url, secret: SECRET })).rejects.toMatchObject({ code: 'ER0224', retryable: false });
  expect(elsewhere.received).toEqual([]);
});

test('a webhook that does not answer within its deadline has failed for now', async () => {
  const { url } = await serve(() => {});
  await expect(deliver({ url, deadlineMs: 100 })).rejects.toMatchObject({ code: 'ER0212', retryable: true });
});

test('a webhook whose answer does not end within its deadline has failed for now', async () => {
  const { url } = await serve((_, response) => response.write('{'));
  await expect(deliver({ url, deadlineMs: 100, answers: true })).rejects.toMatchObject({ code: 'ER0212', retryable: true });
});

test('a webhook that hangs up has failed for now', async () => {
  const { url } = await serve((_, response) => response.destroy());
  await expect(deliver({ url })).rejects.toMatchObject({ code: 'ER0018', retryable: true });
});

test('a webhook that nobody serves has failed for now', async () => {
  const url = `http://127.0.0.1:${await freePort('127.0.0.1')}`;
  await expect(deliver({ url })).rejects.toMatchObject({
    code: 'ER0018',
    retryable: true,
    detail: expect.stringContaining('ECONNREFUSED'),
  });
});

test('a webhook whose caller gives up is ended', async () => {
  const caller = new AbortController();
  const { url } = await serve(() => caller.abort());
  await expect(deliver({ url }, caller.signal)).rejects.toMatchObject({ code: 'ER0217', retryable: true });
});

test('no error shows a secret, a header, or what stands behind the host', async () => {
  const { url } = await serve((_, response) => response.destroy());
  const error = await deliver({
    url: `${url}/T024/hunter2?k=hunter2`,
    secret: 'hunter2-hunter2-hunter2',
    headers: { authorization: 'hunter2' },
  }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Error);
  expect(JSON.stringify([error, (error as Error).message, (error as Error).stack, (error as Error).cause])).not.toContain(
    'hunter2',
  );
});

test('headers that are said are sent, and none of ours can be replaced', async () => {
  const { url, received } = await serve(answering(200));
  await deliver({ url, headers: { authorization: 'Bearer x', 'webhook-id': 'forged' } });
  expect(received[0]?.headers).toMatchObject({ authorization: 'Bearer x', 'webhook-id': 'b1' });
});

test('a proxy of the environment is not used', async () => {
  const proxy = await serve(answering(200));
  const { url, received } = await serve(answering(200));
  vi.stubEnv('HTTP_PROXY', proxy.url);
  vi.stubEnv('http_proxy', proxy.url);
  vi.stubEnv('ALL_PROXY', proxy.url);
  try {
    await deliver({ url });
  } finally {
    vi.unstubAllEnvs();
  }
  expect(proxy.received).toEqual([]);
  expect(received).toHaveLength(1);
});

const START = '{"level":"services","command":{"action":"start","group":"node10"}}';

test('what a webhook answers acts only where its doctor answers', async () => {
  const { url } = await serve((_, response) => response.end(START));
  expect(await deliver({ url })).toBeUndefined();
  expect(await deliver({ url, answers: true })).toEqual([{ level: 'services', action: 'start', group: 'node10', type: 'all' }]);
});

test('an answer without end is given up, and one that nobody reads does not matter', async () => {
  const { url } = await serve((_, response) => response.end(' '.repeat(2 * 1024 * 1024)));
  await expect(deliver({ url, answers: true })).rejects.toMatchObject({ code: 'ER0223', retryable: false });
  expect(await deliver({ url })).toBeUndefined();
});

test.each([
  'http://169.254.169.254/latest/meta-data',
  'https://169.254.169.254/',
  'https://2852039166/',
  'https://[fe80::1]/',
  'https://[::ffff:169.254.169.254]/',
  'https://[fd00:ec2::254]/',
  'https://[64:ff9b::a9fe:a9fe]/',
  'https://0.0.0.0/',
  'https://224.0.0.1/',
  'http://10.0.0.1/',
  'http://[::]/',
  'ftp://example.com/',
  'file:///etc/passwd',
  'https://user:hunter2@example.com/',
  'no url',
])('the url %j is refused', (url) => {
  const make = () => webhookDoctor({ name: 'hook', url, wire });
  expect(make).toThrow('Configuration error');
  expect(make).not.toThrow('hunter2');
});

test('a secret that can be guessed is refused, and not shown', () => {
  expect(() => webhookDoctor({ name: 'hook', url: 'https://example.com', secret: 'hunter2', wire })).toThrow(/has 7 characters/);
});
