import { readFileSync } from 'node:fs';
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { digestOf } from '../digest.ts';
import { FleetError } from '../errors.ts';

/** A lock that one process has, until it gives it back or is no more. */
export interface Lock {
  release(): Promise<void>;
}

/** Who has a lock, in its file. */
interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When the process started, in ticks, so that another one of the same number is told apart; null where nobody can tell. */
  readonly startedAt: string | null;
  /** Tells this taking of the lock from all others. */
  readonly id: string;
}

/** How often a holder shows that it lives, for those on other hosts, who cannot look at its process. */
const RENEW_MS = 10_000;
const STALE_MS = 60_000;

/**
 * Takes a lock, unless somebody has it. That of a process that has died is taken over; that of one that is stopped is not.
 *
 * @throws FleetError ER0228, retryable, with who has it
 */
export async function takeLock(file: string): Promise<Lock> {
  const id = crypto.randomUUID();
  const text = JSON.stringify({ pid: process.pid, host: hostname(), startedAt: startedAt(process.pid), id } satisfies Holder);
  // Made beside it and linked, a lock is there with its holder in it or not at all.
  const own = `${file}.${id}`;
  await writeFile(own, text, { flag: 'wx', mode: 0o600 });
  try {
    for (;;) {
      if (await linked(own, file)) break;
      const found = await textAt(file);
      if (found === null) continue;
      if (!(await isAbandoned(found, file)))
        throw new FleetError('ER0228', `${file} is held by ${nameOf(found)}`, { retryable: true });
      if (await takenOver(own, file, found)) break;
    }
  } finally {
    await rm(own, { force: true });
  }
  const renewing = setInterval(() => void utimes(file, new Date(), new Date()).catch(() => {}), RENEW_MS);
  renewing.unref();
  return {
    async release() {
      clearInterval(renewing);
      if ((await textAt(file)) === text) await rm(file, { force: true });
    },
  };
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

async function textAt(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** What was found abandoned is replaced by one of those who found it so: by whoever has the lock on that very text. */
async function takenOver(own: string, file: string, abandoned: string): Promise<boolean> {
  const turn = await takeLock(`${file}.${digestOf(abandoned)}`);
  try {
    if ((await textAt(file)) !== abandoned) return false;
    await rename(own, file);
    return true;
  } finally {
    await turn.release();
  }
}

async function isAbandoned(text: string, file: string): Promise<boolean> {
  const holder = holderIn(text);
  if (holder?.host === hostname()) return !isAlive(holder);
  return stat(file).then(
    ({ mtimeMs }) => Date.now() - mtimeMs > STALE_MS,
    () => false,
  );
}

function isAlive({ pid, startedAt: start }: Holder): boolean {
  const found = startedAt(pid);
  if (start !== null && found !== null) return start === found;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

const STARTED_AT = 19;

/** Where the system tells, in /proc. The name of the program, which stands before, may have blanks and brackets in it. */
function startedAt(pid: number): string | null {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return line.slice(line.lastIndexOf(')') + 2).split(' ')[STARTED_AT] ?? null;
  } catch {
    return null;
  }
}

function holderIn(text: string): Holder | null {
  try {
    const holder: Partial<Holder> | null = JSON.parse(text);
    if (typeof holder?.pid !== 'number' || typeof holder.host !== 'string') return null;
    return { pid: holder.pid, host: holder.host, startedAt: holder.startedAt ?? null, id: holder.id ?? '' };
  } catch {
    return null;
  }
}

function nameOf(text: string): string {
  const holder = holderIn(text);
  return holder ? `process ${holder.pid} of ${holder.host}` : 'somebody else';
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;
