import { type DriverUnderTest, driverContract, SEED_FLEET } from 'fleetbeat/testing';
import { describe, expect, test } from 'vitest';
import type { Permit } from '../../src/contracts.ts';
import { asToken, type Token } from '../../src/domain/identity.ts';
import { onIp, onService, stage } from '../support/simulated-stage.ts';

const ready = (half: 'instances' | 'services', subjects: DriverUnderTest['subjects']) => async (): Promise<DriverUnderTest> => {
  const { [half]: driver, world, now, pass, applied } = stage(SEED_FLEET);
  return { driver, now, subjects, advance: pass, applied, failOne: () => world.setSsh('10.0.0.48', 'timeout') };
};

const openInstances = ready('instances', {
  legal: [onIp('reboot', '10.0.0.102'), onIp('start', '10.0.0.209'), onIp('launch', '10.0.0.7'), onIp('stop', '10.0.0.47')],
  unknown: onIp('stop', '10.0.0.99'),
});

const openServices = ready('services', {
  legal: [onService('restart', 'node10'), onService('stop', 'nosql1'), onService('remove', 'lb3')],
  unknown: onService('stop', 'nobody'),
});

describe('simulated instances keep the contract of a driver', () => {
  for (const { name, run } of driverContract) test(name, () => run(openInstances));
});

describe('simulated services keep the contract of a driver', () => {
  for (const { name, run } of driverContract) test(name, () => run(openServices));
});

describe('the contract of a driver is broken by one', () => {
  type Driver = DriverUnderTest['driver'];
  type Reading = Awaited<ReturnType<Driver['observe']>>;
  type Answers = Awaited<ReturnType<Driver['perform']>>;
  type Breakage = (under: DriverUnderTest) => DriverUnderTest;

  const driver =
    (change: (driver: Driver) => Partial<Driver>): Breakage =>
    (under) => ({ ...under, driver: { ...under.driver, ...change(under.driver) } });

  const reading = (alter: (reading: Reading) => object) =>
    driver(({ observe }) => ({
      observe: async (want, signal) => {
        const read = await observe(want, signal);
        return { ...read, ...alter(read) };
      },
    }));

  const answers = (alter: (answers: Answers) => Answers) =>
    driver(({ perform }) => ({ perform: async (calls, signal) => alter(await perform(calls, signal)) }));

  const permits = (alter: (permit: Permit) => Permit) =>
    driver(({ perform }) => ({
      perform: (calls, signal) =>
        perform(
          calls.map(({ call, permit }) => ({ call, permit: alter(permit) })),
          signal,
        ),
    }));

  const everyItem = (change: object) => reading(({ items }) => ({ items: items.map((item) => ({ ...item, ...change })) }));
  const isSilent = (item: Reading['items'][number]) => 'ssh' in item && item.ssh === 'timeout';
  const deaf = new AbortController().signal;

  const forgetsTokens: Breakage = (under) => {
    const sent: Token[] = [];
    const rename = (permit: Permit) => {
      const token = asToken(`${permit.token}/${sent.length}`);
      sent.push(token);
      return { ...permit, token };
    };
    const applied = async (token: Token) => {
      const counts = sent.filter((name) => name.startsWith(`${token}/`)).map((name) => under.applied?.(name) ?? 0);
      return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
    };
    return { ...permits(rename)(under), applied };
  };

  const rows: readonly (readonly [how: string, rule: string, breakage: Breakage])[] = [
    ['without a name', 'a driver has a name and an interval', driver(() => ({ name: '' }))],
    [
      'that dates its readings by their end',
      'a reading is dated with the instant at which it began',
      reading(({ readAt }) => ({ readAt: readAt + 1 })),
    ],
    [
      'that lists a subject twice',
      'a reading lists each subject once',
      reading(({ items }) => ({ items: [...items, ...items.slice(0, 1)] })),
    ],
    ['whose facts are no JSON', 'a reading is plain JSON', everyItem({ bootId: undefined })],
    [
      'that mixes clouds',
      'all instances of a reading are of one cloud',
      reading(({ items: [first, ...rest] }) => ({ items: [{ ...first, cloud: 'elsewhere' }, ...rest] })),
    ],
    [
      'that hands the words of its provider through',
      'every power is one of our words beside the word of the provider',
      everyItem({ power: { state: 'ACTIVE', raw: 'ACTIVE' } }),
    ],
    [
      'that invents rungs',
      'every service has a code, and rungs and a role in our words',
      everyItem({ holds: { running: true } }),
    ],
    [
      'that throws when one subject fails',
      'a subject that cannot be read is told and not thrown, and hides no other',
      reading((read) => {
        if (read.items.some(isSilent)) throw new Error('one host does not answer');
        return read;
      }),
    ],
    [
      'that leaves out a subject that fails',
      'a subject that cannot be read is told and not thrown, and hides no other',
      reading(({ items }) => ({ items: items.filter((item) => !isSilent(item)) })),
    ],
    [
      'that answers what it refuses only',
      'every call is answered once, in order',
      answers((all) => all.filter((answer) => answer !== null)),
    ],
    [
      'that answers in another order',
      'every call is answered once, in order',
      answers((all) => [...all].sort((a) => (a ? -1 : 1))),
    ],
    [
      'that throws at an unknown subject',
      'a call about an unknown subject is a problem and not an exception',
      answers((all) => {
        for (const answer of all) if (answer) throw new Error(answer.message);
        return all;
      }),
    ],
    ['that forgets its tokens', 'a token that comes twice applies once, together or later', forgetsTokens],
    [
      'that does not ask whether a permit has ended',
      'a call whose permit has ended before its turn is not applied',
      permits((permit) => ({ ...permit, valid: () => true })),
    ],
    [
      'that reads on under an aborted signal',
      'a read under an aborted signal rejects at once',
      driver(({ observe }) => ({ observe: (want) => observe(want, deaf) })),
    ],
    [
      'that acts on under an aborted signal',
      'a call under an aborted signal rejects at once and is not applied',
      driver(({ perform }) => ({ perform: (calls) => perform(calls, deaf) })),
    ],
  ];

  test.each(rows)('%s: %s', async (_, rule, breakage) => {
    const broken: string[] = [];
    for (const { name, run } of driverContract) {
      for (const open of [openInstances, openServices]) {
        await run(async () => breakage(await open())).catch(() => broken.push(name));
      }
    }
    expect(broken).toContain(rule);
  });
});
