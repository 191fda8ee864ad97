import { once } from 'node:events';
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
  callTo,
  describeAnswer,
  driverFor,
  KEY_ID,
  type Script,
  type ScriptedEc2,
  SECRET_KEY,
  scriptedEc2,
  want,
} from '../support/aws-mock-scripted.ts';
import {
  answerBadly,
  type BadEc2Answer,
  badEc2Answers,
  goodEc2Answer,
  HTML,
  pourXml,
} from '../support/clouds/bad-ec2-answers.ts';
import { SELF_SIGNED } from '../support/clouds/self-signed.ts';
import { loopback } from '../support/loopback.ts';

const never = new AbortController().signal;
const RUNS = isThorough ? 5000 : 50;
/** Each makes a client of the SDK, and many wait for their deadline. */
const ALL_MS = 3 * PATIENCE_MS;
const DEADLINE_MS = 80;
/** A read is tried three times within one deadline; on a machine that is busy, each step of it takes its time. */
const MOST_MS = DEADLINE_MS + 5000;
const SESSION_TOKEN = 'canary-session-token-IQoJb3JpZ2luX2VjE';
const USER_DATA = '#cloud-config\npassword: canary-user-data & <more>';
const CANARIES = [SECRET_KEY, SESSION_TOKEN, USER_DATA, Buffer.from(USER_DATA).toString('base64'), 'canary-user-data'];

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

  const connect = (deadlineMs = 10_000) =>
    driverFor(server, {
      deadlineMs,
      mostBytes: 1_000_000,
      random: () => 0,
      credentials: { accessKeyId: KEY_ID, secretAccessKey: secret(SECRET_KEY), sessionToken: secret(SESSION_TOKEN) },
      launch: { imageId: 'ami-1', userData: secret(USER_DATA) },
      clock: { now: () => performance.now(), sleep: async () => {} },
    });

  async function tryReading(bad: BadEc2Answer): Promise<void> {
    const driver = connect(DEADLINE_MS);
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

  async function tryCalls(bad: BadEc2Answer): Promise<void> {
    const driver = connect(DEADLINE_MS);
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
        fc.asyncProperty(badEc2Answers, fc.boolean(), async (bad, isReading) => {
          server.forget();
          script = (request, response) => answerBadly(bad, request, response);
          await (isReading ? tryReading(bad) : tryCalls(bad));
          expect(({} as Record<string, unknown>).instanceId).toBeUndefined();
        }),
        { numRuns: RUNS, interruptAfterTimeLimit: ALL_MS, markInterruptAsFailure: true },
      );
      expect(unhandled).toEqual([]);
    },
    ALL_MS + PATIENCE_MS,
  );

  test('does no harm to what is read afterwards', async () => {
    script = () => HTML;
    const driver = connect();
    await expect(driver.observe(want, never)).rejects.toMatchObject({ code: 'ER0235' });
    script = goodEc2Answer;
    expect((await driver.observe(want, never)).items.length).toBe(2);
  });

  test('without an end is read no further than it may be', async () => {
    script = (_, response) => void pourXml(response);
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
