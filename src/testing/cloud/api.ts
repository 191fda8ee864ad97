import type { Instant } from '../../domain/identity.ts';
import type { Agenda } from '../simulated-agenda.ts';
import type { FaultSource } from '../simulated-faults.ts';
import type { Account, TokenOf } from './account.ts';
import type { AnswerOf, Ec2Action, RequestOf } from './actions.ts';
import type { Throttle } from './buckets.ts';
import type { CloudDelay, CloudFault, RequestFault } from './faults.ts';
import { Ec2Refusal, NO_CAPACITY, Unanswered } from './refusal.ts';

/**
 * How many requests of each action ended how: `ok`, an error code of EC2, `requestLost` (never arrived) or `replyLost`
 * (applied or refused, but nobody was told).
 */
export type CallCounts = Readonly<Partial<Record<Ec2Action, Readonly<Record<string, number>>>>>;

/** The simulated EC2 behind its network. */
export interface Ec2Api {
  /**
   * @param tokenOf under which token the request is about an instance, where it has no client token
   * @throws Ec2Refusal where it was refused, Unanswered where the answer was lost
   */
  send<A extends Ec2Action>(action: A, request: RequestOf<A>, signal: AbortSignal, tokenOf?: TokenOf): Promise<AnswerOf<A>>;
  calls(): CallCounts;
  /** The fault strikes the next so many requests of an action, whatever its rate. */
  strike(action: Ec2Action, fault: RequestFault, times: number): void;
}

export function createApi(world: {
  readonly account: Account;
  readonly agenda: Agenda;
  readonly faults: FaultSource<CloudFault>;
  readonly throttle: Throttle | null;
  readonly now: () => Instant;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly drawMs: (delay: CloudDelay) => number;
}): Ec2Api {
  const { account, agenda, faults, throttle } = world;
  const counts = new Map<Ec2Action, Map<string, number>>();
  const arranged = new Map<Ec2Action, RequestFault[]>();

  function count(action: Ec2Action, outcome: string): void {
    const outcomes = counts.get(action) ?? new Map<string, number>();
    counts.set(action, outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1));
  }

  function arrive<A extends Ec2Action>(
    action: A,
    request: RequestOf<A>,
    tokenOf: TokenOf,
    strikes: (fault: RequestFault) => boolean,
  ): AnswerOf<A> {
    agenda.advance(world.now());
    const isThrottled = throttle !== null && !throttle(action, request, agenda.now);
    if (isThrottled || strikes('throttled')) throw new Ec2Refusal('RequestLimitExceeded', 'Request limit exceeded.');
    if (strikes('unavailable')) throw new Ec2Refusal('Unavailable', 'The service is unavailable. Please try again shortly.');
    if (strikes('noCapacity')) throw new Ec2Refusal('InsufficientInstanceCapacity', NO_CAPACITY);
    return account.handlers(tokenOf)[action](request);
  }

  return {
    async send(action, request, signal, tokenOf = () => null) {
      signal.throwIfAborted();
      const fault = arranged.get(action)?.shift();
      const strikes = (one: RequestFault) => one === fault || (one !== 'noCapacity' && faults.strikes(one));
      const ms = world.drawMs('answer');
      if (ms > 0) await world.sleep(ms / 2, signal);
      if (strikes('requestLost')) {
        count(action, 'requestLost');
        throw new Unanswered();
      }
      let outcome = 'ok';
      let conclude: () => AnswerOf<typeof action>;
      try {
        const answer = arrive(action, request, tokenOf, strikes);
        conclude = () => answer;
      } catch (error) {
        if (!(error instanceof Ec2Refusal)) throw error;
        outcome = error.code;
        conclude = () => {
          throw error;
        };
      }
      const isLost = strikes('replyLost');
      count(action, isLost ? 'replyLost' : outcome);
      if (ms > 0) await world.sleep(ms / 2, signal);
      if (isLost) throw new Unanswered();
      return conclude();
    },
    strike(action, fault, times) {
      arranged.set(action, [...(arranged.get(action) ?? []), ...Array<RequestFault>(times).fill(fault)]);
    },
    calls: () =>
      Object.fromEntries([...counts].map(([action, outcomes]) => [action, Object.fromEntries(outcomes)])) as CallCounts,
  };
}
