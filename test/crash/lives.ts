import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { forgetPid, recordPid, serverFolder } from '../support/run-folder.ts';
import { REQUESTS } from './history.ts';
import type { CrashStore, Orders } from './process.ts';
import { createWorld, type Question, type World } from './world.ts';

/** What came of a history in which a process may have died. */
export interface Outcome {
  readonly world: World;
  /** Whether the process died where it was to. */
  readonly hasDied: boolean;
  /** The actions that were acknowledged, by the request. */
  readonly acknowledged: ReadonlyMap<string, readonly string[]>;
}

/** What happens around the processes. */
export interface Surroundings {
  /** The processes are files of this program. */
  readonly program: string;
  readonly store: (folder: string) => CrashStore;
  /** Told of every question to the world, before it is answered. */
  readonly onQuestion?: () => Promise<void>;
  /** Called when the first process has died and nobody runs. */
  readonly onDeath?: () => Promise<void>;
}

/** Lets one process live until it dies, and another one until the history has come to its end. */
export async function twoLives(around: Surroundings, death: number | null): Promise<Outcome> {
  const folder = serverFolder('history');
  const log = join(folder, 'requests');
  const world = createWorld();
  const store = around.store(folder);
  const first = { store, death, owner: 'first', log };
  const hasDied = await live(around, world, { ...first, ...whatIsKnown(log), now: world.now() });
  if (hasDied) {
    await around.onDeath?.();
    await live(around, world, { ...first, ...whatIsKnown(log), death: null, owner: 'second', now: world.now() });
  }
  return { world, hasDied, acknowledged: linesOf(log).acknowledged };
}

/** @returns whether it was killed; a process that fails makes the test fail */
async function live(around: Surroundings, world: World, orders: Orders): Promise<boolean> {
  const child = fork(around.program, { execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const { pid } = child;
  if (pid !== undefined) recordPid(pid);
  let said = '';
  child.stderr?.on('data', (bytes: Buffer) => {
    said += bytes;
  });
  child.on('message', async ({ id, question }: { readonly id: number; readonly question: Question }) => {
    await around.onQuestion?.();
    const answer = await world.answer(question);
    // Whoever asked may have died meanwhile.
    if (child.connected) child.send({ id, answer }, () => {});
  });
  child.send(orders);
  const [[exit, signal]] = await Promise.all([once(child, 'exit'), once(child, 'disconnect')]);
  if (pid !== undefined) forgetPid(pid);
  if (signal === 'SIGKILL' && orders.death) return true;
  if (exit !== 0) throw new Error(`the process ${orders.owner} ended with ${exit ?? signal}: ${said}`);
  return false;
}

/** What was asked for and not acknowledged is asked again by the next process, unless that would be another wish. */
function whatIsKnown(log: string): Pick<Orders, 'settled' | 'acknowledged'> {
  const { asked, acknowledged } = linesOf(log);
  const once = REQUESTS.filter(({ name, mayRepeat }) => !mayRepeat && asked.has(name)).map(({ name }) => name);
  return { settled: [...acknowledged.keys(), ...once], acknowledged: [...acknowledged.values()].flat() };
}

function linesOf(log: string): {
  readonly asked: ReadonlySet<string>;
  readonly acknowledged: ReadonlyMap<string, readonly string[]>;
} {
  const asked = new Set<string>();
  const acknowledged = new Map<string, readonly string[]>();
  for (const text of existsSync(log) ? readFileSync(log, 'utf8').split('\n') : []) {
    if (text === '') continue;
    const line: { readonly asks?: string; readonly acknowledged?: string; readonly ids?: readonly string[] } = JSON.parse(text);
    if (line.asks !== undefined) asked.add(line.asks);
    if (line.acknowledged !== undefined) acknowledged.set(line.acknowledged, line.ids ?? []);
  }
  return { asked, acknowledged };
}
