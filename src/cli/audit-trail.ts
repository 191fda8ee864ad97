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
  /** Resolves once all of it is on the disk, or is told to be lost. */
  close(): Promise<void>;
}

/** How an action leaves the store, whoever looks at it then. */
const ENDS: ReadonlySet<string | null> = new Set<ActionStatus>(['done', 'expired', 'cancelled']);

/** How long a line waits for another process to let go of the log: one that ends has only its last lines to write. */
const LOCK_MS = 10_000;
const LOOK_MS = 50;

/**
 * Writes down what a fleet sees and does while it leads. Whoever else beats on the same store sees the same, and only asks or
 * arms: what it has armed, the leader finds. Fleets that lead one after the other write to one log, so that a process has it to
 * itself, by a lock, from its first line until it ends or leads no more.
 *
 * @param mayAct whether what the store holds is this fleet's to do; else it is only looked at, and no news
 */
export async function keepTrail(
  fleet: Pick<Fleet, 'on' | 'role'>,
  configured: ConfiguredAudit,
  { mayAct, onError }: { readonly mayAct: () => boolean; readonly onError: (error: unknown) => void },
): Promise<AuditTrail> {
  const { audit, auditFleet } = await import('../../adapters/audit.ts');
  const lockFile = `${configured.file}.lock`;
  let waiting: AuditEntry[] = [];
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

  const isNews = ({ action, after }: AuditEntry): boolean =>
    fleet.role !== 'standby' && (action === null || mayAct() || ENDS.has(after));

  async function take(entry: AuditEntry): Promise<void> {
    if (isNews(entry)) waiting.push(entry);
    if (isNews(entry) || (held && fleet.role === 'standby')) begin();
  }

  const subscription = auditFleet(fleet, { write: take }, { who: ownName(), onError });

  return {
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
