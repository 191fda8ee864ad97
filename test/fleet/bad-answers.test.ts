import fc from 'fast-check';
import { asInstant, cached, createFleet, type Driver, type InstanceFacts } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CODE_TEXTS } from '../../src/domain/codes.ts';
import { isThorough } from '../properties/runs.ts';
import { driverFor, type Script, SECRET_KEY, scriptedEc2 } from '../support/aws-mock-scripted.ts';
import { apiServer } from '../support/clouds/api-server.ts';
import { answeringBadly, badAnswers } from '../support/clouds/bad-answers.ts';
import { answerBadly, badEc2Answers, goodEc2Answer } from '../support/clouds/bad-ec2-answers.ts';
import { CANARY, type FakeCloud } from '../support/clouds/fake-cloud.ts';
import { FAKES } from '../support/clouds/fakes.ts';
import { SELF_SIGNED } from '../support/clouds/self-signed.ts';

const never = new AbortController().signal;
const MINUTE = 60_000;
const RUNS = isThorough ? 150 : 5;
/** What the machine may be late by, beside the deadline of a beat. */
const SLACK_MS = 3000;
const MOST_BYTES = 65_536;
/** Of a driver that is to see, and of one that need not. */
const [PATIENT_MS, QUICK_MS] = [10_000, 60];

/** One way in which a cloud can go wrong. */
interface Bad {
  readonly kind: string;
  readonly [detail: string]: unknown;
}

/** A cloud of two machines that can be made to answer badly. */
interface Misbehaving {
  /** @param deadlineMs its own, of each request */
  driver(deadlineMs: number): Driver<InstanceFacts>;
  /** One whose server cannot prove who it is. */
  unproven(url: string, host: string): Driver<InstanceFacts>;
  readonly bads: fc.Arbitrary<Bad>;
  /** How it answers from now on; null: as ever. */
  answer(bad: Bad | null): void;
  close(): Promise<void>;
}

/** A login that is refused is rightly not tried again for a while. */
const isNoLogin = ({ path }: { readonly path: string }) => !/tokens|sessions/.test(path);

async function restCloud(open: () => Promise<FakeCloud>): Promise<Misbehaving> {
  const cloud = await open();
  cloud.add({ ip: '10.0.0.1', state: cloud.words.stopped });
  cloud.add({ ip: '10.0.0.2', state: cloud.words.running });
  const quick = { mostBytes: MOST_BYTES, retries: 1, lookMs: 0 };
  return {
    driver: (deadlineMs) => cloud.driver({ ...quick, deadlineMs }),
    unproven: (url, host) => cloud.driver({ ...quick, deadlineMs: PATIENT_MS, url, authUrl: url, allow: [host] }),
    bads: badAnswers as unknown as fc.Arbitrary<Bad>,
    answer: (bad) =>
      cloud.api.intercept(bad && answeringBadly(bad as unknown as Parameters<typeof answeringBadly>[0], isNoLogin)),
    close: () => cloud.close(),
  };
}

async function ec2Cloud(): Promise<Misbehaving> {
  let script: Script = goodEc2Answer;
  const server = await scriptedEc2((request, response) => script(request, response));
  const quick = { mostBytes: MOST_BYTES, random: () => 0, clock: { now: () => performance.now(), sleep: async () => {} } };
  return {
    driver: (deadlineMs) => driverFor(server, { ...quick, deadlineMs }),
    unproven: (endpoint) => driverFor({ endpoint }, { ...quick, deadlineMs: PATIENT_MS }),
    bads: badEc2Answers as unknown as fc.Arbitrary<Bad>,
    answer(bad) {
      script = bad
        ? (request, response) => answerBadly(bad as unknown as Parameters<typeof answerBadly>[0], request, response)
        : goodEc2Answer;
    },
    close: () => server.close(),
  };
}

/** What may be read, if badly: words that are others than they were, in an answer that is whole. */
const READABLE = ['other types', 'other text', 'echo', 'echo within', 'anything', 'inflated', 'no token'];

/** Each kind at least once, whatever is drawn. */
const EACH: Readonly<Record<'rest' | 'ec2', readonly Bad[]>> = {
  rest: [
    { kind: 'truncated', part: 500 },
    { kind: 'cut off', part: 500 },
    { kind: 'other types', at: 0, value: {} },
    { kind: 'error body' },
    { kind: 'html', status: 200 },
    { kind: 'redirect', status: 302, location: 'http://169.254.169.254/latest/meta-data' },
    { kind: 'endless' },
    { kind: 'slow' },
    { kind: 'silent' },
    { kind: 'hung up' },
  ],
  ec2: [
    { kind: 'truncated', part: 500 },
    { kind: 'cut off', part: 500 },
    { kind: 'other text', at: 0, text: '{}' },
    { kind: 'error body' },
    { kind: 'html', status: 200 },
    { kind: 'redirect', status: 302, location: 'http://169.254.169.254/latest/meta-data' },
    { kind: 'endless' },
    { kind: 'slow' },
    { kind: 'silent' },
    { kind: 'hung up' },
  ],
};

/** A fleet that has seen its cloud well, six minutes ago. */
async function seenWell(first: Driver<InstanceFacts>, observeMs: number) {
  let driver = first;
  let now = 1_000_000;
  const clock = () => asInstant(now);
  const cloud = cached({ ...first, observe: (want, signal) => driver.observe(want, signal) }, memory({ now: clock }));
  const fleet = createFleet({
    drivers: { instances: [cloud] },
    store: memory({ now: clock }),
    now: clock,
    policy: { observeMs },
  });
  const blind: { readonly code: string; readonly message: string }[] = [];
  const problems: unknown[] = [];
  fleet.on('blind', (why) => blind.push(why));
  fleet.on('problem', (problem) => problems.push(problem));
  await fleet.beat();
  const seen = fleet.views();
  expect(seen.map(({ state }) => state).sort()).toEqual(['pending', 'stopped']);
  expect([blind, problems]).toEqual([[], []]);
  const pass = (ms: number) => {
    now += ms;
  };
  pass(6 * MINUTE);
  const use = (next: Driver<InstanceFacts>) => {
    driver = next;
  };
  return { fleet, cloud, seen, blind, problems, clock, pass, use };
}

async function beatInTime({ beat }: { readonly beat: () => Promise<unknown> }, observeMs: number): Promise<void> {
  const start = performance.now();
  await beat();
  expect(performance.now() - start).toBeLessThan(observeMs + SLACK_MS);
}

type Stage = Awaited<ReturnType<typeof seenWell>>;

/** All that was seen is as it was, and says how old it is. */
async function expectKept({ fleet, cloud, seen, blind, clock }: Stage): Promise<void> {
  expect(fleet.views()).toEqual(seen);
  expect(blind).toHaveLength(1);
  expect(Object.hasOwn(CODE_TEXTS, blind[0]?.code ?? '')).toBe(true);
  const kept = await cloud.get({ now: clock(), maxAgeMs: Number.POSITIVE_INFINITY }, never);
  expect(kept.ageMs).toBe(6 * MINUTE);
  expect(kept.value.items.map(({ id, ip }) => [id, ip])).toEqual(seen.map(({ name, ip }) => [name, ip]));
  expect(await cloud.lookUp(seen[0]?.name ?? '', clock())).toMatchObject({ ageMs: 6 * MINUTE });
}

const CLOUDS: readonly (readonly [name: string, open: () => Promise<Misbehaving>, each: readonly Bad[]])[] = [
  ['ec2', ec2Cloud, EACH.ec2],
  ...FAKES.map(([name, open]) => [name, () => restCloud(open), EACH.rest] as const),
];

describe.each(CLOUDS)('a fleet whose %s answers badly', (_, open, each) => {
  let api: Misbehaving;
  beforeAll(async () => {
    api = await open();
  });
  afterAll(() => api.close());

  test('keeps what it has seen last with its age, in time, and sees again afterwards', async () => {
    await fc.assert(
      fc.asyncProperty(api.bads, async (bad) => {
        api.answer(null);
        const stage = await seenWell(api.driver(PATIENT_MS), PATIENT_MS);
        const { fleet, seen, blind, problems, clock, pass } = stage;
        await using _ = fleet;
        api.answer(bad);
        // A login, and three tries of one request.
        stage.use(api.driver(QUICK_MS));
        await beatInTime(fleet, 4 * QUICK_MS);
        if (!READABLE.includes(bad.kind)) await expectKept(stage);
        // What is listed in other words is at least not gone.
        const keys = fleet.views().map(({ key }) => key);
        for (const { key } of seen) expect(keys).toContain(key);
        expect(fleet.views().some(({ gone }) => gone)).toBe(false);
        expect(JSON.stringify([blind, problems, fleet.views()])).not.toMatch(new RegExp(`${CANARY}|${SECRET_KEY}`));

        api.answer(null);
        stage.use(api.driver(PATIENT_MS));
        pass(6 * MINUTE);
        await fleet.beat();
        const again = fleet.views().filter(({ key }) => seen.some((one) => one.key === key));
        expect(again.map(({ state, ip }) => [state, ip])).toEqual(seen.map(({ state, ip }) => [state, ip]));
        expect(again.map(({ readAt }) => readAt)).toEqual(seen.map(() => clock()));
      }),
      { numRuns: RUNS + each.length, examples: each.map((bad) => [bad]) },
    );
  }, 600_000);

  test('does not wait for an answer longer than its beat may take, whatever the driver would', async () => {
    const driver = api.driver(6 * PATIENT_MS);
    for (const kind of isThorough ? ['silent', 'slow'] : ['silent']) {
      api.answer(null);
      // What is logged in already sees in time.
      await driver.observe({ now: asInstant(0), maxAgeMs: 0 }, never);
      const stage = await seenWell(driver, 500);
      await using _ = stage.fleet;
      api.answer({ kind });
      await beatInTime(stage.fleet, 500);
      await expectKept(stage);
      expect(stage.blind).toMatchObject([{ code: 'ER0212' }]);
    }
  });

  test('keeps what it has seen last where the server cannot prove who it is', async () => {
    api.answer(null);
    const impostor = await apiServer(() => ({ body: {} }), SELF_SIGNED);
    const stage = await seenWell(api.driver(PATIENT_MS), PATIENT_MS);
    await using _ = stage.fleet;
    stage.use(api.unproven(impostor.url, impostor.host));
    await beatInTime(stage.fleet, 0);
    await expectKept(stage);
    expect(stage.blind[0]?.message).toMatch(/SELF_SIGNED|UNABLE|CERT|ALTNAME/);
    expect(impostor.received).toEqual([]);
    await impostor.close();
  });
});
