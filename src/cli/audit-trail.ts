import { hostname, userInfo } from 'node:os';
import type { ActionStatus } from '../domain/action.ts';
import { FleetError, isFleetError, messageOf } from '../errors.ts';
import type { Fleet } from '../index.ts';
import type { ConfiguredAudit } from './config/schema.ts';
import { type Lock, takeLock } from './lock-file.ts';
import { pause } from './pause.ts';

type AuditEntry = import('../../adapters/audit.ts').AuditEntry;
type AuditLog = import('../../adapters/audit.ts').AuditLog;

/** What a fleet sees and does while it leads, written down. */
export interface AuditTrail {
  /** Writes what it still owes; called while the fleet may still lead. */
  settle(): void;
  /** Resolves once all of it is on the disk, or is told to be lost. */
  close(): Promise<void>;
}

export interface TrailOptions {
  /** Whether this fleet changes actions; else it only looks at what stands in the store, which is no news. */
  readonly decides: () => boolean;
  /** How long nobody may have led before this fleet does. */
  readonly unledMs: number;
  readonly onError: (error: unknown) => void;
}

/** How an action leaves the store, whoever looks at it then. */
const ENDS: ReadonlySet<string | null> = new Set<ActionStatus>(['done', 'expired', 'cancelled']);

/** How long a line waits for another process to let go of the log: one that ends has only its last lines to write. */
const LOCK_MS = 10_000;
const LOOK_MS = 50;
const MOST_UNLED = 10_000;

/**
 * Writes down what a fleet sees and does while it leads. Whoever else beats on the same store sees the same, and only asks or
 * arms: what it has armed, the leader finds. Fleets that lead one after the other write to one log, so that a process has it to
 * itself, by a lock, from its first line until it ends or leads no more.
 */
export async function keepTrail(
  fleet: Pick<Fleet, 'on' | 'role'>,
  configured: ConfiguredAudit,
  { decides, unledMs, onError }: TrailOptions,
): Promise<AuditTrail> {
  const { audit, auditFleet } = await import('../../adapters/audit.ts');
  const lockFile = `${configured.file}.lock`;
  let waiting: AuditEntry[] = [];
  let unled: { readonly entry: AuditEntry; readonly seenAt: number }[] = [];
  let held: { readonly log: AuditLog; readonly lock: Lock } | null = null;
  let working: Promise<void> | null = null;

  async function open(): Promise<AuditLog> {
    if (held) return held.log;
    const lock = await lockOf(lockFile);
    try {
      held = { lock, log: await audit(configured) };
      return held.log;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  async function letGo(): Promise<void> {
    const was = held;
    held = null;
    await was?.log.close();
    await was?.lock.release();
  }

  /** Lines that are lost are told, once for all that were written together. */
  async function write(some: readonly AuditEntry[]): Promise<void> {
    try {
      const log = await open();
      const results = await Promise.allSettled(some.map((entry) => log.write(entry)));
      const failed = results.filter((result) => result.status === 'rejected');
      if (failed[0] === undefined) return;
      tellLost(failed.length, failed[0].reason);
      // What went wrong with it may not go wrong with the log as it is found next.
      await letGo();
    } catch (error) {
      tellLost(some.length, error);
    }
  }

  const tellLost = (lines: number, cause: unknown): void =>
    onError(new FleetError('ER0228', `${lines} lines are not in ${configured.file}: ${messageOf(cause)}`, { cause }));

  async function work(): Promise<void> {
    while (waiting.length > 0) {
      const some = waiting;
      waiting = [];
      await write(some);
    }
    if (fleet.role === 'standby') await letGo().catch(onError);
  }

  function begin(): void {
    working ??= work().finally(() => {
      working = null;
      if (waiting.length > 0) begin();
    });
  }

  /** What was seen while nobody led, nobody else has written down. */
  function writeUnled(): void {
    if (fleet.role === 'standby' || unled.length === 0) return;
    const since = Date.now() - unledMs;
    waiting.push(...unled.filter(({ seenAt }) => seenAt >= since).map(({ entry }) => entry));
    unled = [];
    begin();
  }

  function keepUnled(entry: AuditEntry): void {
    unled.push({ entry, seenAt: Date.now() });
    if (unled.length > 2 * MOST_UNLED) unled = unled.slice(-MOST_UNLED);
  }

  async function take(entry: AuditEntry): Promise<void> {
    const isNews = entry.action === null || decides() || ENDS.has(entry.after);
    if (fleet.role === 'standby') {
      if (isNews) keepUnled(entry);
      if (held) begin();
      return;
    }
    writeUnled();
    if (!isNews) return;
    waiting.push(entry);
    begin();
  }

  const subscription = auditFleet(fleet, { write: take }, { who: ownName(), onError });

  return {
    settle: writeUnled,
    async close() {
      subscription.unsubscribe();
      while (working) await working;
      await letGo().catch(onError);
    },
  };
}

async function lockOf(file: string): Promise<Lock> {
  const until = AbortSignal.timeout(LOCK_MS);
  for (;;) {
    try {
      return await takeLock(file);
    } catch (error) {
      if (!isFleetError(error) || until.aborted) throw error;
      await pause(LOOK_MS, until);
    }
  }
}

/** Who runs this process, such as `alice@db1`. */
function ownName(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // A container may run under a number that has no name.
    return `${process.getuid?.() ?? 'somebody'}@${hostname()}`;
  }
}
