import { asInstant } from 'fleetbeat';
import { SEED_FLEET, simulatedFleet } from 'fleetbeat/testing';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { fleetStage } from '../support/fleet-stage.ts';
import { turns } from '../support/turns.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

test('two beats come after half the time where something was called, however often, and all others on time', async () => {
  const now = () => asInstant(1_000_000 + Math.round(performance.now()));
  const simulated = simulatedFleet({
    now,
    ...SEED_FLEET,
    instances: SEED_FLEET.instances.map((one) => ({ ...one, state: 'stopped' as const })),
  });
  const reads: number[] = [];
  const begin = performance.now();
  const instances = {
    ...simulated.instances,
    observe: (...args: Parameters<typeof simulated.instances.observe>) => {
      reads.push(Math.floor((performance.now() - begin) / 1000));
      return simulated.instances.observe(...args);
    },
  };
  const { fleet } = fleetStage({ fleet: { drivers: { instances: [instances], services: [simulated.services] }, now } });
  const pass = async (ms: number) => {
    await vi.advanceTimersByTimeAsync(ms);
    await turns();
  };
  fleet.start(10_000);
  await pass(0);
  await pass(10_000);
  await pass(2000);
  const start = (group: string) => fleet.dispatch({ level: 'instances', action: 'start', group });
  await start('10.0.0.102');
  await pass(0);
  await pass(1000);
  await start('10.0.0.48');
  for (let second = 0; second < 30; second++) await pass(1000);
  await fleet.stop();
  expect(reads).toEqual([0, 10, 17, 22, 32, 42]);
});
