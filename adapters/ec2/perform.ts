import type { Call, Permit, PermittedCall } from '../../src/contracts.ts';
import { doText } from '../../src/domain/command.ts';
import type { Problem } from '../../src/domain/heartbeat.ts';
import type { Ip } from '../../src/domain/identity.ts';
import { inParallel } from '../../src/domain/in-parallel.ts';
import type { InstanceVerb } from '../../src/domain/instance.ts';
import type { Batches, PowerVerb, Target } from './batches.ts';
import { clientTokenOf } from './launch.ts';
import type { Launching } from './launching.ts';
import { createOnce } from './once.ts';
import { type FindHolders, type Holders, namedBy } from './targets.ts';

export interface PerformOptions {
  readonly cloud: string;
  readonly batches: Batches;
  readonly launching: Launching;
  readonly findHolders: FindHolders;
}

export type Perform = (calls: readonly PermittedCall[], signal: AbortSignal) => Promise<readonly (Problem | null)[]>;

/** Launches at once; the pacer decides how fast they go. */
const LAUNCHES_AT_ONCE = 16;

/** One call on its way to its answer. */
interface Errand {
  readonly verb: PowerVerb | 'launch';
  readonly permit: Permit;
  readonly named: { readonly id: string } | { readonly ip: Ip };
  /** What the same call would have, whenever it comes. */
  readonly key: string;
}

export function createPerform({ cloud, batches, launching, findHolders }: PerformOptions): Perform {
  // Whether a reboot took place, EC2 does not tell: to try it again would be a second one. All others are harmless to repeat.
  const once = createOnce((key, answer) => answer === null || (key.startsWith('reboot ') && answer.code === 'ER0220'));

  function errandOf({ do: what }: Call, permit: Permit): Errand | Problem {
    if (what.level !== 'instances') return { subject: what.name, code: 'ER0229', message: `${cloud} has instances, no services` };
    const named = namedBy(what.subject, cloud);
    if ('problem' in named) return named.problem;
    const subject = 'id' in named ? named.id : named.ip;
    const verb = verbOf(what.verb);
    if (!verb) return { subject, code: 'ER0229', message: `${cloud} cannot ${what.verb} ${subject}: that is done over ssh` };
    if (verb === 'launch' && 'id' in named)
      return { subject, code: 'ER0206', message: `${subject} has an id already; what is launched is an ip` };
    if (!permit.valid()) return { subject, code: 'ER0217', message: `${doText(what)}: its permit has ended` };
    return { verb, permit, named, key: `${verb} ${subject} ${permit.token}` };
  }

  async function launch({ named, permit }: Errand, holders: Holders, signal: AbortSignal): Promise<Problem | null> {
    if (!('ip' in named)) throw new TypeError('what is launched is an ip');
    const holder = holders.holder(named.ip);
    if ('id' in holder) {
      if (holder.clientToken === clientTokenOf(named.ip, permit.token)) return null;
      return { subject: named.ip, code: 'ER0208', message: `${holder.id} of ${cloud} has the ip ${named.ip}` };
    }
    return holder.code === 'ER0205' ? launching(named.ip, permit, signal) : holder;
  }

  /** Those of one verb, each instance once, whoever and how many ask for it. */
  async function switchPower(
    verb: PowerVerb,
    errands: readonly Errand[],
    holders: Holders,
    signal: AbortSignal,
  ): Promise<Map<Errand, Problem | null>> {
    const answers = new Map<Errand, Problem | null>();
    const byId = new Map<string, Errand[]>();
    for (const errand of errands) {
      const found = 'ip' in errand.named ? holders.holder(errand.named.ip) : errand.named;
      if ('id' in found) byId.set(found.id, [...(byId.get(found.id) ?? []), errand]);
      else answers.set(errand, found);
    }
    const targets: Target[] = [...byId].map(([id, of]) => ({ id, isWanted: () => of.some(({ permit }) => permit.valid()) }));
    const told = await batches(verb, targets, signal);
    for (const [id, of] of byId) for (const errand of of) answers.set(errand, told.get(id) ?? null);
    return answers;
  }

  async function run(errands: readonly Errand[], signal: AbortSignal): Promise<Map<Errand, Problem | null>> {
    const ips = errands.flatMap(({ verb, named }) => (verb !== 'launch' && 'ip' in named ? [named.ip] : []));
    const free = errands.flatMap(({ verb, named }) => (verb === 'launch' && 'ip' in named ? [named.ip] : []));
    const holders = await findHolders(ips, free, signal);
    const launches = errands.filter(({ verb }) => verb === 'launch');
    const [launched, ...switched] = await Promise.all([
      inParallel(launches, LAUNCHES_AT_ONCE, async (errand) => [errand, await launch(errand, holders, signal)] as const),
      ...POWER_VERBS.map((power) =>
        switchPower(
          power,
          errands.filter(({ verb }) => verb === power),
          holders,
          signal,
        ),
      ),
    ]);
    return new Map([...launched, ...switched.flatMap((answers) => [...answers])]);
  }

  return async (calls, signal) => {
    signal.throwIfAborted();
    const answers: Promise<Problem | null>[] = [];
    const mine = new Map<Errand, (answer: Problem | null) => void>();
    for (const { call, permit } of calls) {
      const errand = errandOf(call, permit);
      if ('code' in errand) {
        answers.push(Promise.resolve(errand));
        continue;
      }
      const place = once.take(errand.key);
      if ('earlier' in place) {
        answers.push(place.earlier);
        continue;
      }
      if (errand.verb === 'reboot' && permit.isRepeated) {
        const message = `${doText(call.do)}: it was perhaps called before, and this would be a second one`;
        answers.push(Promise.resolve(settled(place.settle, { subject: subjectOf(errand), code: 'ER0220', message })));
        continue;
      }
      answers.push(new Promise((resolve) => mine.set(errand, (answer) => resolve(settled(place.settle, answer)))));
    }
    try {
      const told = await run([...mine.keys()], signal);
      for (const [errand, settle] of mine) settle(told.get(errand) ?? null);
    } catch (error) {
      for (const [errand, settle] of mine)
        settle({ subject: subjectOf(errand), code: 'ER0220', message: `${errand.verb} was ended before its answer` });
      throw error;
    }
    return Promise.all(answers);
  };
}

const POWER_VERBS = ['start', 'stop', 'reboot', 'terminate'] as const satisfies readonly PowerVerb[];

const verbOf = (verb: InstanceVerb): PowerVerb | 'launch' | null => (verb === 'bootstrap' ? null : verb);

const subjectOf = ({ named }: Errand): string => ('id' in named ? named.id : named.ip);

const settled = (settle: (answer: Problem | null) => void, answer: Problem | null): Problem | null => {
  settle(answer);
  return answer;
};
