import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

test('a host that wants the charts alone starts its machine with them, through a refusal and a restart', async () => {
  const run = promisify(execFile)(process.execPath, ['--import', 'tsx', 'examples/machines-only.ts'], {
    cwd: root,
    timeout: 20_000,
  });
  expect((await run).stdout.trimEnd().split('\n')).toEqual([
    '1 s  is stopped',
    '1 s  asked to start, try 1',
    '1 s  may be rebooted meanwhile: false',
    '2 s  saved as JSON and restored',
    '4 s  asked to start, try 2',
    '5 s  is pending',
    '8 s  is ssh-up',
    '8 s  succeeded: goal observed',
    '8 s  busy: false',
  ]);
});
