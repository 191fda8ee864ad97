import { inspect } from 'node:util';
import fc from 'fast-check';
import { isFleetError } from 'fleetbeat';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CODE_TEXTS } from '../../../src/domain/codes.ts';
import { instanceKey, isProviderId, parseIp } from '../../../src/domain/identity.ts';
import { POWERS } from '../../../src/domain/instance.ts';
import { isThorough } from '../../properties/runs.ts';
import type { ApiRequest } from '../../support/clouds/api-server.ts';
import { answeringBadly, type BadAnswer, badAnswers } from '../../support/clouds/bad-answers.ts';
import { callTo, never, want } from '../../support/clouds/calls.ts';
import { CANARY, type FakeCloud } from '../../support/clouds/fake-cloud.ts';
import { FAKES } from '../../support/clouds/fakes.ts';

const RUNS = (isThorough ? 5000 : 200) / FAKES.length;
const DEADLINE_MS = 60;
/** A login, a request, and both again after a 401; then the same for a look at what a refusal means. */
const MOST_MS = 8 * DEADLINE_MS + 5000;
const MOST_BYTES = 65_536;

const isLogin = ({ path }: ApiRequest) => /tokens|sessions/.test(path);
const WHICH = {
  login: isLogin,
  list: (request: ApiRequest) => request.method === 'GET',
  verb: (request: ApiRequest) => request.method !== 'GET' && !isLogin(request),
  all: () => true,
} as const;

const unhandled: unknown[] = [];
const note = (reason: unknown) => unhandled.push(reason);
beforeAll(() => void process.on('unhandledRejection', note));
afterAll(() => void process.off('unhandledRejection', note));

/** Everything that a log could write of it. */
const allOf = (value: unknown): string =>
  `${inspect(value, { depth: 20, showHidden: true })} ${JSON.stringify(value)} ${value instanceof Error ? `${value.message} ${value.stack} ${inspect(value.cause, { depth: 20 })}` : ''}`;

function expectNoSecret(value: unknown): void {
  const text = allOf(value);
  expect(text).not.toContain(CANARY);
  expect(text).not.toContain(Buffer.from(`admin@shop:${CANARY}`).toString('base64'));
}

async function expectWithin<T>(run: () => Promise<T>): Promise<T> {
  const start = performance.now();
  try {
    return await run();
  } finally {
    expect(performance.now() - start).toBeLessThan(MOST_MS);
  }
}

async function tryEverything(cloud: FakeCloud, bad: BadAnswer, which: keyof typeof WHICH): Promise<void> {
  const machine = cloud.add({ ip: '10.0.0.1', state: cloud.words.stopped });
  cloud.add({ ip: '10.0.0.2' });
  cloud.api.intercept(answeringBadly(bad, WHICH[which]));
  const driver = cloud.driver({ deadlineMs: DEADLINE_MS, retries: 1, mostBytes: MOST_BYTES, lookMs: 0 });

  const outcome = await expectWithin(() =>
    driver.observe(want, never).then(
      (reading) => ({ reading }),
      (error: unknown) => ({ error }),
    ),
  );
  expectNoSecret(outcome);
  if ('error' in outcome) {
    if (!isFleetError(outcome.error)) throw outcome.error;
    expect(Object.hasOwn(CODE_TEXTS, outcome.error.code)).toBe(true);
    expect(['ER0220', 'ER0018']).not.toContain(outcome.error.code);
  } else {
    // Half a list must not look as if what stands in the other half were gone.
    if (which === 'list' || which === 'all') expect(NO_LIST).not.toContain(bad.kind);
    const { items, problems } = outcome.reading;
    for (const { id, ip, power } of items) {
      expect(id !== null && isProviderId(id)).toBe(true);
      expect(ip === null || parseIp(ip) === ip).toBe(true);
      expect(power && POWERS.includes(power.state) && power.raw !== '').toBe(true);
    }
    for (const { code, subject, message } of problems)
      expect([Object.hasOwn(CODE_TEXTS, code), subject, message]).not.toContain('');
  }

  const calls = [callTo(instanceKey(cloud.name, machine.id), 'start'), callTo('10.0.0.5', 'launch')];
  const answers = await expectWithin(() => driver.perform(calls, never));
  expectNoSecret(answers);
  expect(answers).toHaveLength(2);
  for (const answer of answers) expect(answer === null || Object.hasOwn(CODE_TEXTS, answer.code)).toBe(true);
  // A launch that may have taken effect is never said not to have.
  const isLaunched = cloud.machines.some(({ tag }) => tag?.startsWith('fleetbeat-'));
  if (isLaunched) expect([undefined, 'ER0220', 'ER0212', ...DEFINITE]).toContain(answers[1]?.code);
  if (isLaunched && bad.kind !== 'anything' && bad.kind !== 'echo' && bad.kind !== 'html' && bad.kind !== 'redirect') {
    expect([undefined, 'ER0220', 'ER0212']).toContain(answers[1]?.code);
  }
  if (!isLaunched && which !== 'verb' && which !== 'all') expect(answers[1]).not.toBeNull();
}

const NO_LIST: readonly BadAnswer['kind'][] = [
  'truncated',
  'cut off',
  'error body',
  'html',
  'redirect',
  'endless',
  'slow',
  'silent',
  'hung up',
];

/** What a server that lies about a call can make us believe: that it has refused it. */
const DEFINITE = ['ER0205', 'ER0206', 'ER0208', 'ER0221', 'ER0224'];

describe.each(FAKES)('whatever %s answers', (_, open) => {
  test('is a reading or a coded error, in time, without a secret, and never an unknown outcome taken for a refusal', async () => {
    const which = fc.constantFrom(...(Object.keys(WHICH) as (keyof typeof WHICH)[]));
    await fc.assert(
      fc.asyncProperty(badAnswers, which, async (bad, meant) => {
        // One of its own, since what was sent before a deadline may still arrive after it.
        const cloud = await open();
        await tryEverything(cloud, bad, meant).finally(() => cloud.close());
      }),
      { numRuns: RUNS },
    );
    await new Promise(setImmediate);
    expect(unhandled).toEqual([]);
  }, 600_000);
});
