import { SEED_FLEET, simulatedFleet } from 'fleetbeat/testing';
import { expect, test } from 'vitest';
import { asInstant } from '../../src/domain/identity.ts';
import { fleetStage } from '../support/fleet-stage.ts';
import { turns } from '../support/turns.ts';

const OFF = SEED_FLEET.instances.map((one) => (one.ip === '10.0.0.102' ? { ...one, state: 'stopped' as const } : one));

/** How often services were read in each beat until an instance that was stopped answers, and in that beat. */
async function readsUntilUp(command: {
  readonly level: 'instances' | 'services';
  readonly action: string;
  readonly group: string;
}) {
  let now = 1_000_000;
  const clock = () => asInstant(now);
  const simulated = simulatedFleet({ now: clock, ...SEED_FLEET, instances: OFF });
  let reads = 0;
  const services = {
    ...simulated.services,
    observe: (...args: Parameters<typeof simulated.services.observe>) => {
      reads++;
      return simulated.services.observe(...args);
    },
  };
  const { fleet } = fleetStage({ fleet: { drivers: { instances: [simulated.instances], services: [services] }, now: clock } });
  const isUp = () =>
    fleet.views().some(({ ip, level, holds }) => level === 'instances' && ip === '10.0.0.102' && holds.has('running'));
  await fleet.beat();
  expect(isUp()).toBe(false);
  await fleet.dispatch(command);
  const inBeats: number[] = [];
  while (!isUp()) {
    now += 2000;
    reads = 0;
    await fleet.beat();
    await turns();
    inBeats.push(reads);
  }
  await fleet.stop();
  return { before: new Set(inBeats.slice(0, -1)), inThat: inBeats.at(-1) };
}

test('a service that is waited for is read again in the beat in which its instance comes up, and only then', async () => {
  const started = await readsUntilUp({ level: 'services', action: 'start', group: 'node10' });
  expect(started).toEqual({ before: new Set([1]), inThat: 2 });
});

test('where nobody waits for a service, an instance that comes up costs no reading', async () => {
  const started = await readsUntilUp({ level: 'instances', action: 'start', group: '10.0.0.102' });
  expect(started).toEqual({ before: new Set([1]), inThat: 1 });
});
