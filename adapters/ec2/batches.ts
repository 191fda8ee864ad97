import type { KnownCode } from '../../src/domain/codes.ts';
import type { Problem } from '../../src/domain/heartbeat.ts';
import type { Ec2Action } from './buckets.ts';
import { codeOfCall, type Failure, isAboutAll } from './failure.ts';
import type { Pacer } from './pacer.ts';
import { ENDED, type Requests } from './requests.ts';
import { fieldOf, listOf, textAt } from './shape.ts';

export type PowerVerb = 'start' | 'stop' | 'reboot' | 'terminate';

interface PowerAction {
  readonly action: Ec2Action;
  /** Where the answer lists the instances that it is about; null where EC2 lists none. */
  readonly list: string | null;
}

const ACTIONS: Readonly<Record<PowerVerb, PowerAction>> = {
  start: { action: 'StartInstances', list: 'StartingInstances' },
  stop: { action: 'StopInstances', list: 'StoppingInstances' },
  reboot: { action: 'RebootInstances', list: null },
  terminate: { action: 'TerminateInstances', list: 'TerminatingInstances' },
};

/** One instance of a batch, for as long as somebody wants it acted on. */
export interface Target {
  readonly id: string;
  readonly isWanted: () => boolean;
}

/** Sends one verb for many instances. @returns what became of each, by its id: null where it was accepted */
export type Batches = (
  verb: PowerVerb,
  targets: readonly Target[],
  signal: AbortSignal,
) => Promise<ReadonlyMap<string, Problem | null>>;

/** What EC2 takes in one request. */
const MOST_IDS = 1000;
/** Requests that may be refused in search of an instance that EC2 does not name, before the rest is left to be tried again. */
const MOST_SEARCHES = 32;

/** @param wasAlive whether an instance was there a moment ago, so that EC2 has merely not heard of it everywhere */
export function createBatches(requests: Requests, pacer: Pacer, wasAlive: (id: string) => boolean): Batches {
  return async (verb, targets, signal) => {
    const { action, list } = ACTIONS[verb];
    const answers = new Map<string, Problem | null>();
    let searches = MOST_SEARCHES;

    const refuse = (some: readonly Target[], failure: Failure) => {
      for (const { id } of some) answers.set(id, { subject: id, code: codeOf(id, failure), message: failure.message });
    };
    const codeOf = (id: string, failure: Failure): KnownCode =>
      failure.code === 'ER0205' && wasAlive(id) ? 'ER0221' : codeOfCall(failure);

    async function send(some: readonly Target[]): Promise<void> {
      const wanted = some.filter(({ isWanted }) => isWanted());
      refuse(
        some.filter((target) => !wanted.includes(target)),
        ENDED,
      );
      if (wanted.length === 0) return;
      const answer = await requests(
        {
          action,
          input: { InstanceIds: wanted.map(({ id }) => id) },
          caller: 'action',
          instances: wanted.length,
          isWanted: () => wanted.every(({ isWanted }) => isWanted()),
        },
        signal,
      );
      if (answer.is === 'ok') return confirm(wanted, answer.output);
      if (answer.code === 'ER0217') return send(wanted);
      if (answer.is !== 'refused' || wanted.length === 1 || isAboutAll(answer)) return refuse(wanted, answer);
      await split(wanted, answer);
    }

    /** EC2 refuses all for the sake of one. Mostly it names it; else halves tell. */
    async function split(some: readonly Target[], answer: Failure): Promise<void> {
      const words = new Set(answer.message.split(/[^A-Za-z0-9-]+/));
      const named = some.filter(({ id }) => words.has(id));
      if (named.length > 0) {
        refuse(named, answer);
        return send(some.filter((target) => !named.includes(target)));
      }
      if (searches-- <= 0) return refuse(some, answer);
      const middle = Math.ceil(some.length / 2);
      await send(some.slice(0, middle));
      await send(some.slice(middle));
    }

    function confirm(some: readonly Target[], output: unknown): void {
      const listed = list === null ? null : new Set(listOf(fieldOf(output, list)).map((one) => textAt(one, 'InstanceId')));
      for (const { id } of some) {
        const isConfirmed = listed === null || listed.has(id);
        answers.set(
          id,
          isConfirmed ? null : { subject: id, code: 'ER0220', message: `the answer to ${action} does not mention it` },
        );
      }
    }

    const size = Math.min(MOST_IDS, pacer.mostInstances(action));
    for (let at = 0; at < targets.length; at += size) await send(targets.slice(at, at + size));
    return answers;
  };
}
