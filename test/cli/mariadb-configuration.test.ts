import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { configAnswer } from '../../src/cli/config/answer.ts';
import { display } from '../../src/cli/config/display.ts';
import { BUILT_IN_MODES, kindsOf } from '../../src/cli/config/kinds.ts';
import { readConfiguration } from '../../src/cli/config/read.ts';

const EXAMPLE = fileURLToPath(new URL('../../examples/balanced.yaml', import.meta.url));

beforeEach(() => {
  vi.stubEnv('MONITOR_PASSWORD', 'hunter2-monitor');
  vi.stubEnv('REPLICATION_PASSWORD', 'hunter2-replica');
});
afterEach(() => vi.unstubAllEnvs());

test('the modes mariadb and mysql are kinds of the same ladder', async () => {
  expect(BUILT_IN_MODES).toEqual(expect.arrayContaining(['mariadb', 'mysql']));
  const kinds = await kindsOf(['mysql', 'mariadb', 'mysql'], []);
  expect(kinds.map(({ mode, host, ladder }) => ({ mode, host, ladder }))).toEqual(
    ['mysql', 'mariadb'].map((mode) => ({ mode, host: 'managed', ladder: ['installed', 'up', 'replicating', 'routed'] })),
  );
});

test('the option file of a replica is shown as it would be, and no secret is', async () => {
  const configuration = await readConfiguration(EXAMPLE);
  const file = await configAnswer('file', 'db2', configuration);
  expect(file).toMatchObject({
    path: '/var/lib/fleetbeat/db2/my.cnf',
    text: expect.stringMatching(
      /^tmpdir="\/var\/lib\/fleetbeat\/db2\/tmp"\nslave_net_timeout=5\n(.*\n)*bind_address="10\.0\.0\.102"\nserver_id=167772262\nread_only=1$/m,
    ),
  });
  expect(JSON.stringify([file, display(configuration)])).not.toContain('hunter2');
});

test('a password whose variable is not set is refused with its name', async () => {
  vi.stubEnv('MONITOR_PASSWORD', undefined);
  const configuration = await readConfiguration(EXAMPLE);
  await expect(configAnswer('file', 'db1', configuration)).rejects.toMatchObject({
    code: 'ER0230',
    message: expect.stringContaining('MONITOR_PASSWORD, which is not'),
  });
});
