/** How well a subject is known: one that nobody has asked before, one that answered when it was asked last, and one that did not. */
export type Standing = 'new' | 'answering' | 'silent';

/** Asks about one subject; undefined where it is not waited for any longer, or has not come back yet. */
export type Ask<R> = (
  subject: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<R>,
  standing: Standing,
) => Promise<R | undefined>;

interface Straggler<R> {
  readonly done: Promise<R>;
  outcome?: R;
  /** Whether a reading has gone on without it. */
  isLate?: true;
}

/** Whoever is waited for longer than this is a straggler, but for one that always takes so long. */
const LONG_MS = 1000;
/** So long is waited for one that did not answer before. */
const MOMENT_MS = 150;

/**
 * Keeps subjects that hang from holding up readings: a reading goes on without whoever takes long. That one is asked on beside the
 * readings, which have its word once it is there. So it costs a second once, and nothing after; one that did not answer before
 * costs a moment. Only who was never asked is waited for to its own deadline.
 *
 * Only a failure that came late is passed on; a subject that answers is asked anew, since what is good to hear has to be of the
 * reading that tells it.
 *
 * @param isAnswer whether the subject answered. `work` resolves also where it did not, and by its own deadline
 * @param onBack told when one has answered that a reading did not wait for
 */
export function stragglers<R>(isAnswer: (outcome: R) => boolean, onBack: () => void = () => {}): Ask<R> {
  const never = new AbortController().signal;
  const away = new Map<string, Straggler<R>>();
  /** How long each took that has answered. */
  const took = new Map<string, number>();

  const timed = async (subject: string, working: Promise<R>): Promise<R> => {
    const from = performance.now();
    const outcome = await working;
    if (isAnswer(outcome)) took.set(subject, performance.now() - from);
    return outcome;
  };

  const askBeside = (subject: string, work: (signal: AbortSignal) => Promise<R>): Straggler<R> => {
    const straggler: Straggler<R> = { done: timed(subject, work(never)) };
    away.set(subject, straggler);
    straggler.done.then(
      (outcome) => {
        straggler.outcome = outcome;
        if (straggler.isLate && isAnswer(outcome)) onBack();
      },
      () => away.delete(subject),
    );
    return straggler;
  };

  const askFor = async (ms: number, subject: string, work: (signal: AbortSignal) => Promise<R>): Promise<R | undefined> => {
    const straggler = askBeside(subject, work);
    const outcome = await within(ms, straggler.done);
    if (outcome === undefined) straggler.isLate = true;
    else away.delete(subject);
    return outcome;
  };

  const patienceWith = (subject: string, standing: 'answering' | 'silent'): number =>
    standing === 'silent' ? MOMENT_MS : Math.max(LONG_MS, 2 * (took.get(subject) ?? 0));

  return async (subject, signal, work, standing) => {
    const { outcome: late } = away.get(subject) ?? {};
    if (away.has(subject) && late === undefined) return undefined;
    away.delete(subject);
    if (late !== undefined && !isAnswer(late)) return (await askFor(MOMENT_MS, subject, work)) ?? late;
    const isKnown = late !== undefined ? 'answering' : standing;
    // One whose turn has not come in time is told so by its own work.
    if (isKnown !== 'new' && !signal.aborted) return askFor(patienceWith(subject, isKnown), subject, work);
    const from = performance.now();
    const outcome = await timed(subject, work(signal));
    if (!signal.aborted && !isAnswer(outcome) && performance.now() - from > LONG_MS) askBeside(subject, work).isLate = true;
    return outcome;
  };
}

/** @returns what comes of it within so long, else undefined */
function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout;
  const end = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  return Promise.race([work, end]).finally(() => clearTimeout(timer));
}
