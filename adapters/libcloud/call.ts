import type { KnownCode } from '../../src/domain/codes.ts';
import { excerpt } from '../../src/domain/excerpt.ts';
import { isFleetError } from '../../src/errors.ts';
import type { RestCloud } from './cloud.ts';
import { codeOf, messageOfAnswer } from './refusal.ts';
import { type Route, verbOf } from './route.ts';
import type { Ask } from './session.ts';

/** How a call ended: accepted, with what the answer says; or not, or nobody knows (`ER0220`, `ER0212`). */
export type Called =
  | { readonly isAccepted: true; readonly body: unknown }
  | { readonly isAccepted: false; readonly code: KnownCode; readonly message: string };

export interface Calling {
  readonly signal: AbortSignal;
  /** Whether making it twice is making it once. */
  readonly isRepeatable: boolean;
}

/** Sends what changes something, and says what became of it. Rejects only where the caller has given up. */
export type MakeCall = (route: Route, calling: Calling) => Promise<Called>;

export function createCall<S extends object>(cloud: RestCloud<S>, ask: Ask, scrub: (text: string) => string): MakeCall {
  const { refusal, message } = cloud;
  const words = { ...(refusal && { refusal }), ...(message && { message }) };
  const not = (code: KnownCode, text: string): Called => ({ isAccepted: false, code, message: excerpt(scrub(text)) });

  return async (route, { signal, isRepeatable }) => {
    const verb = verbOf(route);
    try {
      const answer = await ask(route, { caller: 'action', signal, isRepeatable });
      if (answer.status < 300) {
        const code = answer.isMalformed ? 'ER0220' : (cloud.verdict?.(answer.body) ?? null);
        if (code === null) return { isAccepted: true, body: answer.body };
        return not(code, `${verb} was answered by ${messageOfAnswer(words, answer, scrub)}, and a body that does not say so`);
      }
      // What was deleted by a try whose answer was lost is not there for the next.
      if (route.method === 'DELETE' && answer.tries > 1 && codeOf(words, answer) === 'ER0205') {
        return { isAccepted: true, body: undefined };
      }
      return not(codeOf(words, answer), `${verb} was answered by ${messageOfAnswer(words, answer, scrub)}`);
    } catch (error) {
      if (signal.aborted || !isFleetError(error)) throw error;
      // It was sent, and whatever the endless answer says.
      return not(error.code === 'ER0223' ? 'ER0220' : error.code, error.detail);
    }
  };
}
