import { expect, test } from 'vitest';
import { runExample } from '../support/run-example.ts';

test('simulated-cloud.ts: a launch whose answer is lost is one instance, which the AWS SDK sees too', async () => {
  const lines = (await runExample('simulated-cloud.ts')).trim().split('\n');
  expect(lines).toEqual([
    'fleet     10.0.0.101 is stopped',
    'fleet     10.0.0.102 is pending',
    'fleet     10.0.0.102 is managed',
    'truth     1 instance was launched, by {"replyLost":1,"ok":1}',
    'AWS SDK   10.0.0.101 is stopped',
    'AWS SDK   10.0.0.102 is running',
    'AWS SDK   InsufficientInstanceCapacity',
  ]);
});
