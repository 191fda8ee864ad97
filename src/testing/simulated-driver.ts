import type { Call, Driver, Permit } from '../contracts.ts';
import { type Do, doText } from '../domain/command.ts';
import type { Problem } from '../domain/heartbeat.ts';
import type { Instant, Token } from '../domain/identity.ts';
import { FleetError } from '../errors.ts';
import type { Agenda } from './simulated-agenda.ts';
import type { FaultSource } from './simulated-faults.ts';

/**
 * What an accepted call did to the simulated world: it changed something (`applied`), it asked for what was so already
 * or under way (`held`), or its token had been accepted before (`repeated`).
 */
export type Outcome = 'applied' | 'held' | 'repeated';

/** One accepted call. */
export interface Effect {
  readonly at: Instant;
  readonly token: Token;
  readonly fence: number;
  readonly verb: Do['verb'];
  readonly step?: NonNullable<Call['step']>;
  /** The instance's id, the ip that is wanted, or the service's name. */
  readonly subject: string;
  readonly outcome: Outcome;
}

/** One half of a simulated world, as its driver needs it. */
export interface Side<F> {
  read(readAt: Instant): F[];
  /** The entity that a call is about, by the name under which its effects are remembered. */
  subjectOf(call: Call): string;
  apply(call: Call): Exclude<Outcome, 'repeated'> | Problem;
}

/** A driver over one half of a simulated world: it adds what a network and a busy provider do to calls and reads. */
export function simulatedDriver<F>(
  side: Side<F>,
  options: {
    readonly name: string;
    readonly everyMs: number;
    readonly now: () => Instant;
    readonly agenda: Agenda;
    readonly faults: FaultSource;
    readonly log: Effect[];
  },
): Driver<F> {
  const { name, everyMs, now, agenda, faults, log } = options;
  const accepted = new Set<string>();
  const lastToken = new Map<string, Token>();

  /**
   * A token counts once. Only what can be asked for twice without harm is done again under the same token, and only while
   * nobody else has acted on the subject since: so a climb regains a rung that was lost, yet a late duplicate undoes nothing.
   */
  function isRepeated(call: Call, token: Token, subject: string): boolean {
    return accepted.has(callKey(call, token)) && (isSingle(call) || lastToken.get(subject) !== token);
  }

  function accept(call: Call, permit: Permit): Problem | null {
    const { token, fence } = permit;
    const subject = side.subjectOf(call);
    const outcome = isRepeated(call, token, subject) ? 'repeated' : side.apply(call);
    if (typeof outcome !== 'string') return outcome;
    if (outcome !== 'repeated') {
      accepted.add(callKey(call, token));
      lastToken.set(subject, token);
    }
    const { verb } = call.do;
    log.push({ at: agenda.now, token, fence, verb, ...(call.step && { step: call.step }), subject, outcome });
    return null;
  }

  function send(call: Call, permit: Permit): Problem | null {
    const subject = side.subjectOf(call);
    if (!permit.valid()) return { subject, code: 'ER0217', message: `${doText(call.do)}: its permit has ended` };
    if (faults.strikes('callDropped')) throw unanswered(call);
    if (faults.strikes('callRefused')) return { subject, code: 'ER0221', message: `${doText(call.do)}: simulated refusal` };
    const answer = accept(call, permit);
    if (answer === null && faults.strikes('callLost')) throw unanswered(call);
    return answer;
  }

  return {
    name,
    everyMs,
    async observe(want, signal) {
      signal.throwIfAborted();
      agenda.advance(want.now);
      if (faults.strikes('observeFailed')) {
        throw new FleetError('ER0235', `${name} did not answer (simulated)`, { retryable: true });
      }
      const items = side.read(want.now);
      if (!faults.strikes('throttled')) return { items, readAt: want.now, complete: true, problems: [] };
      return {
        items: items.slice(0, items.length >> 1),
        readAt: want.now,
        complete: false,
        problems: [{ subject: name, code: 'ER0235', message: 'request limit exceeded before the last page (simulated)' }],
      };
    },
    async perform(calls, signal) {
      signal.throwIfAborted();
      agenda.advance(now());
      if (calls.length > 0 && faults.strikes('throttled')) {
        const message = 'request limit exceeded (simulated)';
        return calls.map(({ call }) => ({ subject: side.subjectOf(call), code: 'ER0221', message }));
      }
      return calls.map(({ call, permit }) => send(call, permit));
    },
  };
}

const callKey = (call: Call, token: Token): string => `${token} ${doText(call.do)} ${call.step ?? ''}`;

/** Whether doing it a second time would harm: nobody can see from the state that it has been done. */
const isSingle = ({ do: { verb }, step }: Call): boolean =>
  verb === 'launch' || verb === 'reboot' || (step ?? verb) === 'restart';

const unanswered = (call: Call) =>
  new FleetError('ER0220', `${doText(call.do)}: the connection broke before the answer (simulated)`, { retryable: true });
