import { readdirSync, readFileSync } from 'node:fs';

/** The ticks at which a process started, which with its pid names it for good; null where there is none, or no /proc. */
export const startedAt = (pid: number): string | null => stat(pid)?.startedAt ?? null;

export const isSameProcess = (pid: number, start: string): boolean => startedAt(pid) === start;

/**
 * Sends a signal to a process and all that descends from it. Its group would not do: sshd gives every connection, and every
 * command, a session of its own.
 */
export function signalFamily(pid: number, signal: NodeJS.Signals): void {
  for (const member of family(pid)) sendSignal(member, signal);
}

/** Stops the whole family first, so that nobody forks while the others die. */
export function killFamily(pid: number): void {
  sendSignal(pid, 'SIGSTOP');
  signalFamily(pid, 'SIGSTOP');
  signalFamily(pid, 'SIGKILL');
}

/**
 * Stops a process and all that descends from it, and returns when they stand still: a signal is only noted by `kill`, and each
 * thread serves on until it is next interrupted, or has forked.
 */
export function stopFamily(pid: number): void {
  for (;;) {
    const awake = family(pid).filter(isAwake);
    if (awake.length === 0) return;
    for (const member of awake) sendSignal(member, 'SIGSTOP');
    Atomics.wait(asleep, 0, 0, 1);
  }
}

const asleep = new Int32Array(new SharedArrayBuffer(4));

const isAwake = (pid: number): boolean =>
  threads(pid).some((thread) => /^[RSDI]$/.test(fieldsAt(`/proc/${pid}/task/${thread}/stat`)[0] ?? ''));

function threads(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** Whoever has ended meanwhile needs none. */
export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export const childrenOf = (pid: number): readonly number[] => allPids().filter((each) => stat(each)?.parent === pid);

/** Parents before children. */
function family(root: number): readonly number[] {
  const children = new Map<number, number[]>();
  for (const pid of allPids()) {
    const parent = stat(pid)?.parent;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const members = [root];
  for (const member of members) members.push(...(children.get(member) ?? []));
  return members;
}

function allPids(): readonly number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

function stat(pid: number): { readonly parent: number; readonly startedAt: string } | null {
  const { 0: state, 1: parent, 19: start } = fieldsAt(`/proc/${pid}/stat`);
  return parent === undefined || start === undefined || state === 'Z' ? null : { parent: Number(parent), startedAt: start };
}

/** The fields of a `stat` file from the state on; none where the process, or its thread, is gone. */
function fieldsAt(path: string): readonly string[] {
  try {
    const text = readFileSync(path, 'utf8');
    // The name in parentheses may hold blanks.
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}
