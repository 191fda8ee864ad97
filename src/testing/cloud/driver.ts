import type { ApiCall, Call, Caller, Driver, Permit } from '../../contracts.ts';
import type { KnownCode } from '../../domain/codes.ts';
import { doText, type Subject, subjectText } from '../../domain/command.ts';
import type { Problem } from '../../domain/heartbeat.ts';
import { type Ip, instanceKey, nameOf, type Token, wantedKey, wantedOf } from '../../domain/identity.ts';
import type { InstanceFacts, InstanceVerb } from '../../domain/instance.ts';
import { FleetError, messageOf } from '../../errors.ts';
import type { AnswerOf, Ec2Action, RequestOf, ShownInstance } from './actions.ts';
import type { Ec2Api } from './api.ts';
import { type Ec2Code, Ec2Refusal, Unanswered } from './refusal.ts';

export interface CloudDriverOptions {
  /** Its interval, in milliseconds. Default 10,000. */
  readonly everyMs?: number;
  /** Instances a page, 5 to 1000. Default 1000. */
  readonly pageSize?: number;
  /**
   * How a launch that is repeated is known: by EC2's client token or, as in clouds that have none, by a tag that is looked for
   * first. Default `clientToken`.
   */
  readonly launchedOnceBy?: 'clientToken' | 'tag';
  /** With `tag`, for how long what a repeated launch has made is looked for, in milliseconds. Default 60,000. */
  readonly lookMs?: number;
  /** With `tag`, how long a look waits for the next one, in milliseconds. Default 5000. */
  readonly lookEveryMs?: number;
}

/** The tag that says for which token an instance was launched. */
const TAG = 'fleetbeat-token';
const REMEMBERED_TOKENS = 10_000;

/** What EC2's refusals are in our words; whatever else it says, it has refused. */
const CODES: Readonly<Partial<Record<Ec2Code, KnownCode>>> = {
  AuthFailure: 'ER0224',
  IdempotentParameterMismatch: 'ER0222',
  IncorrectInstanceState: 'ER0206',
  'InvalidIPAddress.InUse': 'ER0208',
  'InvalidInstanceID.Malformed': 'ER0205',
  'InvalidInstanceID.NotFound': 'ER0205',
  InvalidParameterValue: 'ER0222',
};

type PowerVerb = Exclude<InstanceVerb, 'launch' | 'bootstrap'>;

const ACTION_OF = {
  start: 'StartInstances',
  stop: 'StopInstances',
  reboot: 'RebootInstances',
  terminate: 'TerminateInstances',
} as const satisfies Record<PowerVerb, Ec2Action>;

interface Pending {
  readonly id: string;
  readonly permit: Permit;
  readonly call: Call;
  answer: Problem | null;
}

/** A driver straight on the simulated EC2, without HTTP: as EC2's own would be, but that it does not pace itself. */
export function cloudDriver(
  api: Ec2Api,
  name: string,
  sleep: (ms: number, signal: AbortSignal) => Promise<void>,
  options: CloudDriverOptions,
): Driver<InstanceFacts> & Required<Pick<Driver<InstanceFacts>, 'onCall'>> {
  const { everyMs = 10_000, pageSize = 1000, launchedOnceBy = 'clientToken', lookMs = 60_000, lookEveryMs = 5000 } = options;
  const listeners = new Set<(call: ApiCall) => void>();
  const idAt = new Map<Ip, string>();
  /** The last address of each instance that is listed: one that is terminated has none any more. */
  let ipOf: ReadonlyMap<string, Ip> = new Map();
  /** What must not be done twice for one token, and has been done. */
  const accepted = new Set<string>();

  async function send<A extends Ec2Action>(
    action: A,
    request: RequestOf<A>,
    caller: Caller,
    signal: AbortSignal,
    tokenOf?: (id: string) => Token | null,
  ): Promise<AnswerOf<A>> {
    let outcome: ApiCall['outcome'] = 'failed';
    try {
      const answer = await api.send(action, request, signal, tokenOf);
      outcome = 'ok';
      return answer;
    } catch (error) {
      if (error instanceof Ec2Refusal) outcome = error.code === 'RequestLimitExceeded' ? 'throttled' : 'refused';
      throw error;
    } finally {
      for (const listener of listeners) listener({ driver: name, verb: action, caller, outcome, isRetry: false });
    }
  }

  async function idOf(subject: Subject, signal: AbortSignal): Promise<string | null> {
    if (!('ip' in subject)) {
      const wanted = wantedOf(subject.key);
      if (wanted) return subject.key === wantedKey(name, wanted.ip) ? idOf({ ip: wanted.ip }, signal) : null;
      const id = nameOf(subject.key);
      return subject.key === instanceKey(name, id) ? id : null;
    }
    const known = idAt.get(subject.ip);
    if (known !== undefined) return known;
    const filters = [{ name: 'private-ip-address', values: [subject.ip] }];
    const { instances } = await send('DescribeInstances', { filters, maxResults: 5 }, 'action', signal);
    return instances.at(-1)?.id ?? null;
  }

  /**
   * Whether something shows, within the time that is given to it, that was launched for a token.
   * @throws Unanswered where it could not be looked for: then nobody knows yet what has become of the first call
   */
  async function shows(token: Token, signal: AbortSignal): Promise<boolean> {
    const filters = [{ name: `tag:${TAG}`, values: [token] }];
    for (let lookedMs = 0; lookedMs <= lookMs; lookedMs += lookEveryMs) {
      if (lookedMs > 0) await sleep(lookEveryMs, signal);
      const look = send('DescribeInstances', { filters, maxResults: 5 }, 'action', signal);
      const { instances } = await look.catch((error: unknown) => {
        throw error instanceof Ec2Refusal ? new Unanswered() : error;
      });
      if (instances.length > 0) return true;
    }
    return false;
  }

  async function launchOnce(call: Call, ip: Ip, permit: Permit, signal: AbortSignal): Promise<Problem | null> {
    const { token, isRepeated } = permit;
    if (accepted.has(token)) return null;
    const isByTag = launchedOnceBy === 'tag';
    if (isByTag && isRepeated && (await shows(token, signal))) return null;
    // To look takes its time; meanwhile another may have become the leader, and looked too.
    if (!permit.valid()) return expired(ip, call);
    const request = isByTag ? { ip, tags: { [TAG]: token } } : { ip, clientToken: token };
    await send('RunInstances', request, 'action', signal, () => token);
    remember(token);
    return null;
  }

  async function launch(call: Call, subject: Subject, permit: Permit, signal: AbortSignal): Promise<Problem | null> {
    const wanted = 'ip' in subject ? null : wantedOf(subject.key);
    const ip = 'ip' in subject ? subject.ip : (wanted?.ip ?? ipOf.get(nameOf(subject.key)));
    if (ip === undefined || (wanted !== null && wanted.cloud !== name))
      return { subject: subjectText(subject), code: 'ER0205', message: 'no address is known to launch it at' };
    const owner = idAt.get(ip);
    // Of what is repeated, the owner may be what it has made.
    if (owner !== undefined && !permit.isRepeated && !accepted.has(permit.token))
      return { subject: ip, code: 'ER0208', message: `${ip} belongs to ${owner}` };
    try {
      return await launchOnce(call, ip, permit, signal);
    } catch (error) {
      return problemOf(ip, error);
    }
  }

  /** One request for all; those that it is refused for are left out of the next. */
  async function switchPower(verb: PowerVerb, pending: readonly Pending[], signal: AbortSignal): Promise<void> {
    let left = pending.filter(({ id, permit }) => verb !== 'reboot' || !accepted.has(`${permit.token} ${id}`));
    for (;;) {
      for (const one of left) if (!one.permit.valid()) one.answer = expired(one.id, one.call);
      left = left.filter(({ answer }) => answer === null);
      if (left.length === 0) return;
      const tokens = new Map(left.map(({ id, permit }) => [id, permit.token]));
      const refusal = await send(ACTION_OF[verb], { ids: [...tokens.keys()] }, 'action', signal, (id) => tokens.get(id) ?? null)
        .then(() => null)
        .catch((error: unknown) => error);
      const named = refusal instanceof Ec2Refusal ? refusal.ids : [];
      const ended = named.length > 0 ? left.filter(({ id }) => named.includes(id)) : left;
      for (const one of ended) one.answer = refusal === null ? null : problemOf(one.id, refusal);
      if (refusal === null && verb === 'reboot') for (const { id, permit } of ended) remember(`${permit.token} ${id}`);
      left = left.filter((one) => !ended.includes(one));
    }
  }

  function remember(key: string): void {
    accepted.add(key);
    for (const oldest of accepted) {
      if (accepted.size <= REMEMBERED_TOKENS) break;
      accepted.delete(oldest);
    }
  }

  function learn(items: readonly InstanceFacts[]): void {
    const before = ipOf;
    const ips = new Map<string, Ip>();
    idAt.clear();
    for (const { ip, id, power } of items) {
      if (id === null) continue;
      const last = ip ?? before.get(id);
      if (last !== undefined) ips.set(id, last);
      if (ip !== null && power?.state !== 'terminated') idAt.set(ip, id);
    }
    ipOf = ips;
  }

  const factsOf = ({ id, ip, power }: ShownInstance, readAt: InstanceFacts['readAt']): InstanceFacts => ({
    cloud: name,
    id,
    ip,
    readAt,
    power: { state: power, raw: power },
  });

  return {
    name,
    everyMs,
    onCall(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async observe({ now: readAt, caller = 'beat' }, signal) {
      signal.throwIfAborted();
      const items: InstanceFacts[] = [];
      let nextToken: string | null = null;
      do {
        try {
          const page: AnswerOf<'DescribeInstances'> = await send(
            'DescribeInstances',
            { maxResults: pageSize, ...(nextToken !== null && { nextToken }) },
            caller,
            signal,
          );
          for (const instance of page.instances) items.push(factsOf(instance, readAt));
          nextToken = page.nextToken;
        } catch (error) {
          if (signal.aborted || !isOurs(error)) throw error;
          if (nextToken === null) throw new FleetError('ER0235', `${name}: ${error.message}`, { retryable: true, cause: error });
          const problem = { subject: name, code: 'ER0235', message: `before the last page: ${error.message}` };
          return { items, readAt, complete: false, problems: [problem] };
        }
      } while (nextToken !== null);
      learn(items);
      return { items, readAt, complete: true, problems: [] };
    },
    async perform(calls, signal) {
      signal.throwIfAborted();
      const answers: (Problem | null)[] = calls.map(() => null);
      const byVerb = new Map<PowerVerb, (Pending & { readonly index: number })[]>();
      for (const [index, { call, permit }] of calls.entries()) answers[index] = await begin(call, permit, index);
      for (const [verb, pending] of byVerb) {
        await switchPower(verb, pending, signal);
        for (const { index, answer } of pending) answers[index] = answer;
      }
      return answers;

      async function begin(call: Call, permit: Permit, index: number): Promise<Problem | null> {
        const what = call.do;
        if (what.level !== 'instances') return { subject: what.name, code: 'ER0229', message: 'a cloud has no services' };
        const subject = subjectText(what.subject);
        if (!permit.valid()) return expired(subject, call);
        if (what.verb === 'bootstrap') return { subject, code: 'ER0229', message: 'a cloud does not bootstrap its instances' };
        if (what.verb === 'launch') return launch(call, what.subject, permit, signal);
        try {
          const id = await idOf(what.subject, signal);
          if (id === null) return { subject, code: 'ER0205', message: `${name} has no such instance` };
          const pending = byVerb.get(what.verb) ?? [];
          byVerb.set(what.verb, pending);
          pending.push({ id, permit, call, answer: null, index });
          return null;
        } catch (error) {
          return problemOf(subject, error);
        }
      }
    },
  };
}

const expired = (subject: string, call: Call): Problem => ({
  subject,
  code: 'ER0217',
  message: `${doText(call.do)}: its permit has ended`,
});

const isOurs = (error: unknown): error is Ec2Refusal | Unanswered => error instanceof Ec2Refusal || error instanceof Unanswered;

/** What is neither a refusal nor a lost answer is thrown. */
function problemOf(subject: string, error: unknown): Problem {
  if (error instanceof Unanswered) return { subject, code: 'ER0220', message: error.message };
  if (!(error instanceof Ec2Refusal)) throw error;
  return { subject, code: CODES[error.code] ?? 'ER0221', message: `${error.code}: ${messageOf(error)}` };
}
