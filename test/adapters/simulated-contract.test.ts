import { type DriverUnderTest, driverContract, SEED_FLEET } from 'fleetbeat/testing';
import { describe, test } from 'vitest';
import { onIp, onService, stage } from '../support/simulated-stage.ts';

const ready = (half: 'instances' | 'services', subjects: DriverUnderTest['subjects']) => async (): Promise<DriverUnderTest> => {
  const { [half]: driver, world, now, pass, applied } = stage(SEED_FLEET);
  return { driver, now, subjects, advance: pass, applied, failOne: () => world.setSsh('10.0.0.48', 'timeout') };
};

describe('simulated instances keep the contract of a driver', () => {
  const open = ready('instances', {
    legal: [onIp('reboot', '10.0.0.102'), onIp('start', '10.0.0.209'), onIp('launch', '10.0.0.7'), onIp('stop', '10.0.0.47')],
    unknown: onIp('stop', '10.0.0.99'),
  });
  for (const { name, run } of driverContract) test(name, () => run(open));
});

describe('simulated services keep the contract of a driver', () => {
  const open = ready('services', {
    legal: [onService('restart', 'node10'), onService('stop', 'nosql1'), onService('remove', 'lb3')],
    unknown: onService('stop', 'nobody'),
  });
  for (const { name, run } of driverContract) test(name, () => run(open));
});
