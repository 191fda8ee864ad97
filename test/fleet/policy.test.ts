import { createFleet, DEFAULT_POLICY, type Policy } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import { expect, test } from 'vitest';

const make = (policy: object) => createFleet({ store: memory(), policy: policy as Partial<Policy> });

test.each([
  [{ attempts: 0 }, 'policy.attempts is 0; allowed is a number from 1 to 1000'],
  [{ callMs: 2 ** 31 }, 'policy.callMs is 2147483648; allowed is a number from 1 to 2147483647'],
  [{ freshMs: Number.NaN }, 'policy.freshMs is NaN; allowed is a number from 0 to 2147483647'],
  [{ leaseMs: '5000' }, 'policy.leaseMs is "5000"; allowed is a number from 1 to 2147483647'],
  [{ leaseMs: undefined }, 'policy.leaseMs is undefined; allowed is a number from 1 to 2147483647'],
  [{ backofMs: 50 }, 'policy.backofMs is unknown; known are tolerance, freshMs, '],
])('no fleet is made with the policy %o', (policy, message) => {
  expect(() => make(policy)).toThrow(expect.objectContaining({ code: 'ER0230', message: expect.stringContaining(message) }));
});

test('a fleet is made with the numbers that are the default, each said', () => {
  expect(make(DEFAULT_POLICY).role).toBe('standby');
});
