import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { secret } from 'fleetbeat/adapters/ec2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CODE_TEXTS, type KnownCode } from '../../src/domain/codes.ts';
import { isProviderId, parseIp } from '../../src/domain/identity.ts';
import { POWERS } from '../../src/domain/instance.ts';
import { isFleetError } from '../../src/errors.ts';
import { isThorough, PATIENCE_MS } from '../properties/runs.ts';
import {
  answerOf,
  callTo,
  changesAnswer,
  describeAnswer,
  driverFor,
  instanceXml,
  KEY_ID,
  type QueryRequest,
  type Script,
  type ScriptedEc2,
  SECRET_KEY,
  scriptedEc2,
  valuesOf,
  want,
} from '../support/aws-mock-scripted.ts';
import { SELF_SIGNED } from '../support/clouds/self-signed.ts';
import { loopback } from '../support/loopback.ts';

const never = new AbortController().signal;
const RUNS = isThorough ? 1000 : 50;
const DEADLINE_MS = 80;
/** A read is tried three times within one deadline; on a machine that is busy, each step of it takes its time. */
const MOST_MS = DEADLINE_MS + 5000;
const SESSION_TOKEN = 'canary-session-token-IQoJb3JpZ2luX2VjE';
const USER_DATA = '#cloud-config\npassword: canary-user-data & <more>';
const CANARIES = [SECRET_KEY, SESSION_TOKEN, USER_DATA, Buffer.from(USER_DATA).toString('base64'), 'canary-user-data'];

/** What can be wrong with an answer. */
type Bad =
  | { readonly kind: 'truncated' | 'cut off'; readonly part: number }
  | { readonly kind: 'other text'; readonly at: number; readonly text: string }
  | { readonly kind: 'anything'; readonly status: number; readonly text: string }
  | { readonly kind: 'echo' | 'html'; readonly status: number }
  | { readonly kind: 'redirect'; readonly status: number; readonly location: string }
  | { readonly kind: 'error body' | 'echo within' | 'endless' | 'slow' | 'silent' | 'hung up' };

const status = fc.constantFrom(200, 201, 204, 400, 401, 403, 404, 413, 429, 500, 502, 503);
const traps = fc.constantFrom(
  '<__proto__><constructor>1</constructor></__proto__>',
  '<item><__proto__><instanceId>i-1</instanceId></__proto__></item>',
  '<item/>'.repeat(500),
  '<a>'.repeat(20_000),
  '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>',
  '&#0;&#x110000;&nbsp;',
  '<item><instanceId>../../x</instanceId></item>',
  '{"Reservations":[]}',
  '',
);
const bads: fc.Arbitrary<Bad> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('truncated', 'cut off'), part: fc.nat(990) }) },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('other text'), at: fc.nat(99), text: fc.oneof(traps, fc.string()) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('anything'), status, text: fc.oneof(traps, fc.string()) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('echo', 'html'), status }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('redirect'),
      status: fc.constantFrom(300, 301, 302, 303, 307, 308),
      location: fc.constantFrom('http://169.254.169.254/latest/meta-data', 'file:///etc/passwd', '//[fd00:ec2::254]/'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('error body', 'echo within', 'hung up') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('endless', 'slow', 'silent') }) },
) as fc.Arbitrary<Bad>;

const HTML = '<!DOCTYPE html><html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>';
const ERROR = '<Response><Errors><Error><Code>InternalError</Code><Message>out of order</Message></Error></Errors></Response>';

const INSTANCES = [
  { id: 'i-1', ip: '10.0.0.1', state: 'stopped', clientToken: 'c-1' },
  { id: 'i-2', ip: '10.0.0.2', state: 'running' },
];

function goodAnswer({ action, form }: QueryRequest): string {
  if (action === 'DescribeInstances') return describeAnswer(INSTANCES);
  if (action === 'RunInstances')
    return answerOf(action, `<instancesSet>${instanceXml({ id: 'i-5', ip: '10.0.0.5' })}</instancesSet>`);
  return changesAnswer(action, valuesOf(form, 'InstanceId'));
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const echoOf = ({ headers, form }: QueryRequest) =>
  escaped(`${JSON.stringify(headers)} ${form} ${form.get('UserData')} ${Buffer.from(form.get('UserData') ?? '', 'base64')}`);

function answerBadly(bad: Bad, request: QueryRequest, response: ServerResponse): string | undefined {
  const good = goodAnswer(request);
  const partOf = (part: number) => good.slice(0, Math.floor((good.length * part) / 1000));
  switch (bad.kind) {
    case 'truncated':
      return partOf(bad.part);
    case 'cut off':
      response.setHeader('content-length', good.length);
      response.write(partOf(bad.part) || '<', () => response.destroy());
      return undefined;
    case 'other text':
      return withOther(good, bad.at, bad.text);
    case 'anything':
      response.statusCode = bad.status;
      return bad.text;
    case 'html':
      response.statusCode = bad.status;
      return HTML;
    case 'echo':
      response.statusCode = bad.status;
      return ERROR.replace('out of order', () => echoOf(request)).replace('InternalError', () =>
        bad.status < 404 ? echoOf(request) : 'Echo',
      );
    case 'echo within':
      return good.replace('>stopped<', () => `>${echoOf(request)}<`).replace('>10.0.0.2<', () => `>${echoOf(request)}<`);
    case 'error body':
      return ERROR;
    case 'redirect':
      response.writeHead(bad.status, { location: bad.location });
      return '';
    case 'hung up':
      response.destroy();
      return undefined;
    case 'silent':
      return undefined;
    case 'endless':
      pour(response);
      return undefined;
    case 'slow':
      drip(response, good);
      return undefined;
  }
}

/** The content of one element is another. */
function withOther(text: string, at: number, other: string): string {
  const contents = [...text.matchAll(/(?<=<(\w+)[^<>]*>)[^<>]+(?=<\/\1>)/g)];
  const chosen = contents[at % contents.length];
  return chosen ? text.slice(0, chosen.index) + other + text.slice(chosen.index + chosen[0].length) : text;
}

const CHUNK = '<item>'.repeat(4096);

function pour(response: ServerResponse): void {
  if (!response.destroyed) response.write(CHUNK, () => setImmediate(pour, response));
}

function drip(response: ServerResponse, text: string): void {
  let at = 0;
  const timer = setInterval(() => {
    if (response.destroyed) clearInterval(timer);
    else response.write(text[at++ % text.length] ?? ' ');
  }, 5);
}

/** Everything that a log could write of it. */
const allOf = (value: unknown): string =>
  `${inspect(value, { depth: 20, showHidden: true })} ${JSON.stringify(value)} ${
    value instanceof Error ? `${value.message} ${value.stack} ${inspect(value.cause, { depth: 20, showHidden: true })}` : ''
  }`;

function expectNoSecret(value: unknown, server: ScriptedEc2): void {
  const text = allOf(value);
  for (const canary of CANARIES) expect(text).not.toContain(canary);
  for (const { headers } of server.requests) {
    const signature = /Signature=(\w+)/.exec(String(headers.authorization))?.[1];
    if (signature !== undefined) expect(text).not.toContain(signature);
  }
}

const isOurs = (code: string): code is KnownCode => Object.hasOwn(CODE_TEXTS, code);

async function within<T>(run: () => Promise<T>): Promise<T> {
  const start = performance.now();
  try {
    return await run();
  } finally {
    expect(performance.now() - start).toBeLessThan(MOST_MS);
  }
}

const unhandled: unknown[] = [];
const note = (reason: unknown) => unhandled.push(reason);
beforeAll(() => void process.on('unhandledRejection', note));
afterAll(() => void process.off('unhandledRejection', note));

describe('an EC2 that answers badly', () => {
  let script: Script;
  let server: ScriptedEc2;
  beforeAll(async () => {
    server = await scriptedEc2((request, response) => script(request, response));
  });
  afterAll(() => server.close());

  const connect = () =>
    driverFor(server, {
      deadlineMs: DEADLINE_MS,
      mostBytes: 1_000_000,
      random: () => 0,
      credentials: { accessKeyId: KEY_ID, secretAccessKey: secret(SECRET_KEY), sessionToken: secret(SESSION_TOKEN) },
      launch: { imageId: 'ami-1', userData: secret(USER_DATA) },
      clock: { now: () => performance.now(), sleep: async () => {} },
    });

  async function tryReading(bad: Bad): Promise<void> {
    const driver = connect();
    const outcome = await within(() =>
      driver.observe(want, never).then(
        (reading) => ({ reading }),
        (error: unknown) => ({ error }),
      ),
    );
    expectNoSecret('error' in outcome ? outcome.error : outcome, server);
    if ('error' in outcome) {
      if (!isFleetError(outcome.error)) throw outcome.error;
      expect(isOurs(outcome.error.code)).toBe(true);
      expect(outcome.error.cause).toBeInstanceOf(Error);
    } else {
      const { items, problems } = outcome.reading;
      // Half an answer must not look as if what stands in the other half were gone.
      expect(['other text', 'echo within', 'anything', 'slow']).toContain(bad.kind);
      expect(JSON.parse(JSON.stringify(outcome.reading))).toEqual(outcome.reading);
      for (const { id, ip, power } of items) {
        expect(id !== null && isProviderId(id)).toBe(true);
        expect(ip === null || parseIp(ip) === ip).toBe(true);
        expect(power && POWERS.includes(power.state) && power.raw !== '').toBe(true);
      }
      for (const { code, subject, message } of problems)
        expect([isOurs(code), subject !== '', message !== '']).toEqual([true, true, true]);
    }
  }

  async function tryCalls(bad: Bad): Promise<void> {
    const driver = connect();
    const calls = [callTo('i-1', 'start'), callTo('i-2', 'stop'), callTo('10.0.0.5', 'launch'), callTo('i-2', 'reboot')];
    const answers = await within(() => driver.perform(calls, never));
    expectNoSecret(answers, server);
    expect(answers.length).toBe(calls.length);
    for (const answer of answers) {
      if (answer === null) expect(['other text', 'echo within', 'slow']).toContain(bad.kind);
      else expect([isOurs(answer.code), answer.subject !== '', answer.message !== '']).toEqual([true, true, true]);
    }
  }

  test(
    'is told by a coded error or by problems, in time, and without a secret',
    async () => {
      await fc.assert(
        fc.asyncProperty(bads, fc.boolean(), async (bad, isReading) => {
          server.forget();
          script = (request, response) => answerBadly(bad, request, response);
          await (isReading ? tryReading(bad) : tryCalls(bad));
          expect(({} as Record<string, unknown>).instanceId).toBeUndefined();
        }),
        { numRuns: RUNS, interruptAfterTimeLimit: PATIENCE_MS, markInterruptAsFailure: true },
      );
      expect(unhandled).toEqual([]);
    },
    2 * PATIENCE_MS,
  );

  test('does no harm to what is read afterwards', async () => {
    script = () => HTML;
    const driver = connect();
    await expect(driver.observe(want, never)).rejects.toMatchObject({ code: 'ER0235' });
    script = goodAnswer;
    expect((await driver.observe(want, never)).items.length).toBe(2);
  });

  test('without an end is read no further than it may be', async () => {
    script = (_, response) => void pour(response);
    const driver = driverFor(server, { mostBytes: 200_000 });
    await expect(driver.observe(want, never)).rejects.toMatchObject({
      code: 'ER0223',
      message: expect.stringMatching(/200000 bytes/),
    });
    const [answer] = await driver.perform([callTo('i-1', 'start')], never);
    expect(answer?.code).toBe('ER0220');
  });

  test('by a redirect is not followed', async () => {
    const asked: string[] = [];
    const elsewhere = await scriptedEc2(({ action }) => {
      asked.push(action);
      return describeAnswer([]);
    });
    script = (_, response) => {
      response.writeHead(307, { location: elsewhere.endpoint });
      return '';
    };
    await expect(connect().observe(want, never)).rejects.toMatchObject({
      code: 'ER0235',
      message: expect.stringMatching(/redirect/),
    });
    await elsewhere.close();
    expect(asked).toEqual([]);
  });
});

describe('an EC2 whose certificate nobody vouches for', () => {
  test('is sent nothing', async () => {
    let requests = 0;
    const server = createServer(SELF_SIGNED, (_, response) => {
      requests++;
      response.end();
    });
    server.listen(0, loopback(67));
    await once(server, 'listening');
    const { address, port } = server.address() as AddressInfo;
    const driver = driverFor({ endpoint: `https://${address}:${port}` });
    await expect(driver.observe(want, never)).rejects.toMatchObject({
      code: 'ER0235',
      message: expect.stringMatching(/SELF_SIGNED|UNABLE|ALTNAME/),
    });
    expect((await driver.perform([callTo('i-1', 'start')], never))[0]?.code).toBe('ER0221');
    expect([requests, driver.calls]).toEqual([0, []]);
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
});
