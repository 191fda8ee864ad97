import { linesOf } from './files.ts';
import { type AuditLine, type ChainHead, GENESIS, unseal } from './line.ts';

/** What became of a log. */
export interface AuditVerdict {
  /** Lines that are as they were written, up to the first that is not. */
  readonly lines: number;
  /** The number of the first line: more than 1 where older files were removed. */
  readonly from: number | null;
  /** The last line that is as it was written: compare it with one kept elsewhere, since a cut end breaks no chain. */
  readonly head: ChainHead | null;
  readonly broken: { readonly file: string; readonly line: number; readonly reason: string } | null;
}

/**
 * Verifies that nobody has changed, removed, moved or put in a line of an audit log. An unfinished line at the very end is none:
 * it is being written, or the process died over it.
 *
 * @param files all files of a log, in order, as `auditFiles` gives them
 */
export async function verifyAudit(files: readonly string[]): Promise<AuditVerdict> {
  let lines = 0;
  let from: number | null = null;
  let head: ChainHead | null = null;
  for (const file of files) {
    for await (const { number, text, isFinished } of linesOf(file)) {
      if (!isFinished && file === files.at(-1)) break;
      const line = nextLine(text, head);
      if (typeof line === 'string') return { lines, from, head, broken: { file, line: number, reason: line } };
      from ??= line.seq;
      head = { seq: line.seq, hash: line.hash };
      lines++;
    }
  }
  return { lines, from, head, broken: null };
}

/** The line that follows `head`, or why it does not. The first that is left may be any. */
function nextLine(text: string, head: ChainHead | null): AuditLine | string {
  const line = unseal(text);
  if (!line) return 'it is not as it was written';
  const before = head ?? (line.seq === 1 ? GENESIS : { seq: line.seq - 1, hash: line.prev });
  if (line.seq !== before.seq + 1) return `its number is ${line.seq}, where ${before.seq + 1} is due`;
  return line.prev === before.hash ? line : 'it does not follow the line before it';
}
