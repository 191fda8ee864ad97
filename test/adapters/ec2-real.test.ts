import { driverContract } from 'fleetbeat/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { asInstant } from '../../src/domain/identity.ts';
import type { Power } from '../../src/domain/instance.ts';
import { callTo, driverFor, want } from '../support/aws-mock-scripted.ts';
import { type AwsMock, requiresAwsMock, startAwsMock } from '../support/aws-mock-server.ts';

const never = new AbortController().signal;

requiresAwsMock('the EC2 of aws-mock', () => {
  let server: AwsMock;
  /** Two for each check: the first of each pair is stopped, the second runs. aws-mock gives them all one ip. */
  const ids: string[] = [];

  // It launches whatever the account may, so that no bucket of ours should slow the tests.
  const quick = { request: { capacity: 1000, perSecond: 1000 } };
  const driverOf = () =>
    driverFor(server, {
      launch: { imageId: 'ami-12345678', instanceType: 'm1.small' },
      buckets: { RunInstances: quick, StartInstances: quick },
    });

  const powerOf = async (id: string): Promise<Power | undefined> => {
    const { items } = await driverOf().observe(want, never);
    return items.find((item) => item.id === id)?.power?.state;
  };
  const powersOf = async (some: readonly string[]) => {
    const { items } = await driverOf().observe(want, never);
    return new Set(items.filter(({ id }) => id !== null && some.includes(id)).map(({ power }) => power?.state));
  };

  const launchOne = async (ip: string): Promise<string> => {
    const before = new Set((await driverOf().observe(want, never)).items.map(({ id }) => id));
    expect(await driverOf().perform([callTo(ip, 'launch')], never)).toEqual([null]);
    const { items } = await driverOf().observe(want, never);
    const made = items.filter(({ id }) => !before.has(id));
    expect(made.length).toBe(1);
    return made[0]?.id ?? '';
  };

  beforeAll(async () => {
    server = await startAwsMock();
    for (let i = 0; i < 2 * driverContract.length; i++) ids.push(await launchOne(`10.0.0.${i + 1}`));
    const patient = { timeout: 60_000 };
    await vi.waitFor(async () => expect(await powersOf(ids)).toEqual(new Set(['running'])), patient);
    const first = ids.filter((_, i) => i % 2 === 0);
    expect(
      await driverOf().perform(
        first.map((id) => callTo(id, 'stop')),
        never,
      ),
    ).toEqual(first.map(() => null));
    await vi.waitFor(async () => expect(await powersOf(first)).toEqual(new Set(['stopped'])), patient);
  }, 150_000);
  afterAll(() => server?.stop());

  for (const [i, { name, run }] of driverContract.entries()) {
    test(`keeps the contract of a driver: ${name}`, () =>
      run(async () => ({
        driver: driverOf(),
        now: () => asInstant(Date.now()),
        subjects: {
          legal: [callTo(ids[2 * i] ?? '', 'start').call, callTo(ids[2 * i + 1] ?? '', 'stop').call],
          unknown: callTo('i-00000000', 'stop').call,
        },
      })));
  }

  test('shows an instance pending and running, stopping and stopped, and terminated', async () => {
    const patient = { timeout: 60_000, interval: 20 };
    const id = await launchOne('10.0.1.1');
    const driver = driverOf();
    await expect.poll(() => powerOf(id), patient).toBe('running');
    expect(await driver.perform([callTo(id, 'stop')], never)).toEqual([null]);
    await expect.poll(() => powerOf(id), patient).toBe('stopping');
    await expect.poll(() => powerOf(id), patient).toBe('stopped');
    expect(await driver.perform([callTo(id, 'start')], never)).toEqual([null]);
    await expect.poll(() => powerOf(id), patient).toBe('pending');
    await expect.poll(() => powerOf(id), patient).toBe('running');
    expect(await driver.perform([callTo(id, 'terminate')], never)).toEqual([null]);
    await expect.poll(() => powerOf(id), patient).toBe('terminated');
  });
});
