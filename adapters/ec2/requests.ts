import { setMaxListeners } from 'node:events';
import type { ApiCall, Caller } from '../../src/contracts.ts';
import { FleetError, isFleetError } from '../../src/errors.ts';
import type { Ec2Action } from './buckets.ts';
import { type Failure, failureOf } from './failure.ts';
import { orAborted } from './or-aborted.ts';
import type { Ec2Clock, Pacer } from './pacer.ts';

/** One request to EC2, on whose behalf, and how many instances it touches. */
export interface Request {
  readonly action: Ec2Action;
  readonly input: object;
  readonly caller: Caller;
  readonly instances?: number;
  /** Asked before each try. */
  readonly isWanted?: () => boolean;
  /** The instant after which it is not tried again; `deadlineMs` after its first tokens unless said. */
  readonly until?: number;
}

export type Answer = { readonly is: 'ok'; readonly output: unknown } | Failure;

/** Sends one request to EC2 and once more where it was throttled. Rejects only with an ER0217, when the signal is aborted. */
export type Requests = (request: Request, signal: AbortSignal) => Promise<Answer>;

export interface RequestsOptions {
  readonly cloud: string;
  readonly pacer: Pacer;
  readonly clock: Ec2Clock;
  /** From 0 to 1, as `Math.random`. */
  readonly random: () => number;
  readonly deadlineMs: number;
  readonly send: (action: Ec2Action, input: object, signal: AbortSignal) => Promise<unknown>;
  /** Whether EC2 may have heard the request under this signal; undefined where nobody can tell. */
  readonly mayHaveSent: (signal: AbortSignal) => boolean | undefined;
  readonly report: (call: ApiCall) => void;
}

const FIRST_BACKOFF_MS = 500;
const LONGEST_BACKOFF_MS = 8000;
/** Reads are harmless to repeat; after so many failures the next heartbeat may try. */
const READ_ATTEMPTS = 3;

export function createRequests(options: RequestsOptions): Requests {
  const { cloud, pacer, clock, random, deadlineMs, report } = options;

  async function sendOnce({ action, input }: Request, msLeft: number, signal: AbortSignal): Promise<Answer> {
    const own = new AbortController();
    setMaxListeners(0, signal, own.signal);
    const abort = (reason: unknown) => own.abort(reason);
    const giveUp = () => abort(signal.reason);
    const late = new FleetError('ER0212', `${action} was not answered within ${deadlineMs} ms`, { retryable: true });
    const timer = setTimeout(() => abort(late), Math.max(0, msLeft));
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      // The SDK looks at its signal only while it sends, not while it waits for credentials.
      const output = await orAborted(options.send(action, input, own.signal), own.signal);
      return { is: 'ok', output };
    } catch (thrown) {
      const error = own.signal.aborted ? own.signal.reason : thrown;
      return failureOf(action, error, options.mayHaveSent(own.signal));
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
    }
  }

  const backoffMs = (attempt: number): number =>
    Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** attempt) * (0.5 + random() / 2);

  return async (request, signal) => {
    const { action, caller, instances = 1, isWanted = () => true } = request;
    try {
      if (request.until !== undefined && clock.now() + pacer.waitMs(action, instances) >= request.until) return tooBusy(action);
      let answered = await pacer.take(action, instances, signal);
      const until = request.until ?? clock.now() + deadlineMs;
      for (let attempt = 0; ; attempt++) {
        const answer = isWanted() ? await sendOnce(request, until - clock.now(), signal) : ENDED;
        answered();
        if (answer === ENDED) return ENDED;
        if (answer.is !== 'unsent')
          report({ driver: cloud, verb: action, caller, outcome: OUTCOMES[answer.is], isRetry: attempt > 0 });
        signal.throwIfAborted();
        if (answer.is === 'throttled') pacer.throttled(action, instances);
        else if (!isWorthAnother(action, answer, attempt)) return answer;
        const pause = backoffMs(attempt);
        if (clock.now() + pause + pacer.waitMs(action, instances) >= until) return answer;
        await clock.sleep(pause, signal);
        answered = await pacer.take(action, instances, signal);
        if (clock.now() < until) continue;
        answered();
        return answer;
      }
    } catch (error) {
      if (signal.aborted) throw cancelled(cloud, action, signal);
      throw error;
    }
  };
}

const OUTCOMES = { ok: 'ok', refused: 'refused', throttled: 'throttled', unknown: 'failed' } as const;

/** Whoever wanted the request does not want it any more. */
export const ENDED: Failure = { is: 'unsent', reason: '', code: 'ER0217', message: 'its permit has ended' };

/** Not worth the wait: it would be sent only after its deadline. */
const tooBusy = (action: Ec2Action): Failure => ({
  is: 'unsent',
  reason: '',
  code: 'ER0221',
  message: `${action} has no token left of its bucket before its deadline`,
});

/** Whether a read has failed for a reason that may be over in a moment: the connection, or a failure inside of EC2. */
const isWorthAnother = (action: Ec2Action, answer: Answer, attempt: number): boolean =>
  action.startsWith('Describe') && attempt + 1 < READ_ATTEMPTS && answer.is === 'unknown' && answer.isPassing === true;

const cancelled = (cloud: string, what: string, signal: AbortSignal): FleetError =>
  isFleetError(signal.reason)
    ? signal.reason
    : new FleetError('ER0217', `${cloud}: ${what} was ended by its caller`, { retryable: true, cause: signal.reason });
