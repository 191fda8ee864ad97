import type { Ip } from '../../src/domain/identity.ts';
import { refusalOf, SSH_CODES, type SshRefusal } from '../../src/domain/ssh.ts';
import { FleetError, isFleetError } from '../../src/errors.ts';

/** No later attempt mends these: a person has to look at a key. */
const LASTING: ReadonlySet<SshRefusal> = new Set(['auth-failed', 'host-key-changed']);

export const sshFailure = (answer: SshRefusal, ip: Ip, detail: string, cause?: unknown): FleetError =>
  new FleetError(SSH_CODES[answer], `${ip}: ${detail}`, { retryable: !LASTING.has(answer), cause });

/** The word for an error that {@link sshFailure} made, or null for any other. */
export const answerOf = (error: unknown): SshRefusal | null => (isFleetError(error) ? refusalOf(error.code) : null);

/** What is thrown for work that its signal ended. */
export function endedBy(signal: AbortSignal, what: string): FleetError {
  if (isFleetError(signal.reason)) return signal.reason;
  const cause: unknown = signal.reason;
  return new FleetError('ER0217', `${what} was ended by its caller`, { retryable: true, cause });
}
