import type { KnownCode } from './codes.ts';
import type { SshAnswer } from './instance.ts';

/** The code of every way in which an ssh attempt can fail. */
export const SSH_CODES = {
  refused: 'ER0240',
  timeout: 'ER0241',
  silent: 'ER0242',
  'auth-failed': 'ER0243',
  'host-key-changed': 'ER0244',
} as const satisfies Record<Exclude<SshAnswer, 'up'>, KnownCode>;
