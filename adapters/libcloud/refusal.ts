import { isRetryable, type KnownCode } from '../../src/domain/codes.ts';
import { excerpt } from '../../src/domain/excerpt.ts';
import { FleetError } from '../../src/errors.ts';
import type { RestCloud } from './cloud.ts';
import type { Answer } from './rest.ts';

type Words = Pick<RestCloud, 'message' | 'refusal'>;
type Scrub = (text: string) => string;

/** What a status of 300 and more says about a call; the table of the cloud may know better. */
export function codeOf({ refusal }: Words, { status, body }: Answer): KnownCode {
  const known = refusal?.(status, body) ?? null;
  if (known !== null) return known;
  if (status >= 500) return 'ER0220';
  switch (status) {
    case 401:
    case 403:
      return 'ER0224';
    case 404:
    case 410:
      return 'ER0205';
    case 409:
    case 423:
      return 'ER0206';
    default:
      return 'ER0221';
  }
}

/** Said in the provider's words, where there are any. */
export function messageOfAnswer({ message }: Words, { status, body }: Answer, scrub: Scrub): string {
  const text = message?.(body);
  return typeof text === 'string' && text !== '' ? `${status}: ${excerpt(scrub(text))}` : String(status);
}

/** The error of a read that was answered by no list. */
export function refusedRead(words: Words, answer: Answer, verb: string, scrub: Scrub): FleetError {
  const code = answer.status === 401 || answer.status === 403 ? 'ER0224' : 'ER0235';
  return new FleetError(code, `${verb} was answered by ${messageOfAnswer(words, answer, scrub)}`, {
    retryable: isRetryable(code),
  });
}
