import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { asInstant, serviceKey } from 'fleetbeat';
import { audit } from 'fleetbeat/adapters/audit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { showAudit } from '../../src/cli/audit-command.ts';
import { type AuditAsked, readAuditOptions } from '../../src/cli/audit-options.ts';
import { addAudit } from '../../src/cli/audit-program.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { auditEntry } from '../support/audit-entry.ts';

const NOW = Date.UTC(2026, 4, 1, 12);
let folder = '';
let file = '';

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fleetbeat-audit-'));
  file = join(folder, 'audit.jsonl');
  const log = await audit({ file });
  await log.write(auditEntry({ at: asInstant(NOW - 7_200_000), after: 'waiting' }));
  await log.write(auditEntry({ at: asInstant(NOW - 60_000), entity: serviceKey('node11'), why: 'ssh \u001b[31mtimeout' }));
  await log.close();
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What the command writes, and how it ends. */
async function ran(args: readonly string[], isTTY = false) {
  let stdout = '';
  let stderr = '';
  let asked: AuditAsked | undefined;
  const root = new Command('fleetbeat').option('--json').exitOverride();
  addAudit(root, (one) => {
    asked = one;
  });
  root.parse(['audit', ...args], { from: 'user' });
  const terminal: Terminal = {
    stdin: process.stdin,
    stdout: { isTTY, columns: 200, write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env: { NO_COLOR: '1' },
    cwd: folder,
    interrupted: new AbortController().signal,
  };
  const exit = await showAudit({ file, verify: false, json: false, ...asked }, terminal);
  return { exit, stdout, stderr, lines: stdout.trimEnd().split('\n') };
}

test('a pipe gets the lines as they stand in the log', async () => {
  expect(await ran([])).toMatchObject({ exit: 0, stdout: readFileSync(file, 'utf8'), stderr: '' });
});

test('a person gets a table that is safe to show', async () => {
  const { lines, stdout } = await ran([], true);
  expect(lines).toHaveLength(3);
  expect(lines[2]).toMatch(/node11.*services start node10.*waiting.*done.*timeout/);
  expect(stdout).not.toContain('\u001b');
});

test('only what is about an entity is shown', async () => {
  expect((await ran(['--entity', 'node11'])).lines.map((line) => JSON.parse(line).seq)).toEqual([2]);
  expect((await ran(['--entity', 'node99'], true)).stdout).toBe('no lines\n');
});

test.each([
  ['30m', 1_800_000],
  ['12h', 43_200_000],
  ['7d', 604_800_000],
  ['2026-05-01T11:59:00Z', 60_000],
  ['2026-05-01T13:59:00+02:00', 60_000],
])('since %s means so long ago', (since, ms) => {
  expect(readAuditOptions({ since }, NOW).since).toBe(NOW - ms);
});

test.each(['yesterday', '1', '-1h', '2026-13-01', '2026-05-01T08', ''])('since %j is not understood', (since) => {
  expect(() => readAuditOptions({ since }, NOW)).toThrow(/--since/);
});

test('a log that is whole verifies, with its head', async () => {
  const { exit, stdout } = await ran(['--verify']);
  expect(exit).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ lines: 2, from: 1, head: { seq: 2 }, broken: null });
  expect((await ran(['--verify'], true)).stdout).toMatch(
    /^2 lines are as they were written: 1 to 2, the last with hash [0-9a-f]{64} \(1 file\)\n$/,
  );
});

test('a log that was changed does not verify, and is shown without the line', async () => {
  writeFileSync(file, readFileSync(file, 'utf8').replace('waiting","after":"waiting', 'waiting","after":"done'));
  const verified = await ran(['--verify'], true);
  expect(verified).toMatchObject({ exit: 1, stdout: expect.stringContaining('line 1: it is not as it was written') });
  const shown = await ran([]);
  expect(shown).toMatchObject({ exit: 1, stderr: expect.stringContaining('line 1 is not as it was written') });
  expect(shown.lines.map((line) => JSON.parse(line).seq)).toEqual([2]);
});

test('a log that is not there is told', async () => {
  await expect(ran(['--file', join(folder, 'none')])).rejects.toMatchObject({ code: 'ER0228' });
});

test('verifying looks at every line or at none', () => {
  expect(() => readAuditOptions({ verify: true, since: '1h' }, NOW)).toThrow(/--since/);
});
