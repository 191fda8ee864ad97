import { expect, test } from 'vitest';
import { runExample } from '../support/run-example.ts';

test('ec2.ts: a stopped instance is started and another launched, with one request each', async () => {
  const lines = (await runExample('ec2.ts')).trim().split('\n');
  expect(lines.filter((line) => !line.endsWith('is pending'))).toEqual([
    '10.0.0.209 is stopped',
    '10.0.0.209 is managed',
    'start 10.0.0.209: done',
    '10.0.0.102 is managed',
    'launch 10.0.0.102: done',
    'StartInstances ok: 1',
    'RunInstances ok: 1',
  ]);
});
