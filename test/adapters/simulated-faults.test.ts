import { FAULTS, type Fault } from 'fleetbeat/testing';
import { describe, expect, test } from 'vitest';
import { asInstant } from '../../src/domain/identity.ts';
import { FIXED_LATENCY, onIp, onService, permitted, stage } from '../support/simulated-stage.ts';

const IP = '10.0.0.5';
const ONE = {
  instances: [{ id: 'i-1', ip: IP, state: 'running' as const }],
  services: [{ name: 'nosql1', ip: IP, mode: 'memcache', status: 'na' as const }],
};

/** How a promise ended, as a value. */
const endingOf = <T>(running: Promise<T>): Promise<T | 'rejected'> => running.catch(() => 'rejected' as const);

describe('a fault', () => {
  const TRIES = 4000;
  /** What a rate may be off in so many tries: four standard deviations. */
  const SLACK = 4 * Math.sqrt((0.2 * 0.8) / TRIES);

  test.each(['callRefused', 'callLost', 'callDropped', 'throttled'] as const)('%s strikes calls at its rate', async (fault) => {
    const { call, faults, pass } = stage({ ...ONE, faults: { [fault]: 0.2 } });
    for (let i = 0; i < TRIES; i++) {
      await endingOf(call(onIp('reboot', IP)));
      pass(1);
    }
    expect(Math.abs(faults.occurred(fault) / TRIES - 0.2)).toBeLessThan(SLACK);
  });

  test.each(['observeFailed', 'throttled', 'sshFlap'] as const)('%s strikes reads at its rate', async (fault) => {
    const { readInstances, faults } = stage({ ...ONE, faults: { [fault]: 0.2 } });
    let struck = 0;
    for (let i = 0; i < TRIES; i++) {
      const reading = await endingOf(readInstances());
      if (reading === 'rejected' || !reading.complete || reading.items[0]?.ssh === 'timeout') struck++;
    }
    expect(struck).toBe(faults.occurred(fault));
    expect(Math.abs(struck / TRIES - 0.2)).toBeLessThan(SLACK);
  });

  test('never strikes at the rate 0 and always at the rate 1', async () => {
    const { readInstances, faults } = stage(ONE);
    for (let i = 0; i < 100; i++) await readInstances();
    expect(FAULTS.filter((fault) => faults.occurred(fault) > 0)).toEqual([]);
    faults.set({ observeFailed: 1 });
    faults.once('throttled');
    for (let i = 0; i < 100; i++) expect(await endingOf(readInstances())).toBe('rejected');
    faults.clear();
    await expect(readInstances()).resolves.toMatchObject({ complete: true });
  });

  test('strikes once where it is told to', async () => {
    const { readInstances, faults } = stage(ONE);
    faults.once('observeFailed');
    await expect(readInstances()).rejects.toMatchObject({ code: 'ER0235', retryable: true });
    await expect(readInstances()).resolves.toMatchObject({ complete: true });
  });

  test('does not shift when another one strikes', async () => {
    const strikes = async (faults: Partial<Record<Fault, number>>) => {
      const { readInstances } = stage({ ...ONE, faults });
      const flaps: boolean[] = [];
      for (let i = 0; i < 200; i++) flaps.push((await readInstances()).items[0]?.ssh === 'timeout');
      return flaps;
    };
    const alone = await strikes({ sshFlap: 0.3 });
    expect(alone).toContain(true);
    expect(await strikes({ sshFlap: 0.3, eventualConsistency: 0.5, callLost: 0.5 })).toEqual(alone);
  });

  test.each([{ callLost: 1.5 }, { callLost: -1 }, { callLost: Number.NaN }, { powerCut: 0.5 }])(
    'that cannot be is refused: %j',
    (faults) => {
      expect(() => stage({ faults })).toThrow(expect.objectContaining({ code: 'ER0230' }));
    },
  );
});

describe('a call', () => {
  test('that is refused is a problem and has no effect', async () => {
    const { call, power, faults } = stage(ONE);
    faults.once('callRefused');
    expect(await call(onIp('stop', IP))).toMatchObject({ subject: 'i-1', code: 'ER0221' });
    expect(await power('i-1')).toBe('running');
  });

  test('that is dropped rejects, has no effect, and applies when it is sent again', async () => {
    const { call, power, faults, log } = stage(ONE);
    faults.once('callDropped');
    await expect(call(onIp('stop', IP), 'mine')).rejects.toMatchObject({ code: 'ER0220', retryable: true });
    expect(log).toEqual([]);
    expect(await power('i-1')).toBe('running');
    expect(await call(onIp('stop', IP), 'mine')).toBeNull();
    expect(await power('i-1')).toBe('stopping');
  });

  test('that is lost rejects, has its effect, and has it only once when it is sent again', async () => {
    const { call, readInstances, faults, log } = stage();
    faults.once('callLost');
    await expect(call(onIp('launch', IP), 'mine')).rejects.toMatchObject({ code: 'ER0220', retryable: true });
    expect(await call(onIp('launch', IP), 'mine')).toBeNull();
    expect((await readInstances()).items).toHaveLength(1);
    expect(log.map(({ outcome }) => outcome)).toEqual(['applied', 'repeated']);
  });

  test('that the cloud refuses is not lost: its answer comes', async () => {
    const { call, faults } = stage(ONE);
    faults.once('callLost');
    expect(await call(onIp('launch', IP))).toMatchObject({ code: 'ER0208' });
    await expect(call(onIp('stop', IP))).rejects.toMatchObject({ code: 'ER0220' });
  });

  test('after one that was lost is not sent', async () => {
    const { instances, faults, log } = stage(ONE);
    faults.once('callLost');
    const calls = [permitted(onIp('launch', '10.0.0.6'), 'first'), permitted(onIp('stop', IP), 'second')];
    await expect(instances.perform(calls, new AbortController().signal)).rejects.toMatchObject({ code: 'ER0220' });
    expect(log.map(({ token }) => token)).toEqual(['first']);
  });
});

describe('a read', () => {
  test('that is throttled is incomplete and says so', async () => {
    const { readInstances, faults } = stage({
      instances: ['5', '6', '7', '8'].map((last) => ({ id: `i-${last}`, ip: `10.0.0.${last}`, state: 'running' })),
    });
    faults.once('throttled');
    const reading = await readInstances();
    expect(reading).toMatchObject({ complete: false, problems: [{ subject: 'simulated', code: 'ER0235' }] });
    expect(reading.items.map(({ id }) => id)).toEqual(['i-5', 'i-6']);
  });

  test('of an eventually consistent cloud shows the old power for a while', async () => {
    const { call, power, faults, world, pass } = stage(ONE);
    faults.once('eventualConsistency');
    await call(onIp('stop', IP));
    expect(world.powerAt(IP)).toBe('stopping');
    expect(await power('i-1')).toBe('running');
    pass(7);
    expect(await power('i-1')).toBe('stopping');
  });

  test('of an eventually consistent cloud does not list at once what has been launched', async () => {
    const { call, readInstances, faults, pass } = stage();
    faults.once('eventualConsistency');
    await call(onIp('launch', IP));
    expect((await readInstances()).items).toEqual([]);
    pass(7);
    expect((await readInstances()).items).toMatchObject([{ ip: IP, power: { state: 'pending' } }]);
  });
});

test('a new instance stays hidden for as long as it was to be, though its power changes meanwhile', async () => {
  const { call, readInstances, faults, world, pass } = stage({ latency: { ms: { ...FIXED_LATENCY.ms, stale: [15, 15] } } });
  faults.set({ eventualConsistency: 1 });
  await call(onIp('launch', IP));
  pass(10);
  expect(world.powerAt(IP)).toBe('running');
  expect((await readInstances()).items).toEqual([]);
  pass(15);
  expect((await readInstances()).items).toMatchObject([{ ip: IP, power: { state: 'running' } }]);
});

describe('a service', () => {
  test('that crashes after its start comes up first, and again when it is started again', async () => {
    const { call, faults, world, pass } = stage(ONE);
    faults.once('serviceCrash');
    await call(onService('restart', 'nosql1', 'restart'));
    pass(5);
    expect(world.stateOf('nosql1')).toBe('up');
    pass(50);
    expect(world.stateOf('nosql1')).toBe('stopped');
    await call(onService('start', 'nosql1', 'up'));
    pass(1000);
    expect(world.stateOf('nosql1')).toBe('up');
  });

  test('that was stopped before it crashed is not touched by it any more', async () => {
    const { call, faults, world, pass } = stage(ONE);
    faults.once('serviceCrash');
    await call(onService('restart', 'nosql1', 'restart'));
    pass(5);
    await call(onService('remove', 'nosql1', 'remove'));
    pass(5);
    await call(onService('install', 'nosql1', 'installed'));
    pass(1000);
    expect(world.stateOf('nosql1')).toBe('stopped');
  });
});

describe('latency', () => {
  test('is scaled as a whole', async () => {
    const { call, power, pass } = stage({ ...ONE, latency: { ms: { stopping: [30, 30] }, scale: 0.1 } });
    await call(onIp('stop', IP));
    pass(2);
    expect(await power('i-1')).toBe('stopping');
    pass(1);
    expect(await power('i-1')).toBe('stopped');
  });

  test('says when something happens next, so that a clock may jump', async () => {
    const { call, world, pass, now } = stage(ONE);
    expect(world.nextAt()).toBeNull();
    await call(onIp('stop', IP));
    expect(world.nextAt()).toBe(30);
    pass(30);
    expect(world.powerAt(IP)).toBe('stopped');
    expect([world.nextAt(), now()]).toEqual([null, asInstant(30)]);
  });

  test.each([{ scale: -1 }, { scale: Number.NaN }, { ms: { up: [5, 1] as const } }, { ms: { up: [-1, 1] as const } }])(
    'that cannot be is refused: %j',
    (latency) => {
      expect(() => stage({ latency })).toThrow(expect.objectContaining({ code: 'ER0230' }));
    },
  );
});
