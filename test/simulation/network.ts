import { FleetError } from 'fleetbeat';

/** What becomes of a request. The first is what everybody hopes for. */
export const FATES = ['answered', 'answered late', 'answer lost', 'lost', 'timed out'] as const;
export type Fate = (typeof FATES)[number];

/** Whoever asks something over the network. Nothing reaches it any more once it is dead. */
export interface Caller {
  readonly name: string;
  isAlive: boolean;
}

export interface Request<T> {
  readonly by: Caller;
  /** Told in the trace of a failure only. */
  readonly what: () => string;
  readonly act: () => Promise<T>;
  /** Whether it is on its way once it is asked, so that it may arrive after its caller has died. */
  readonly travels: boolean;
}

/**
 * Everything that takes time: what a fleet asks of its store and its drivers, and what hosts push.
 * Nothing of it happens by itself: the schedule says what happens next, and how it ends.
 */
export interface Network {
  readonly pending: number;
  ask<T>(request: Request<T>): Promise<T>;
  /** Puts something under way that nobody waits for. */
  post(what: () => string, act: () => void): void;
  /** Lets what was asked `place` requests after the oldest one happen, and everything that follows from it at once. */
  deliver(place: number, fate: Fate): Promise<void>;
  /** Fails whatever is still waiting, the dead included, so that no deadline of theirs outlives the schedule. */
  close(): void;
}

interface Task {
  readonly what: () => string;
  run(fate: Fate): Promise<void> | void;
}

export function createNetwork(trace: ((line: () => string) => void) | null): Network {
  const tasks: Task[] = [];
  const waiting = new Set<(error: unknown) => void>();
  let isClosed = false;

  function ask<T>({ by, what, act, travels }: Request<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (isClosed) return;
      waiting.add(reject);
      const answer = (tell: () => void) => {
        if (!by.isAlive || !waiting.delete(reject)) return;
        tell();
      };
      const fail = (how: string) => answer(() => reject(new FleetError('ER0220', `${what()}: ${how}`, { retryable: true })));
      const happen = async (then: (answer: T) => void, failed: (error: unknown) => void) => {
        if (!travels && !by.isAlive) return;
        await act().then(then, failed);
      };
      const give = (given: T) => answer(() => resolve(given));
      const refuse = (error: unknown) => answer(() => reject(error));
      const nobody = () => {};
      const name = () => `${by.name} ${what()}`;
      tasks.push({
        what: name,
        run(fate) {
          switch (fate) {
            case 'answered':
              return happen(give, refuse);
            case 'answered late':
              return happen(
                (given) =>
                  later(
                    () => `answer to ${name()}`,
                    () => give(given),
                  ),
                refuse,
              );
            case 'answer lost':
              return happen(() => fail('the answer was lost'), refuse);
            case 'lost':
              return fail('it was lost');
            case 'timed out':
              later(
                () => `late ${name()}`,
                () => happen(nobody, nobody),
              );
              return fail('no answer in time');
            default:
              return fate satisfies never;
          }
        },
      });
    });
  }

  function later(what: () => string, run: () => Promise<void> | void): void {
    tasks.push({ what, run });
  }

  return {
    get pending() {
      return tasks.length;
    },
    ask,
    post: later,
    async deliver(place, fate) {
      const [task] = tasks.splice(place, 1);
      if (!task) return;
      trace?.(() => `${task.what()}${fate === 'answered' ? '' : `: ${fate}`}`);
      await task.run(fate);
      await settled();
    },
    close() {
      isClosed = true;
      for (const reject of waiting) reject(new FleetError('ER0232', 'the schedule is over'));
    },
  };
}

/**
 * Everything that follows at once has followed: no promise is left that could go on. No turn of the event loop passes
 * meanwhile, and so no timer of the engine ever fires: time is the schedule's alone.
 */
export const settled = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));
