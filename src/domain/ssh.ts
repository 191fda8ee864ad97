import { type Code, OK } from './codes.ts';
import type { SshAnswer } from './instance.ts';

/** What each way in which an ssh attempt can end is called on the wire. */
export const SSH_CODES = {
  up: OK,
  refused: 'ER0240',
  timeout: 'ER0241',
  silent: 'ER0242',
  'auth-failed': 'ER0243',
  'host-key-changed': 'ER0244',
} as const satisfies Record<SshAnswer, Code>;

/** A way in which an ssh attempt can fail. */
export type SshRefusal = Exclude<SshAnswer, 'up'>;

const REFUSALS: ReadonlyMap<Code, SshRefusal> = new Map(
  Object.entries(SSH_CODES).flatMap(([answer, code]) => (code === OK ? [] : [[code, answer as SshRefusal]])),
);

/** The word for a code of a failed attempt, or null for any other. */
export const refusalOf = (code: Code): SshRefusal | null => REFUSALS.get(code) ?? null;
