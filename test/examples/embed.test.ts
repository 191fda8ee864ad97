import { expect, test } from 'vitest';
import { runExample } from '../support/run-example.ts';

test('embed.ts: an orchestrator that pushes heartbeats gets its machine started, once', async () => {
  const lines = (await runExample('embed.ts')).trim().split('\n');
  expect(lines).toEqual([
    'appeared  blade-7 is stopped',
    'action    start is waiting',
    'armed     start, when now',
    'action    start is dispatching',
    'perform   start',
    'changed   blade-7 is pending',
    'changed   blade-7 is ssh-up',
    'action    start is done',
    'outcome   done',
  ]);
});
