import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asInstant } from '../src/domain/identity.ts';
import { FleetError, isFleetError } from '../src/errors.ts';
import { createAppender, openAudited, syncFolder } from './audit/appender.ts';
import { chainEnd } from './audit/chain-end.ts';
import { rotatedFiles, rotatedName } from './audit/files.ts';
import { type AuditEntry, type ChainHead, seal } from './audit/line.ts';

export { auditFiles } from './audit/files.ts';
export { type AuditedFleet, auditFleet } from './audit/fleet.ts';
export type { AuditEntry, AuditLine, ChainHead } from './audit/line.ts';
export { type AuditQuery, readAudit } from './audit/read.ts';
export { type AuditVerdict, verifyAudit } from './audit/verify.ts';

export interface AuditOptions {
  /** What is written to. Full files stand beside it, with the number of their first line behind the name. */
  readonly file: string;
  /** A file of this size is full. Default 16 MiB. */
  readonly maxBytes?: number;
  /** How many full files are kept. Default: all. */
  readonly keep?: number;
  /** The clock of what the log says of itself, in milliseconds. Default `Date.now`. */
  readonly now?: () => number;
}

/** A log that only grows. */
export interface AuditLog {
  /**
   * Writes a line. Resolves once it is on the disk (fdatasync); lines that come while the disk is busy share the next sync.
   *
   * @throws FleetError ER0228 where the disk fails, where somebody else has written to the file, or after `close`
   */
  write(entry: AuditEntry): Promise<void>;
  /** The last line that is on the disk. Kept elsewhere, it tells whether the end was cut off. */
  readonly head: ChainHead;
  /** Resolves once all lines are on the disk. */
  close(): Promise<void>;
}

interface Waiting {
  readonly entry: AuditEntry;
  readonly written: () => void;
  readonly failed: (error: FleetError) => void;
}

/** Lines of one write; a file may be so much longer than it is meant to be. */
const LINES_AT_ONCE = 256;

/**
 * Opens an audit log: JSON lines, each with the hash of the one before, over all its files, so that `verifyAudit` finds whatever
 * was changed, removed or put in. One process writes to it. A line that an earlier process died over is cut, and a line says so.
 *
 * @throws FleetError ER0228 where the file is no audit log, or its last line is not as it was written
 * @example
 * ```ts
 * const log = await audit({ file: '/var/lib/fleetbeat/audit.jsonl' });
 * auditFleet(fleet, log, { who: hostname(), onError: report });
 * ```
 */
export async function audit(options: AuditOptions): Promise<AuditLog> {
  const { file, maxBytes = 16 * 1024 * 1024, keep = Number.POSITIVE_INFINITY, now = Date.now } = options;
  const handle = await openAudited(file);
  const { size, torn, first, ...end } = await chainEnd(file, handle).catch(async (error: unknown) => {
    await handle.close();
    throw error;
  });
  await syncFolder(dirname(file));
  const appender = createAppender(file, handle, { size, isTorn: torn > 0 });
  let { head } = end;
  let firstSeq = first;
  let waiting: Waiting[] = [];
  let writing: Promise<void> | null = null;
  let isClosed = false;

  async function writeWaiting(): Promise<void> {
    while (waiting.length > 0) {
      const some = waiting.slice(0, LINES_AT_ONCE);
      waiting = waiting.slice(LINES_AT_ONCE);
      try {
        await append(some.map(({ entry }) => entry));
        for (const { written } of some) written();
      } catch (cause) {
        const error = isFleetError(cause)
          ? cause
          : new FleetError('ER0228', `${file} cannot be written to`, { retryable: true, cause });
        for (const { failed } of some) failed(error);
      }
    }
    writing = null;
  }

  async function append(entries: readonly AuditEntry[]): Promise<void> {
    if (appender.size >= maxBytes) await rotate();
    let next = head;
    let text = '';
    for (const entry of entries) {
      const line = seal(entry, next);
      next = line.head;
      text += `${line.text}\n`;
    }
    await appender.append(text);
    head = next;
  }

  async function rotate(): Promise<void> {
    await appender.rotate(rotatedName(file, firstSeq));
    firstSeq = head.seq + 1;
    const full = await rotatedFiles(file);
    for (const old of full.slice(0, Math.max(0, full.length - keep))) await rm(old);
  }

  function write(entry: AuditEntry): Promise<void> {
    if (isClosed) return Promise.reject(new FleetError('ER0228', `${file} was closed`));
    return new Promise((written, failed) => {
      waiting.push({ entry, written, failed });
      writing ??= writeWaiting();
    });
  }

  if (torn > 0) await write(healed(torn, asInstant(now())));

  return {
    write,
    get head() {
      return head;
    },
    async close() {
      isClosed = true;
      await writing;
      await appender.close();
    },
  };
}

const healed = (bytes: number, at: AuditEntry['at']): AuditEntry => ({
  at,
  who: 'audit',
  what: 'healed',
  entity: null,
  why: `${bytes} bytes of a line that a process died over were cut`,
  observation: null,
  before: null,
  after: null,
  action: null,
  attempt: null,
  code: null,
});
