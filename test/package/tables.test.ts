import { CODE_TEXTS, DEFAULT_POLICY, fencedShell, isRetryable, OK, type Shell, textOf } from 'fleetbeat';
import { DEFAULT_KINDS, DEFAULT_LATENCY_MS, simulatedKinds } from 'fleetbeat/testing';
import { CONFIG_ACTIONS, DEFAULT_LIMITS, INSTANCE_WORDS, read, WIRE_VERSION } from 'fleetbeat/wire';
import { expect, test } from 'vitest';

test('every code has six characters, a text of its own, and a word on whether to try again', () => {
  const codes = Object.keys(CODE_TEXTS);
  expect(codes.every((code) => /^(000000|ER\d{4})$/.test(code))).toBe(true);
  expect(new Set(codes.map(textOf)).size).toBe(codes.length);
  expect([OK, 'ER0016', 'ER0222'].map((code) => [textOf(code), isRetryable(code)])).toEqual([
    ['running', true],
    ['Delayed start until instance start', true],
    ['Malformed input', false],
  ]);
  expect(textOf('ER9999')).toBe('ER9999');
});

test('the words and limits of the wire are those that it goes by', () => {
  for (const action of CONFIG_ACTIONS)
    expect(read(JSON.stringify({ level: 'config', command: { action, group: 'all' } }))).toMatchObject({ kind: 'command' });
  for (const state of INSTANCE_WORDS)
    expect(read(JSON.stringify({ instances: [{ 'i-1': { id: 'i-1', ip: null, state } }] }))).toMatchObject({ kind: 'instances' });
  expect(WIRE_VERSION).toMatch(/^1\.\d+$/);
  const deep = '['.repeat(DEFAULT_LIMITS.maxDepth + 1) + ']'.repeat(DEFAULT_LIMITS.maxDepth + 1);
  expect(() => read(deep)).toThrow(expect.objectContaining({ code: 'ER0223' }));
});

test('the simulated kinds are those that a fleet is given, and every delay has a range', () => {
  expect(simulatedKinds().map(({ mode, ladder }) => [mode, ladder])).toEqual(
    Object.entries(DEFAULT_KINDS).map(([mode, { ladder }]) => [mode, ladder]),
  );
  for (const [low, high] of Object.values(DEFAULT_LATENCY_MS)) expect(low).toBeLessThanOrEqual(high);
});

test('a fenced shell sends what it is given behind the fence of its permit', async () => {
  const sent: (readonly string[])[] = [];
  const shell: Shell = {
    reachable: async () => 'up',
    run: async (_, argv) => {
      sent.push(argv);
      return { exit: 0, stdout: '', stderr: '' };
    },
    put: async () => {},
  };
  const fenced = fencedShell(shell, { token: 't' as never, fence: 42, valid: () => true });
  await fenced.run('10.0.0.1' as never, ['true', 'a b'], { deadlineMs: 1000 }, new AbortController().signal);
  expect(sent[0]?.slice(-2)).toEqual(['true', 'a b']);
  expect(sent[0]).toContain('42');
});

test('every time of the policy is a positive number of milliseconds, and a lease outlives the reading of a driver', () => {
  for (const [name, value] of Object.entries(DEFAULT_POLICY)) expect([name, value > 0]).toEqual([name, true]);
  expect(DEFAULT_POLICY.leaseMs).toBeGreaterThan(DEFAULT_POLICY.observeMs);
  expect(DEFAULT_POLICY.backoffMaxMs).toBeGreaterThan(DEFAULT_POLICY.backoffMs);
});
