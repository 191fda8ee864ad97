import assert from 'node:assert/strict';
import type { Call, Driver, PermittedCall } from '../contracts.ts';
import { OK } from '../domain/codes.ts';
import type { Problem, Reading } from '../domain/heartbeat.ts';
import { asInstant, asToken, type Instant, isName, type Token } from '../domain/identity.ts';
import { type InstanceFacts, POWERS } from '../domain/instance.ts';
import { ROLES, SERVICE_RUNGS, type ServiceFacts } from '../domain/service.ts';

type Facts = InstanceFacts | ServiceFacts;

/** A driver of instances or of services, made ready for its checks. */
export interface DriverUnderTest {
  readonly driver: Driver<Facts>;
  /** The clock that stands in for the fleet's, in milliseconds. */
  readonly now: () => Instant;
  readonly subjects: {
    /** Calls that are legal at once, each about another subject and each changing something. */
    readonly legal: readonly [Call, Call, ...Call[]];
    /** A call about something that does not exist. */
    readonly unknown: Call;
  };
  /** Lets `ms` milliseconds pass, where the clock does not go by itself. */
  readonly advance?: (ms: number) => void | Promise<void>;
  /** How many calls with this token have taken effect; without it, nothing that counts effects is checked. */
  readonly applied?: (token: Token) => number | Promise<number>;
  /** Makes one subject impossible to read, and no other; without it, that is not checked. */
  readonly failOne?: () => void | Promise<void>;
  readonly close?: () => void | Promise<void>;
}

/** One rule of the contract. `open` gives a driver that nobody has acted on, with its subjects as they are at first. */
export interface DriverCheck {
  readonly name: string;
  /** Rejects with an AssertionError that says what was violated. */
  run(open: () => Promise<DriverUnderTest>): Promise<void>;
}

const check = (name: string, body: (under: DriverUnderTest) => Promise<void>): DriverCheck => ({
  name,
  async run(open) {
    const under = await open();
    try {
      await body(under);
    } finally {
      await under.close?.();
    }
  },
});

/** A rule about what is read, both of the subjects as they are at first and while the legal calls take effect. */
const readingCheck = (name: string, body: (reading: Reading<Facts>) => void): DriverCheck =>
  check(name, async (under) => {
    body(await read(under));
    await perform(under, under.subjects.legal.map(permitted));
    await under.advance?.(SOME_TIME_MS);
    body(await read(under));
  });

const SOME_TIME_MS = 1000;
const PROMPT_MS = 1000;

const never = () => new AbortController().signal;

const read = ({ driver, now }: DriverUnderTest) => driver.observe({ now: now(), maxAgeMs: 0 }, never());

const perform = ({ driver }: DriverUnderTest, calls: readonly PermittedCall[]) => driver.perform(calls, never());

const freshToken = (): Token => asToken(`contract-${crypto.randomUUID()}`);

const permitted = (call: Call): PermittedCall => ({ call, permit: { token: freshToken(), fence: 1, valid: () => true } });

const isInstance = (facts: Facts): facts is InstanceFacts => 'cloud' in facts;

const nameOf = (facts: Facts): string => (isInstance(facts) ? (facts.id ?? `ip ${facts.ip}`) : facts.name);

async function rejectsPromptly(what: string, running: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, PROMPT_MS, 'late');
  });
  const ending = await Promise.race([
    running.then(
      () => 'resolved',
      () => 'rejected',
    ),
    late,
  ]);
  clearTimeout(timer);
  assert.equal(ending, 'rejected', `${what} under an aborted signal must reject at once`);
}

function assertProblem(answer: Problem | null | undefined, about: string): void {
  assert(answer, `${about} must be answered with a problem, found ${JSON.stringify(answer)}`);
  assert(answer.subject !== '' && answer.message !== '', `the problem of ${about} must name its subject and say what is wrong`);
  assert(/^[0-9A-Z]{6}$/.test(answer.code) && answer.code !== OK, `'${answer.code}' is no code of a problem`);
}

/**
 * What every {@link Driver} must do, as data, for any test runner. Each check opens a driver of its own and acts on it.
 *
 * @example
 * ```ts
 * for (const { name, run } of driverContract) {
 *   test(name, () =>
 *     run(async () => ({
 *       driver: myCloud({ endpoint }),
 *       now: () => asInstant(Date.now()),
 *       subjects: { legal: [start('10.0.0.1'), stop('10.0.0.2')], unknown: start('10.0.0.99') },
 *     })));
 * }
 * ```
 */
export const driverContract: readonly DriverCheck[] = [
  check('a driver has a name and an interval', async ({ driver }) => {
    assert(isName(driver.name), `'${driver.name}' is no name: letters, digits, . _ - are allowed`);
    assert(driver.everyMs > 0, `everyMs is ${driver.everyMs}; more than 0 is allowed`);
  }),

  check('a reading is dated with the instant at which it began', async (under) => {
    const { driver, now, advance } = under;
    const first = now();
    const reading = await driver.observe({ now: first, maxAgeMs: 0 }, never());
    assert.equal(reading.readAt, first, 'readAt is the `now` of the read');
    await advance?.(SOME_TIME_MS);
    const second = asInstant(Math.max(now(), first + 1));
    const later = await driver.observe({ now: second, maxAgeMs: 0 }, never());
    assert.equal(later.readAt, second, 'a new read, asked for with maxAgeMs 0, has its own readAt');
    for (const item of later.items) assert.equal(item.readAt, second, `${nameOf(item)} carries the readAt of its reading`);
  }),

  readingCheck('a reading lists each subject once', ({ items }) => {
    const names = items.map(nameOf);
    assert.deepEqual(names, [...new Set(names)]);
  }),

  readingCheck('a reading is plain JSON', (reading) => {
    assert.deepEqual(JSON.parse(JSON.stringify(reading)), reading);
  }),

  readingCheck('all instances of a reading are of one cloud', ({ items }) => {
    const clouds = new Set(items.filter(isInstance).map(({ cloud }) => cloud));
    assert(clouds.size <= 1, `found the clouds ${[...clouds].join(', ')}`);
  }),

  readingCheck('every power is one of our words beside the word of the provider', ({ items }) => {
    for (const { id, power } of items.filter(isInstance)) {
      if (!power) continue;
      assert(POWERS.includes(power.state), `${id} is '${power.state}'; allowed are ${POWERS.join(', ')}`);
      assert(power.raw !== '', `${id} has no word of its provider`);
    }
  }),

  readingCheck('every service has a code, and rungs and a role in our words', ({ items }) => {
    for (const item of items) {
      if (isInstance(item)) continue;
      assert.match(item.code, /^[0-9A-Z]{6}$/, `${item.name}: a code has six characters`);
      for (const [rung, holds] of Object.entries(item.holds)) {
        assert(
          SERVICE_RUNGS.some((known) => known === rung),
          `${item.name} holds '${rung}'; allowed are ${SERVICE_RUNGS.join(', ')}`,
        );
        assert.equal(typeof holds, 'boolean', `${item.name}: '${rung}' is true or false, or missing where it cannot be known`);
      }
      if (item.role !== undefined)
        assert(ROLES.includes(item.role), `${item.name} is '${item.role}'; allowed are ${ROLES.join(', ')}`);
    }
  }),

  check('a subject that cannot be read is told and not thrown, and hides no other', async (under) => {
    if (!under.failOne) return;
    const before = await read(under);
    await under.failOne();
    const after = await read(under);
    const told = new Set([...after.items.map(nameOf), ...after.problems.map(({ subject }) => subject)]);
    const hidden = before.items.map(nameOf).filter((name) => !told.has(name));
    assert.deepEqual(hidden, [], 'neither listed nor a problem of the reading');
    assert(after.complete, 'the failure of one subject does not make a reading incomplete');
  }),

  check('every call is answered once, in order', async (under) => {
    const [first, second] = under.subjects.legal;
    const answers = await perform(under, [first, under.subjects.unknown, second].map(permitted));
    assert.equal(answers.length, 3);
    assert.equal(answers[0], null, `${JSON.stringify(first)} is legal`);
    assertProblem(answers[1], JSON.stringify(under.subjects.unknown));
    assert.equal(answers[2], null, `${JSON.stringify(second)} is legal`);
  }),

  check('no calls have no answers', async (under) => {
    assert.deepEqual(await perform(under, []), []);
  }),

  check('a call about an unknown subject is a problem and not an exception', async (under) => {
    const [answer] = await perform(under, [permitted(under.subjects.unknown)]);
    assertProblem(answer, JSON.stringify(under.subjects.unknown));
  }),

  check('a token that comes twice applies once, together or later', async (under) => {
    const [together, later] = under.subjects.legal.map(permitted);
    assert(together && later);
    assert.deepEqual(await perform(under, [together, together]), [null, null], 'the second is accepted like the first');
    assert.deepEqual(await perform(under, [later]), [null]);
    await under.advance?.(SOME_TIME_MS);
    assert.deepEqual(await perform(under, [later]), [null], 'a repeated call is accepted like the first');
    assert.equal((await under.applied?.(together.permit.token)) ?? 1, 1, 'effects of a call sent twice together');
    assert.equal((await under.applied?.(later.permit.token)) ?? 1, 1, 'effects of a call sent again later');
  }),

  check('a call whose permit has ended before its turn is not applied', async (under) => {
    const [first, second] = under.subjects.legal.map(permitted);
    assert(first && second);
    const ended: PermittedCall = { call: second.call, permit: { ...second.permit, valid: () => false } };
    const [answer, problem] = await perform(under, [first, ended]);
    assert.equal(answer, null);
    assertProblem(problem, 'a call without a valid permit');
    assert.equal((await under.applied?.(ended.permit.token)) ?? 0, 0);
  }),

  check('a read under an aborted signal rejects at once', async ({ driver, now }) => {
    await rejectsPromptly('observe', driver.observe({ now: now(), maxAgeMs: 0 }, AbortSignal.abort()));
  }),

  check('a call under an aborted signal rejects at once and is not applied', async ({ driver, subjects, applied }) => {
    const call = permitted(subjects.legal[0]);
    await rejectsPromptly('perform', driver.perform([call], AbortSignal.abort()));
    assert.equal((await applied?.(call.permit.token)) ?? 0, 0);
  }),
];
