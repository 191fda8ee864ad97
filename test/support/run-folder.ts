import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isSameProcess, killFamily, startedAt } from './process-table.ts';

/**
 * One folder per test run holds all that its servers write, and a pid file for each server: what a killed run has left behind
 * can be found, and ended, by the next one.
 */
const PREFIX = 'fleetbeat-test-';
const VARIABLE = 'FLEETBEAT_TEST_FOLDER';

/** The folder of the present run; the workers of one run share it. Outside of vitest it is made on first use. */
export function runFolder(): string {
  const known = process.env[VARIABLE];
  if (known !== undefined) return known;
  const folder = mkdtempSync(join(tmpdir(), PREFIX));
  mkdirSync(join(folder, 'pids'));
  writeFileSync(join(folder, 'owner'), pidLine(process.pid));
  process.env[VARIABLE] = folder;
  process.once('exit', () => removeRun(folder));
  return folder;
}

/** A new folder for one server. */
export const serverFolder = (name: string): string => mkdtempSync(join(runFolder(), `${name}-`));

export function recordPid(pid: number): void {
  writeFileSync(pidFile(pid), pidLine(pid));
}

export function forgetPid(pid: number): void {
  rmSync(pidFile(pid), { force: true });
}

/** Ends the servers of a run that are still alive, and removes its folder. */
export function removeRun(folder: string): void {
  for (const line of pidLines(folder)) if (isSameProcess(line.pid, line.startedAt)) killFamily(line.pid);
  rmSync(folder, { recursive: true, force: true });
}

/** Removes every run whose owner is no more. */
export function reapEarlierRuns(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(tmpdir(), name);
    const owner = readPid(join(folder, 'owner'));
    if (owner !== null && !isSameProcess(owner.pid, owner.startedAt)) removeRun(folder);
  }
}

interface PidLine {
  readonly pid: number;
  readonly startedAt: string;
}

const pidFile = (pid: number): string => join(runFolder(), 'pids', String(pid));
/** With the time of its start, since the number alone may by now be another process's. */
const pidLine = (pid: number): string => `${pid} ${startedAt(pid) ?? ''}`;

function pidLines(folder: string): readonly PidLine[] {
  const pids = join(folder, 'pids');
  try {
    return readdirSync(pids).flatMap((name) => readPid(join(pids, name)) ?? []);
  } catch {
    return [];
  }
}

function readPid(path: string): PidLine | null {
  try {
    const [pid, start] = readFileSync(path, 'utf8').split(' ');
    // Without /proc there is no start time: such a process is not ours to judge.
    return pid === undefined || !start ? null : { pid: Number(pid), startedAt: start };
  } catch {
    return null;
  }
}
