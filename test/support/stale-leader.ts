import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { StaleProcessOptions, Told } from './stale-process.ts';

/** A leader in a process of its own, which is stopped in the middle and continued past its lease. */
export interface StaleLeader {
  /** What it has told so far. */
  readonly told: readonly Told[];
  isStopped(): boolean;
  stop(): void;
  goOn(): void;
  kill(): Promise<void>;
}

const PROCESS = fileURLToPath(new URL('./stale-process.ts', import.meta.url));

/** Starts it; it leads as soon as nobody else does, and starts the service. */
export function startStaleLeader(options: StaleProcessOptions): StaleLeader {
  const file = join(options.folder, 'options.json');
  writeFileSync(file, JSON.stringify(options), { mode: 0o600 });
  const child = spawn(process.execPath, ['--import', 'tsx', PROCESS, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const told: Told[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => told.push(JSON.parse(line)));
  return {
    told,
    isStopped: () => stateOf(child) === 'T',
    stop: () => void child.kill('SIGSTOP'),
    goOn: () => void child.kill('SIGCONT'),
    async kill() {
      if (child.exitCode !== null || !child.kill('SIGKILL')) return;
      await once(child, 'exit');
    },
  };
}

function stateOf({ pid }: ChildProcess): string | undefined {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[0];
}
