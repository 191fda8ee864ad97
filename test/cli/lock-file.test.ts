import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { takeLock } from '../../src/cli/lock-file.ts';
import { serverFolder } from '../support/run-folder.ts';

let file = '';

beforeEach(() => {
  file = join(serverFolder('lock'), 'log.lock');
});

const heldBy = (holder: object): void =>
  writeFileSync(file, JSON.stringify({ pid: process.pid, host: hostname(), startedAt: null, ...holder }));

const refusal = { code: 'ER0228', retryable: true, message: expect.stringContaining(`process ${process.pid} of`) };

test('a lock is had by one at a time, and is gone when it is given back', async () => {
  const lock = await takeLock(file);
  await expect(takeLock(file)).rejects.toMatchObject(refusal);
  await lock.release();
  expect(readdirSync(dirname(file))).toEqual([]);
  await (await takeLock(file)).release();
});

test('of many that take it at the same time, one has it', async () => {
  heldBy({ pid: spawnSync('true').pid });
  const taken = await Promise.allSettled(Array.from({ length: 20 }, () => takeLock(file)));
  expect(taken.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test.each<[string, () => object]>([
  ['has died', () => ({ pid: spawnSync('true').pid })],
  ['had the number of another one', () => ({ startedAt: '1' })],
])('that of a process that %s is taken over', async (_, holder) => {
  heldBy(holder());
  await takeLock(file);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
    pid: process.pid,
    startedAt: expect.stringMatching(/^\d{2,}$/),
  });
});

test('that of a process that lives is not, however old it is', async () => {
  heldBy({});
  utimesSync(file, 0, 0);
  await expect(takeLock(file)).rejects.toMatchObject(refusal);
});

test('that of another host is once it was not renewed for long', async () => {
  heldBy({ host: 'elsewhere' });
  await expect(takeLock(file)).rejects.toMatchObject(refusal);
  utimesSync(file, 0, 0);
  await takeLock(file);
  expect(readFileSync(file, 'utf8')).toContain(hostname());
});

test('giving one back that somebody else has taken over leaves theirs', async () => {
  const lock = await takeLock(file);
  heldBy({ host: 'elsewhere' });
  await lock.release();
  expect(existsSync(file)).toBe(true);
});
