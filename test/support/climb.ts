import type { Driver, Fleet, ServiceInput } from 'fleetbeat';

/** What happened to an instance or a service: it was seen in a state, or a call was made that was accepted. */
export interface Happening {
  readonly name: string;
  readonly kind: 'seen' | 'call';
  /** The state, or the call, such as `bootstrap` or `up`. */
  readonly what: string;
  /** When it was seen, or the call began, on the clock of `performance.now()`. */
  readonly at: number;
  /** How long the call took to be accepted, which is how long its work took, but for a start of an instance; else 0. In milliseconds. */
  readonly tookMs: number;
}

/** What happens in a fleet: what is seen, as its changes say it, and what its drivers are asked to do. */
export interface Climb {
  /** In order of their beginnings. */
  happenings(): readonly Happening[];
  /** How many beats have ended. */
  beats(): number;
  /**
   * How long a beat lasts by itself, in milliseconds: the interval, and what its beats took on average. Those that came sooner, since
   * somebody waited, do not make it shorter.
   *
   * @param since on the clock of `performance.now()`
   */
  beatMs(since: number): number;
  /** A driver whose calls are recorded. It makes each call of a turn by itself, so that each has its own time. */
  recorded<F>(driver: Driver<F>): Driver<F>;
  watch(fleet: Fleet): void;
}

/**
 * @param everyMs how far apart the beats of the fleet are set
 * @param nameAt the name of the instance at an address
 */
export function recordClimb(everyMs: number, nameAt: (ip: string) => string): Climb {
  const happenings: Happening[] = [];
  /** When beats ended, and how long they took. */
  const beats: { readonly at: number; readonly tookMs: number }[] = [];

  const nameOf = (what: Parameters<Driver<unknown>['perform']>[0][number]['call']['do']): string => {
    if (what.level === 'services') return what.name;
    return 'ip' in what.subject ? nameAt(what.subject.ip) : (what.subject.key.split('/').at(-1) ?? '');
  };

  return {
    happenings: () => happenings.toSorted((a, b) => a.at - b.at),
    beats: () => beats.length,
    beatMs(since) {
      const those = beats.filter(({ at }) => at >= since);
      return everyMs + those.reduce((all, { tookMs }) => all + tookMs, 0) / those.length;
    },
    recorded: (driver) => ({
      ...driver,
      async perform(calls, signal) {
        const answers = calls.map(async (each) => {
          const at = performance.now();
          const [answer = null] = await driver.perform([each], signal);
          const { do: what, step } = each.call;
          if (answer === null)
            happenings.push({ name: nameOf(what), kind: 'call', what: step ?? what.verb, at, tookMs: performance.now() - at });
          return answer;
        });
        return Promise.all(answers);
      },
    }),
    watch(fleet) {
      fleet.on('beat', ({ tookMs }) => beats.push({ at: performance.now(), tookMs }));
      fleet.on('changed', ({ from, to }) => {
        if (from?.state !== to.state)
          happenings.push({ name: to.name, kind: 'seen', what: to.state, at: performance.now(), tookMs: 0 });
      });
    },
  };
}

/** What a service waited for, from a call until it was seen to have had its effect. */
export interface Rung {
  readonly service: string;
  /** The call that brought it about. */
  readonly call: string;
  /** From when all that it needed was seen, until it was seen itself. In milliseconds. */
  readonly tookMs: number;
  /** What of that the server itself needed. */
  readonly ownMs: number;
}

/**
 * The rungs of a service and of its instance, lowest first, with the time that each took. A replica's needs its master to be up.
 *
 * @param startedAt when the command was given
 * @param bootMs how long the instance took from its start until its sshd spoke
 * @param letInAt when balancers let a service in, on their own word, first at or after an instant
 */
export function rungsOf(
  service: ServiceInput,
  instance: string,
  {
    climb,
    startedAt,
    bootMs,
    master,
    letInAt,
  }: {
    climb: Climb;
    startedAt: number;
    bootMs: number;
    master: string;
    letInAt: (service: string, from: number) => number | null;
  },
): readonly Rung[] {
  const all = climb.happenings();
  const seenSince = (name: string, what: readonly string[], from: number) =>
    all.find((one) => one.kind === 'seen' && one.name === name && one.at >= from && what.includes(one.what))?.at;
  const rungs: Rung[] = [];
  let from = startedAt;
  for (const { name, what: call, at, tookMs } of all.filter((one) => one.kind === 'call')) {
    if ((name !== service.name && name !== instance) || at < from) continue;
    const isUp = service.status === 'slave' && call === 'replicating' ? seenSince(master, SEEN.up ?? [], startedAt) : undefined;
    const begin = Math.max(from, isUp ?? from);
    const seen = seenSince(name, SEEN[call] ?? [], at);
    if (seen === undefined) continue;
    // What a call brings about may be seen before the call has ended.
    const end = Math.max(seen, at + tookMs);
    // What is in its configuration a balancer lets in once it has looked at it itself.
    const letIn = call === 'routed' ? (letInAt(name, at) ?? at) : at;
    const ownMs = call === 'start' ? bootMs : Math.max(tookMs, Math.min(letIn, seen) - at);
    rungs.push({ service: service.name, call, tookMs: end - begin, ownMs });
    from = end;
  }
  return rungs;
}

/** The states by which a call is seen to have had its effect. */
const SEEN: Readonly<Record<string, readonly string[]>> = {
  start: ['ssh-up', 'bootstrapped', 'managed'],
  bootstrap: ['managed'],
  installed: ['stopped'],
  up: ['up', 'replicating', 'routed'],
  replicating: ['replicating', 'routed'],
  routed: ['routed'],
};
