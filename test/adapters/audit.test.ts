import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { asInstant, serviceKey } from 'fleetbeat';
import {
  type AuditEntry,
  type AuditLine,
  type AuditLog,
  type AuditQuery,
  audit,
  auditFiles,
  auditFleet,
  readAudit,
  verifyAudit,
} from 'fleetbeat/adapters/audit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { auditEntry } from '../support/audit-entry.ts';
import { fleetStage } from '../support/fleet-stage.ts';

let folder = '';
let file = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fleetbeat-audit-'));
  file = join(folder, 'audit.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Opens the log, writes so many lines (named by their number), and closes it. */
async function wrote(count: number, options: Partial<Parameters<typeof audit>[0]> = {}): Promise<void> {
  const log = await audit({ file, ...options });
  for (let n = 1; n <= count; n++) await log.write(auditEntry({ what: `line ${n}` }));
  await log.close();
}

async function all(query: Partial<AuditQuery> = {}): Promise<readonly AuditLine[]> {
  const lines: AuditLine[] = [];
  for await (const line of readAudit({ file, ...query })) lines.push(line);
  return lines;
}

const verdict = async () => verifyAudit(await auditFiles(file));
const textLines = () => readFileSync(file, 'utf8').trimEnd().split('\n');
const put = (lines: readonly string[]) => writeFileSync(file, lines.map((line) => `${line}\n`).join(''));

describe('a line', () => {
  test('says who did what, why, resting on which observation, and follows the one before', async () => {
    const log = await audit({ file });
    await log.write(auditEntry());
    await log.write(auditEntry({ code: 'ER0212' }));
    await log.close();
    const [first, second] = textLines().map((line) => JSON.parse(line));
    expect(first).toEqual({
      seq: 1,
      at: '2026-05-01T08:30:00.000Z',
      who: 'host1',
      what: 'services start node10',
      entity: 'services/node10',
      why: 'instances 10.0.0.102 is running',
      observation: { key: 'services/node10', read_at: '2026-05-01T08:29:00.000Z', source: 'services' },
      before: 'waiting',
      after: 'done',
      action: 'a1',
      attempt: 0,
      code: null,
      prev: '0'.repeat(64),
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(second).toMatchObject({ seq: 2, code: 'ER0212', prev: first.hash });
    expect(log.head).toEqual({ seq: 2, hash: second.hash });
  });

  test('has its listed fields and no others, each as one line of safe text', async () => {
    const log = await audit({ file });
    const entry = {
      ...auditEntry({ why: `a\n\u001b[31mb${'x'.repeat(500)}` }),
      password: 'hunter2',
      observation: { ...auditEntry().observation, token: 'hunter2' },
    };
    await log.write(entry as AuditEntry);
    await log.close();
    const [line] = await all();
    expect(readFileSync(file, 'utf8')).not.toContain('hunter2');
    expect(line?.why).toMatch(/^…x{300}$/);
  });

  test('is for its owner only', async () => {
    await wrote(1);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('is on the disk, in order, once its write has resolved, however many come at once', async () => {
    const log = await audit({ file });
    await Promise.all(Array.from({ length: 1000 }, (_, n) => log.write(auditEntry({ what: `line ${n}` }))));
    expect(textLines().map((line) => JSON.parse(line).what)).toEqual(Array.from({ length: 1000 }, (_, n) => `line ${n}`));
    await log.close();
    expect(await verdict()).toMatchObject({ lines: 1000, from: 1, broken: null });
  });
});

describe('whoever changes a log', () => {
  test('by any byte of a line is found at that line', async () => {
    await wrote(5);
    const whole = readFileSync(file);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 2), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const changed = Buffer.from(whole);
        changed[at] = (changed[at] ?? 0) ^ flip;
        writeFileSync(file, changed);
        const line = whole.subarray(0, at).toString('latin1').split('\n').length;
        expect((await verdict()).broken?.line).toBe(line);
      }),
      { numRuns: 150 },
    );
  });

  test('by a line that is removed, moved, repeated or put in is found', async () => {
    await wrote(4);
    const [a = '', b = '', c = '', d = ''] = textLines();
    for (const [lines, line] of [
      [[a, c, d], 2],
      [[a, c, b, d], 2],
      [[a, b, b, c, d], 3],
      [[a, b.replace('line 2', 'line 9'), c, d], 2],
      [[a, b, '{"seq":3}', c, d], 3],
      [[a, '', b, c, d], 2],
    ] as const) {
      put(lines);
      expect((await verdict()).broken).toMatchObject({ file, line });
    }
  });

  test('by a line that is written anew, with a hash that fits it, is found behind it', async () => {
    await wrote(4);
    const lines = textLines();
    const forged = (n: number, change: object) => {
      const { hash: _, ...line } = JSON.parse(lines[n - 1] ?? '');
      const text = JSON.stringify({ ...line, ...change });
      const hash = createHash('sha256').update(text).digest('hex');
      return lines.with(n - 1, `${text.slice(0, -1)},"hash":"${hash}"}`);
    };
    put(forged(2, { what: 'nothing' }));
    expect((await verdict()).broken).toMatchObject({ line: 3, reason: expect.stringContaining('does not follow') });
    put(forged(4, { seq: 7 }));
    expect((await verdict()).broken).toMatchObject({ line: 4, reason: 'its number is 7, where 4 is due' });
  });

  test('by a whole file that is removed from the middle is found', async () => {
    await wrote(30, { maxBytes: 2000 });
    const [, second = '', third = ''] = await auditFiles(file);
    rmSync(second);
    expect((await verdict()).broken).toMatchObject({ file: third, line: 1 });
  });

  test('by a cut end is found by who has kept the head', async () => {
    await wrote(4);
    const kept = (await verdict()).head;
    put(textLines().slice(0, 3));
    const { head, broken } = await verdict();
    expect(broken).toBeNull();
    expect(head?.seq).toBe(3);
    expect(head).not.toEqual(kept);
  });
});

describe('a log that is full', () => {
  test('goes on in another file, and its chain with it', async () => {
    await wrote(30, { maxBytes: 2000 });
    const files = await auditFiles(file);
    expect(files.length).toBeGreaterThan(3);
    expect(files.map((one) => basename(one)).slice(0, 1)).toEqual(['audit.jsonl.000000000001']);
    expect(await verdict()).toMatchObject({ lines: 30, from: 1, broken: null, head: { seq: 30 } });
    expect((await all()).map(({ what }) => what)).toEqual(Array.from({ length: 30 }, (_, n) => `line ${n + 1}`));
  });

  test('goes on where it was after a restart', async () => {
    await wrote(10, { maxBytes: 2000 });
    await wrote(10, { maxBytes: 2000 });
    expect(await verdict()).toMatchObject({ lines: 20, broken: null });
  });

  test('goes on after a process that died between two files', async () => {
    await wrote(10, { maxBytes: 2000 });
    const last = await all();
    const target = `${file}.${String((JSON.parse(textLines()[0] ?? '') as AuditLine).seq).padStart(12, '0')}`;
    copyFileSync(file, target);
    rmSync(file);
    await wrote(1, { maxBytes: 2000 });
    expect(await verdict()).toMatchObject({ lines: last.length + 1, broken: null });
  });

  test('keeps as many files as it is told, and is whole from there on', async () => {
    await wrote(30, { maxBytes: 2000, keep: 2 });
    expect(await auditFiles(file)).toHaveLength(3);
    const { from, broken, head } = await verdict();
    expect(broken).toBeNull();
    expect(from).toBeGreaterThan(1);
    expect(head?.seq).toBe(30);
  });
});

describe('a process that dies over a line', () => {
  test('at any byte of it loses that line only; the next one cuts it, says so and goes on', async () => {
    await wrote(2);
    const two = readFileSync(file);
    const oneLine = two.indexOf('\n') + 1;
    for (let size = oneLine; size < two.length; size += 7) {
      writeFileSync(file, two.subarray(0, size));
      expect((await verdict()).broken).toBeNull();
      await wrote(1);
      const whats = (await all()).map(({ what }) => what);
      expect(whats).toEqual(size === oneLine ? ['line 1', 'line 1'] : ['line 1', 'healed', 'line 1']);
      expect((await verdict()).broken).toBeNull();
    }
  });

  test('the first one, or a file that the disk has filled with zeros, is healed too', async () => {
    for (const torn of ['{"se', '{"seq":1,"at":"20', '{"seq":1\0\0\0', '\0'.repeat(4096)]) {
      writeFileSync(file, torn);
      await wrote(1);
      expect((await all()).map(({ what }) => what)).toEqual(['healed', 'line 1']);
      rmSync(file);
    }
  });

  test('killed again and again loses no line that was said to be on the disk', async () => {
    const program = fileURLToPath(new URL('../support/audit-writer.ts', import.meta.url));
    const tsx = import.meta.resolve('tsx');
    let acknowledged = 0;
    for (let run = 0; run < 3; run++) {
      const writer = spawn(process.execPath, ['--import', tsx, program, file], { stdio: ['ignore', 'pipe', 'inherit'] });
      let said = '';
      writer.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (said.split('\n').length > 20 + run * 7) writer.kill('SIGKILL');
      });
      await once(writer, 'close');
      acknowledged += 3 * (said.split('\n').length - 1);
    }
    await wrote(1);
    const { lines, broken } = await verdict();
    expect(broken).toBeNull();
    expect(lines).toBeGreaterThan(acknowledged);
    expect((await auditFiles(file)).length).toBeGreaterThan(1);
  });
});

describe('a file that is not ours', () => {
  test.each([
    ['another file', 'root:x:0:0\nbin:x:1:1\n'],
    ['one without lines', 'hello'],
    ['a log whose last line was changed', '{"seq":1,"hash":"00"}\n'],
  ])('%s is refused and left as it is', async (_, content) => {
    writeFileSync(file, content);
    await expect(audit({ file })).rejects.toMatchObject({ code: 'ER0228' });
    expect(readFileSync(file, 'utf8')).toBe(content);
  });

  test('that somebody else writes to meanwhile is refused', async () => {
    const log = await audit({ file });
    await log.write(auditEntry());
    appendFileSync(file, 'x\n');
    await expect(log.write(auditEntry())).rejects.toMatchObject({
      code: 'ER0228',
      detail: expect.stringContaining('somebody else'),
    });
    await log.close();
  });

  test('that was removed or cut meanwhile is refused', async () => {
    const log = await audit({ file });
    await log.write(auditEntry());
    truncateSync(file, 10);
    await expect(log.write(auditEntry())).rejects.toMatchObject({ code: 'ER0228' });
    rmSync(file);
    await expect(log.write(auditEntry())).rejects.toMatchObject({ code: 'ER0228', detail: expect.stringContaining('removed') });
    await log.close();
    await expect(log.write(auditEntry())).rejects.toMatchObject({ code: 'ER0228' });
  });

  test('beside the log is not read as part of it', async () => {
    await wrote(1);
    writeFileSync(`${file}.bak`, 'x');
    writeFileSync(`${file}.000000000001.gz`, 'x');
    expect(await auditFiles(file)).toEqual([file]);
  });

  test('is not there at all', async () => {
    await expect(auditFiles(join(folder, 'none', 'audit.jsonl'))).rejects.toMatchObject({ code: 'ER0228' });
  });
});

describe('reading', () => {
  test('gives what happened since then, to one entity', async () => {
    const log = await audit({ file, maxBytes: 1000 });
    for (const [minute, name] of [
      [1, 'node10'],
      [2, 'node11'],
      [3, 'node10'],
      [4, 'node10'],
    ] as const) {
      await log.write(auditEntry({ at: asInstant(minute * 60_000), what: String(minute), entity: serviceKey(name) }));
    }
    await log.close();
    const whats = async (query: Partial<AuditQuery>) => (await all(query)).map(({ what }) => what);
    expect(await whats({ since: asInstant(120_000) })).toEqual(['2', '3', '4']);
    expect(await whats({ entity: 'node10' })).toEqual(['1', '3', '4']);
    expect(await whats({ entity: 'services/node10', since: asInstant(180_000) })).toEqual(['3', '4']);
  });

  test('ends at a line that was changed, or tells of it and goes on', async () => {
    await wrote(3);
    const [a = '', b = '', c = ''] = textLines();
    put([a, b.replace('line 2', 'line 9'), c]);
    await expect(all()).rejects.toMatchObject({ code: 'ER0228' });
    const broken: number[] = [];
    expect((await all({ onBroken: (_, line) => broken.push(line) })).map(({ what }) => what)).toEqual(['line 1', 'line 3']);
    expect(broken).toEqual([2]);
  });
});

describe('the log of a fleet', () => {
  const WORLD = {
    services: [{ name: 'node10', ip: '10.0.0.102', mode: 'memcache', status: 'master', state: 'stopped' }],
  } as const;

  test('tells what was seen and done, by whom, why and on which observation', async () => {
    const { fleet, beatUntilIdle, now } = fleetStage({
      world: { ...WORLD, instances: [{ id: 'i-1', ip: '10.0.0.102', state: 'stopped' }] },
    });
    const log = await audit({ file });
    const subscription = auditFleet(fleet, log, { who: 'host1', onError: (error) => expect.unreachable(String(error)), now });
    await fleet.beat();
    await fleet.dispatch({ level: 'services', action: 'start', group: 'node10' });
    await beatUntilIdle();
    subscription.unsubscribe();
    await fleet.stop();
    await log.close();
    expect((await verdict()).broken).toBeNull();
    const lines = await all();
    const starts = lines.filter(({ what }) => what === 'services start node10');
    expect(starts[0]).toMatchObject({
      who: 'host1',
      entity: 'services/node10',
      before: null,
      after: 'waiting',
      why: 'instances 10.0.0.102 is running',
      attempt: 0,
    });
    expect(starts.at(-1)).toMatchObject({
      after: 'done',
      observation: { key: expect.stringMatching(/i-1$/) },
      action: starts[0]?.action,
    });
    const seen = lines.filter(({ entity, what }) => entity === 'services/node10' && what === 'changed');
    expect(seen.at(-1)).toMatchObject({ before: expect.any(String), after: 'up', observation: { key: 'services/node10' } });
  });

  test('tells what was recovered, what was not and why, and what was in maintenance, by whom', async () => {
    const ips = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
    const services = ips.map((ip, i) => {
      return { name: `node${i}`, ip, mode: 'memcache', status: 'master', state: 'up', cluster: 'shop' } as const;
    });
    const instances = ips.map((ip) => ({ id: `i-${ip}`, ip, state: 'running' as const }));
    const { fleet, simulated, pass, now } = fleetStage({
      world: { services, instances },
      policy: { dwellMs: 10_000, radiusLeast: 1, radiusPercent: 0 },
      fleet: { recover: { clusters: ['shop'] } },
    });
    const log = await audit({ file });
    auditFleet(fleet, log, { who: 'host1', onError: (error) => expect.unreachable(String(error)), now });
    await pass(10_000);
    simulated.world.crash('node0');
    await pass(60_000);
    await fleet.maintain({ subject: 'node2', owner: 'anna', reason: 'new disks' });
    await fleet.maintain({ subject: 'all', owner: 'bert', reason: 'move', forMs: 4000 });
    await pass(8000);
    await fleet.resume('node2');
    for (const name of ['node0', 'node1']) simulated.world.crash(name);
    await pass(60_000);
    await fleet.stop();
    await log.close();
    const lines = await all();
    const told = (fits: (line: AuditLine) => boolean) =>
      lines.filter(fits).map(({ who, what, before, after, code, why }) => [who, what, before, after, code, why].join(' | '));

    const what = 'host1 | recovery';
    const why = 'observed only: 2 losses at once among 3 services, at most 1 are acted on';
    expect(told((line) => line.what === 'recovery' && line.entity === 'services/node0' && line.code !== 'ER0238')).toEqual([
      `${what} |  | suspect | ER0248 | stopped: perhaps it does not last`,
      `${what} | suspect | acting | ER0255 | recovering: stopped`,
      `${what} | acting | well | 000000 | `,
      `${what} | waiting | well | 000000 | `,
      `${what} | well | suspect | ER0248 | stopped: perhaps it does not last`,
      `${what} | suspect | waiting | ER0239 | ${why}`,
    ]);
    const cluster = 'cluster shop: 2 losses at once among 3 services, at most 1 are acted on; nothing of it is recovered';
    expect(told(({ code, entity }) => code === 'ER0239' && entity === null)).toEqual([
      `host1 | problem shop |  |  | ER0239 | ${cluster}`,
    ]);
    const maintained = /^maintenance (begun|expired|ended)$/;
    expect(lines.filter((line) => maintained.test(line.what))).toMatchObject([
      {
        who: 'anna',
        what: 'maintenance begun',
        entity: 'services/node2',
        code: 'ER0238',
        why: expect.stringContaining('new disks'),
      },
      { who: 'bert', what: 'maintenance begun', entity: null, code: 'ER0238', why: expect.stringContaining('move') },
      { who: 'host1', what: 'maintenance expired', entity: null, code: '000000', why: expect.stringContaining('of all by bert') },
      { who: 'host1', what: 'maintenance ended', entity: 'services/node2', code: '000000', why: expect.stringContaining('anna') },
    ]);
  });

  test('has of the problems those that no line about an entity tells', async () => {
    const { fleet, pass } = fleetStage({ world: WORLD });
    const lines: AuditEntry[] = [];
    auditFleet(fleet, { write: async (entry) => void lines.push(entry) }, { who: 'host1', onError: () => {} });
    await pass(4000);
    await fleet.maintain({ subject: 'node10', owner: 'anna', reason: 'new disks' });
    const problems: string[] = [];
    fleet.on('problem', ({ code }) => problems.push(code));
    await fleet.dispatch({ level: 'services', action: 'start', group: 'node10' });
    expect(problems).toContain('ER0238');
    expect(lines.filter(({ what }) => what.startsWith('problem'))).toEqual([]);
  });

  test('keeps no fleet from going on where it cannot be written', async () => {
    const { fleet } = fleetStage();
    const errors: unknown[] = [];
    const failing: Pick<AuditLog, 'write'> = { write: () => Promise.reject(new Error('disk full')) };
    auditFleet(fleet, failing, { who: 'host1', onError: (error) => errors.push(error) });
    const changes = await fleet.beat();
    expect(changes.length).toBeGreaterThan(0);
    expect(errors).toHaveLength(changes.length);
  });
});

test('a log leaves nothing else in its folder', async () => {
  await wrote(3);
  expect(readdirSync(folder)).toEqual(['audit.jsonl']);
});
