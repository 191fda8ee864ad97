import { CLOUD_FAULTS, CLOUD_LATENCY_MS, simulatedCloud } from 'fleetbeat/testing';
import { expect, test } from 'vitest';

test('each fault that is listed can be given a rate, and no other can', () => {
  for (const fault of CLOUD_FAULTS.filter((name) => name !== 'eventualConsistency'))
    expect(() => simulatedCloud({ errors: { [fault]: 0.5 } }), fault).not.toThrow();
  expect(() => simulatedCloud({ errors: { earthquake: 0.5 } as never })).toThrow('earthquake');
});

test('each delay that is listed can be set, and takes no less than nothing', () => {
  for (const [delay, [low, high]] of Object.entries(CLOUD_LATENCY_MS)) {
    expect(low, delay).toBeGreaterThanOrEqual(0);
    expect(high, delay).toBeGreaterThanOrEqual(low);
    expect(() => simulatedCloud({ latency: { ms: { [delay]: [1, 2] } } }), delay).not.toThrow();
  }
});
