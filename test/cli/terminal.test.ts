import { EventEmitter } from 'node:events';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { ageText } from '../../src/cli/duration.ts';
import { liveRegion } from '../../src/cli/render/live-region.ts';
import { lookOf, NO_PAINT } from '../../src/cli/render/look.ts';
import { table } from '../../src/cli/render/table.ts';
import { tellWarnings } from '../../src/cli/warnings.ts';
import { commandLine, folderWith } from './command-line.ts';

const ESCAPE = '\u001b';

const cwd = folderWith({
  clouds: {
    sim: {
      driver: 'simulated',
      active: true,
      speed: 1000,
      instances: [
        { id: 'i-1', ip: '10.0.0.101', state: 'running' },
        { id: 'i-2', ip: '10.0.0.102', state: 'stopped' },
      ],
    },
  },
  services: [
    { name: 'nosql1', ip: '10.0.0.101', mode: 'memcache', status: 'master' },
    { name: 'nosql2', ip: '10.0.0.102', mode: 'memcache', status: 'slave' },
  ],
  beatEvery: '20ms',
});

const lines = (text: string): readonly string[] => stripVTControlCharacters(text).split(/[\r\n]/);

describe('on a terminal', () => {
  test("a heartbeat is two tables with the seed's columns", async () => {
    const { stdout } = await commandLine(['instances', 'heartbeat'], { cwd, columns: 120 });
    const shown = lines(stdout);
    expect(shown[0]?.split(/\s+/)).toEqual(['name', 'ip', 'mode', 'status', 'state', 'code', 'time']);
    expect(shown[1]).toMatch(/^nosql1 +10\.0\.0\.101 +memcache +master +running +000000 +\d{4}-\d\d-\d\dT/);
    expect(shown[4]?.split(/\s+/)).toEqual(['id', 'ip', 'state']);
    expect(shown[6]).toMatch(/^i-2 +10\.0\.0\.102 +stopped$/);
    expect(stdout).toContain(`${ESCAPE}[32mrunning`);
  });

  test('progress is told on stderr: what waits for what, the rungs, the outcome', async () => {
    const { exit, stdout, stderr } = await commandLine(['services', 'start', 'nosql2'], { cwd, columns: 120 });
    expect(exit).toBe(0);
    const told = stripVTControlCharacters(stderr);
    expect(told).toContain('· services start nosql2 waits until instances 10.0.0.102 is running');
    expect(told).toMatch(
      /▶ instances start 10\.0\.0\.102 fires[\s\S]*i-2 10\.0\.0\.102 [a-z-]+ → managed[\s\S]*✔ services start nosql2 is done/,
    );
    expect(stripVTControlCharacters(stdout)).toMatch(/^nosql2 +10\.0\.0\.102 +memcache +slave +running/m);
  });

  test('NO_COLOR is respected, and --json is JSON there too', async () => {
    const plain = await commandLine(['services', 'status'], { cwd, columns: 80, env: { NO_COLOR: '1' } });
    expect(plain.stdout).not.toContain(ESCAPE);
    const json = await commandLine(['services', 'status', '--json'], { cwd, columns: 80 });
    expect(JSON.parse(json.stdout)).toMatchObject({ return: { code: '000000' } });
  });

  test('a question without a level is answered with what is allowed', async () => {
    const { exit, stderr } = await commandLine(['services', 'bogus\u001b[2J'], { cwd, columns: 80 });
    expect(exit).toBe(64);
    expect(stderr).not.toContain(ESCAPE);
  });

  test('nothing from outside reaches it unescaped', () => {
    const drawn = table([{ title: 'name', of: (row: string) => row }], ['a\u001b[2Jb\u202ec\r\nd'], {
      paint: NO_PAINT,
      columns: 80,
    });
    expect(drawn).toBe('name\na\\u001b[2Jb\\u202ec\\u000d\\u000ad');
  });

  test('prose wraps where it is narrow, and everything else stays in one piece', () => {
    const rows = [{ id: 'i-0123456789', why: 'the host does not answer to ssh any more' }];
    const drawn = table(
      [
        { title: 'id', of: (row) => row.id },
        { title: 'why', of: (row) => row.why, isProse: true },
      ],
      rows,
      { paint: NO_PAINT, columns: 36 },
    );
    expect(drawn.split('\n')[1]).toBe('i-0123456789  the host does not');
    expect(Math.max(...drawn.split('\n').map((line) => line.length))).toBeLessThanOrEqual(36);
  });

  test.each([
    [60, ['id', 'state', 'cloud', 'age']],
    [26, ['id', 'state', 'age']],
    [20, ['id', 'state']],
    [5, ['id', 'state']],
  ])('of %i columns shows what there is room for, and what cannot be spared', (columns, expected) => {
    const drawn = table<{ readonly id: string; readonly cloud: string }>(
      [
        { title: 'id', of: ({ id }) => id },
        { title: 'state', of: () => 'stopped' },
        { title: 'cloud', of: ({ cloud }) => cloud, spare: 2 },
        { title: 'age', of: () => '12 s', spare: 1 },
      ],
      [{ id: 'i-0123456', cloud: 'frankfurt' }],
      { paint: NO_PAINT, columns },
    );
    expect(drawn.split('\n')[0]?.split(/ +/)).toEqual(expected);
  });

  test.each([
    [0, '0 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [7_199_000, '1 h'],
    [172_800_000, '2 d'],
  ])('an age of %i ms is %s', (ms, expected) => {
    expect(ageText(ms)).toBe(expected);
  });
});

test('colours are for terminals only', () => {
  const write = () => {};
  expect(lookOf({ write, isTTY: true }, {}).paint.isColorSupported).toBe(true);
  expect(lookOf({ write }, {}).paint.isColorSupported).toBe(false);
  expect(lookOf({ write, isTTY: true }, { NO_COLOR: '1' }).paint.isColorSupported).toBe(false);
  expect(lookOf({ write, isTTY: true }, { TERM: 'dumb' }).paint.isColorSupported).toBe(false);
});

const WRITTEN = new RegExp(`(${ESCAPE}\\[\\??\\d*[A-Za-z]|\\r|\\n)|([^${ESCAPE}\\r\\n]+)`, 'g');

/** What a terminal shows after all that was written to it: enough of one for what the live region sends. */
function screenAfter(written: string): readonly string[] {
  const screen = [''];
  let row = 0;
  for (const [, control, text = ''] of written.matchAll(WRITTEN)) {
    if (control === undefined) screen[row] = text;
    else if (control === '\n') screen[++row] ??= '';
    else if (control.endsWith('A')) row -= Number.parseInt(control.slice(2), 10);
    else if (control === `${ESCAPE}[J`) screen.splice(row, screen.length, '');
  }
  return screen;
}

describe('a live region', () => {
  const stage = (isTTY: boolean) => {
    let written = '';
    const write = (text: string) => {
      written += text;
    };
    const region = liveRegion({ write, isTTY, columns: 20, rows: 10 });
    return { region, written: () => written };
  };

  test('is drawn anew in place, beneath the lines that stay', () => {
    const { region, written } = stage(true);
    region.log('one');
    region.draw(['a', 'b', 'c']);
    region.log('two');
    region.draw(['A', 'B']);
    expect(screenAfter(written())).toEqual(['one', 'two', 'A', 'B', '']);
  });

  test('cuts what would wrap or scroll, since it could not be found again', () => {
    const { region, written } = stage(true);
    region.draw(Array.from({ length: 30 }, (_, i) => `${i} ${'x'.repeat(50)}`));
    region.draw(['end']);
    expect(screenAfter(written())).toEqual(['end', '']);
    expect(Math.max(...lines(written()).map((line) => line.length))).toBeLessThan(20);
  });

  test('gives the cursor back, once', () => {
    const { region, written } = stage(true);
    region.close();
    region.close();
    expect(written()).toBe(`${ESCAPE}[?25l${ESCAPE}[?25h`);
  });

  test('is nothing but its lines where there is no terminal', () => {
    const { region, written } = stage(false);
    region.log('one');
    region.draw(['a']);
    region.close();
    expect(written()).toBe('one\n');
  });
});

describe('the demo', () => {
  const RUNGS = ['launched', 'started', 'ssh-up', 'bootstrapped', 'managed', 'installed', 'up', 'replicating', 'routed'];

  test('fires in order, reaches every rung and ends with the heartbeat of the seed, in plain lines for a pipe', async () => {
    const { exit, stdout } = await commandLine(['demo', '--speed', '100']);
    expect(exit).toBe(0);
    expect(stdout).not.toContain(ESCAPE);
    const told = [...stdout.matchAll(/✔ rung . ([a-z-]+):/g)].map(([, name]) => name);
    expect(told).toEqual(RUNGS);
    const fired = [...stdout.matchAll(/▶ (.+) fires/g)].map(([, what]) => what);
    expect(fired).toEqual(['instances start 10.0.0.209', 'instances bootstrap 10.0.0.209 managed', 'services start node13']);
    expect(stdout).toMatch(/^node13 +10\.0\.0\.209 +mariadb +slave +running +000000/m);
    expect(stdout).toMatch(/^node11 +10\.0\.0\.47 +mariadb +slave +Database communication failure +ER0003/m);
    expect(stdout).toMatch(/^i-7fba6203 +10\.0\.0\.209 +running$/m);
  });

  test('tells the same history for the same seed, and another for another', async () => {
    const history = async (seed: string) =>
      (await commandLine(['demo', '--speed', '100', '--seed', seed])).stdout.split('\n\nname')[0];
    const [one, again, other] = await Promise.all([history('7'), history('7'), history('8')]);
    expect(again).toBe(one);
    expect(other).not.toBe(one);
  });

  test('says so and exits with 1 when faults make it fail', async () => {
    const { exit, stdout } = await commandLine(['demo', '--speed', '100', '--faults', '0.5', '--seed', '1']);
    expect(exit).toBe(1);
    expect(stdout).toMatch(/✖ node13 could not be started:\n +✖ .+ failed after 3 tries: /);
  });

  test('draws the ladder in place on a terminal, and leaves it clean when interrupted', async () => {
    const interrupt = new AbortController();
    const { exit, stdout } = await commandLine(['demo', '--speed', '100'], {
      columns: 100,
      interrupted: interrupt.signal,
      onOutput: (soFar) => soFar.includes('╟━━━╢') && soFar.includes('╟─●─╢') && interrupt.abort(),
    });
    expect(exit).toBe(75);
    expect(stdout.endsWith(`${ESCAPE}[?25h`)).toBe(true);
    expect(lines(stdout).some((line) => /8 ╟───╢ routed/.test(line))).toBe(true);
  });
});

test('a warning is told in a line, unless nobody who runs a command can do anything about it', () => {
  const source = new EventEmitter().on('warning', () => {
    throw new Error('as Node tells it');
  });
  let stderr = '';
  tellWarnings(source, { write: (text) => (stderr += text) });
  const warn = (name: string, message: string) => source.emit('warning', Object.assign(new Error(message), { name }));
  warn('ExperimentalWarning', 'SQLite is an experimental feature and might change at any time');
  warn('Warning', 'NodeVersionSupportWarning: The AWS SDK for JavaScript (v3)\nversions published after … require node >=22.');
  warn('DeprecationWarning', 'old\n\nnews\u001b[2J');
  expect(stderr).toBe('fleetbeat: DeprecationWarning: old news\\u001b[2J\n');
});
