import { type EntityKey, type Instant, nameOf } from '../../src/domain/identity.ts';
import { FleetError } from '../../src/errors.ts';
import { auditFiles, linesOf } from './files.ts';
import { type AuditLine, unseal } from './line.ts';

export interface AuditQuery {
  /** The file that is written to; the full ones beside it are read too. */
  readonly file: string;
  /** Only what happened then or later. */
  readonly since?: Instant;
  /** Only what is about this entity: its key, or its name or id. */
  readonly entity?: string;
  /** Told of each line that is not as it was written. By default it ends the reading with an ER0228. */
  readonly onBroken?: (file: string, line: number) => void;
}

/**
 * Reads an audit log, the oldest line first.
 *
 * @throws FleetError ER0228 at a line that is not as it was written, unless `onBroken` is given
 */
export async function* readAudit({ file, since, entity, onBroken = refuse }: AuditQuery): AsyncGenerator<AuditLine> {
  for (const one of await auditFiles(file)) {
    for await (const { number, text, isFinished } of linesOf(one)) {
      const line = unseal(text);
      if (!line && isFinished) onBroken(one, number);
      if (line && isSince(line, since) && isAbout(line.entity, entity)) yield line;
    }
  }
}

const isSince = (line: AuditLine, since: Instant | undefined): boolean => since === undefined || Date.parse(line.at) >= since;

const isAbout = (key: EntityKey | null, entity: string | undefined): boolean =>
  entity === undefined || (key !== null && (key === entity || nameOf(key) === entity));

function refuse(file: string, line: number): void {
  throw new FleetError('ER0228', `line ${line} of ${file} is not as it was written`);
}
