import { userInfo } from 'node:os';
import { expect, test } from 'vitest';
import { commandLine, documentsIn, folderWith } from './command-line.ts';
import { oneMachine } from './one-machine.ts';

const LIST = ['maintenance', 'list'];
const TIME = /\d{4}-\d{2}-\d{2}T[\d:.]+Z/;

test('what is in maintenance is begun, told, heeded by a command and ended, without reading any cloud', async () => {
  const { cwd, calls, power } = oneMachine();
  const key = 'instances/own/i-1';
  const begun = await commandLine(['maintenance', 'begin', key, '--for', '2h', '--reason', 'new disks', '--owner', 'anna'], {
    cwd,
  });
  expect(begun).toMatchObject({ exit: 0, stderr: '' });
  const entry = { subject: key, owner: 'anna', reason: 'new disks', since: expect.stringMatching(TIME) };
  expect(documentsIn(begun.stdout)).toMatchObject([{ return: { code: '000000' }, maintenance: [entry] }]);
  const table = await commandLine(LIST, { cwd, columns: 120 });
  expect(table.stdout).toMatch(/subject.* +.*owner.*until.*why.*\ninstances\/own\/i-1 +anna .*new disks\n$/);

  const start = await commandLine(['instances', 'start', 'i-1', '--timeout', '300ms'], { cwd });
  expect(start.exit).toBe(75);
  const why = expect.stringMatching(/^waiting.*: maintenance of instances\/own\/i-1 by anna until .*: new disks$/);
  expect(documentsIn(start.stdout)).toMatchObject([
    { return: { code: 'ER0238' }, console: [{ command: 'instances start i-1', return: 'ER0238', result: why }] },
  ]);
  const held = expect.stringContaining('by anna');
  const waiting = await commandLine(['instances', 'actions'], { cwd });
  expect(documentsIn(waiting.stdout)).toMatchObject([{ actions: [{ do_action: 'start', status: 'waiting', held }] }]);
  expect((await commandLine(['instances', 'actions'], { cwd, columns: 200 })).stdout).toContain(
    'maintenance of instances/own/i-1',
  );
  expect(calls()).toEqual([]);

  // The last heartbeat in the store knows the instance by its id too.
  const ended = await commandLine(['maintenance', 'end', 'i-1'], { cwd });
  expect(documentsIn(ended.stdout)).toMatchObject([{ maintenance: [] }]);
  expect((await commandLine(LIST, { cwd, columns: 80 })).stdout).toBe('nothing is in maintenance\n');
  power('running');
  expect((await commandLine(['instances', 'start', 'i-1'], { cwd })).exit).toBe(0);
}, 60_000);

test.each([
  [
    undefined,
    '"command":"all","return":"ER0238","result":"begun: maintenance of all by anna until',
    '"return":"000000","result":"ended: ',
  ],
  [200, ' begun: maintenance of all by anna until', ' ended: maintenance of all by anna until'],
])(
  'the daemon tells what others begin and end, also in the audit log (columns: %s)',
  async (columns, begun, ended) => {
    const { cwd } = oneMachine({ audit: { file: 'audit.jsonl' } });
    const over = new AbortController();
    let told = '';
    const onOutput = (soFar: string) => {
      told = soFar;
    };
    const terminal = columns === undefined ? {} : { columns };
    const daemon = commandLine(['heartbeat', '--every', '50ms'], { cwd, ...terminal, interrupted: over.signal, onOutput });
    await expect.poll(() => told, { timeout: 10_000 }).toContain('i-1');
    await commandLine(['maintenance', 'begin', 'all', '--reason', 'new disks', '--owner', 'anna'], { cwd });
    await expect.poll(() => told, { timeout: 10_000 }).toContain(begun);
    await commandLine(['maintenance', 'end', 'all'], { cwd });
    await expect.poll(() => told, { timeout: 10_000 }).toContain(ended);
    over.abort();
    expect(await daemon).toMatchObject({ exit: 0, stderr: '' });
    const { stdout } = await commandLine(['audit'], { cwd });
    const lines = documentsIn(stdout) as readonly { what: string; who: string; code: string }[];
    expect(lines.filter(({ what }) => what.startsWith('maintenance'))).toMatchObject([
      { what: 'maintenance begun', who: 'anna', code: 'ER0238' },
      { what: 'maintenance ended', code: '000000' },
    ]);
  },
  60_000,
);

test('it is of the user for an hour, unless said otherwise', async () => {
  const { cwd } = oneMachine();
  const { stdout } = await commandLine(['maintenance', 'begin', 'all', '--reason', 'audit'], { cwd });
  const [document] = documentsIn(stdout) as [{ maintenance: [{ since: string; expires_at: string; owner: string }] }];
  const [{ owner, since, expires_at }] = document.maintenance;
  expect(owner).toBe(userInfo().username);
  expect(Date.parse(expires_at) - Date.parse(since)).toBe(3_600_000);
});

test.each([
  [['maintenance'], 64, 'allowed for maintenance: list'],
  [['maintenance', 'stop'], 64, 'list, begin, end'],
  [['maintenance', 'begin', 'all'], 64, '--reason'],
  [['maintenance', 'begin', 'all', '--reason', 'x', '--for', 'soon'], 64, '--for: found "soon"'],
  [['maintenance', 'begin', 'all', '--reason', 'x', '--for', '0d'], 64, 'whole days'],
  [['maintenance', 'list', '--no-wait'], 64, 'means nothing here'],
] as const)('%j is not understood', async (args, exit, words) => {
  const { cwd } = oneMachine();
  const ended = await commandLine(args, { cwd });
  expect(ended).toMatchObject({ exit, stderr: expect.stringContaining(words) });
});

test.each([
  [['begin', 'nobody', '--reason', 'x'], 'ER0203'],
  [['begin', 'all', '--reason', 'x', '--for', '8d'], 'ER0222'],
  [['end', 'all'], 'ER0205'],
] as const)('maintenance %j is refused', async (args, code) => {
  const { cwd } = oneMachine();
  const ended = await commandLine(['maintenance', ...args], { cwd });
  expect(ended.exit).toBe(1);
  expect(documentsIn(ended.stdout)).toMatchObject([{ return: { code } }]);
});

test('a store that ends with its process has nothing that others would heed', async () => {
  const cwd = folderWith({ clouds: { sim: { driver: 'simulated', active: true, instances: [] } } });
  expect(await commandLine(LIST, { cwd })).toMatchObject({ exit: 64, stderr: expect.stringContaining('found memory') });
});
