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

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

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
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold blanks; fields are counted from the one behind it, the state.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [state, parent, start] = [fields[0], fields[1], fields[19]];
    return parent === undefined || start === undefined || state === 'Z' ? null : { parent: Number(parent), startedAt: start };
  } catch {
    return null;
  }
}
