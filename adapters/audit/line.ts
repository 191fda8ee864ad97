import { createHash } from 'node:crypto';
import type { Code } from '../../src/domain/codes.ts';
import { excerpt } from '../../src/domain/excerpt.ts';
import { asEntityKey, type EntityKey, type Instant } from '../../src/domain/identity.ts';

/** What is written down of one thing that happened: these fields and no others, so that nothing else can come along. */
export interface AuditEntry {
  readonly at: Instant;
  /** A source, a fleet, a person. */
  readonly who: string;
  /** `changed`, `services start node10`. */
  readonly what: string;
  readonly entity: EntityKey | null;
  /** The trigger or the reason, for a person. */
  readonly why: string | null;
  /** The view that it rests on. */
  readonly observation: { readonly key: EntityKey; readonly readAt: Instant; readonly source: string | null } | null;
  readonly before: string | null;
  readonly after: string | null;
  /** The id of the action. */
  readonly action: string | null;
  readonly attempt: number | null;
  readonly code: Code | null;
}

/** A line of an audit log, as its JSON has it. */
export interface AuditLine {
  /** From 1, without a gap. */
  readonly seq: number;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly who: string;
  readonly what: string;
  readonly entity: EntityKey | null;
  readonly why: string | null;
  readonly observation: { readonly key: EntityKey; readonly read_at: string; readonly source: string | null } | null;
  readonly before: string | null;
  readonly after: string | null;
  readonly action: string | null;
  readonly attempt: number | null;
  readonly code: Code | null;
  /** The hash of the line before; 64 zeros in the first. */
  readonly prev: string;
  /** SHA-256 in hex of this line up to here: of its text without `,"hash":"…"`. */
  readonly hash: string;
}

/** Where a chain ends. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: string;
}

export const GENESIS: ChainHead = { seq: 0, hash: '0'.repeat(64) };

const SEALED = /^(\{.*),"hash":"([0-9a-f]{64})"\}$/s;

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The text of the line that follows `head`, without its end of line. */
export function seal(entry: AuditEntry, head: ChainHead): { readonly text: string; readonly head: ChainHead } {
  const seq = head.seq + 1;
  const { observation } = entry;
  const line: Omit<AuditLine, 'hash'> = {
    seq,
    at: new Date(entry.at).toISOString(),
    who: excerpt(entry.who),
    what: excerpt(entry.what),
    entity: entry.entity && asEntityKey(excerpt(entry.entity)),
    why: shown(entry.why),
    observation: observation && {
      key: asEntityKey(excerpt(observation.key)),
      read_at: new Date(observation.readAt).toISOString(),
      source: shown(observation.source),
    },
    before: shown(entry.before),
    after: shown(entry.after),
    action: shown(entry.action),
    attempt: entry.attempt,
    code: shown(entry.code),
    prev: head.hash,
  };
  const text = JSON.stringify(line);
  const hash = hashOf(text);
  return { text: `${text.slice(0, -1)},"hash":"${hash}"}`, head: { seq, hash } };
}

const shown = (text: string | null): string | null => text && excerpt(text);

/** The line of a text, or null where it is none of ours or was changed since it was sealed. */
export function unseal(text: string): AuditLine | null {
  const [, open, hash] = SEALED.exec(text) ?? [];
  if (open === undefined || hash !== hashOf(`${open}}`)) return null;
  const line: unknown = JSON.parse(text);
  if (typeof line !== 'object' || line === null || !('seq' in line) || !('prev' in line)) return null;
  return typeof line.seq === 'number' && typeof line.prev === 'string' ? (line as AuditLine) : null;
}
