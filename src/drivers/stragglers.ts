/**
 * Asks about one subject; undefined while one that hung before has not come back yet. One that is not expected to answer (default: it
 * is) is waited for only a moment, so that it holds up nobody.
 */
export type Ask<R> = (
  subject: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<R>,
  isExpected?: boolean,
) => Promise<R | undefined>;

interface Straggler<R> {
  readonly done: Promise<R>;
  outcome?: R;
  /** Whether a reading has gone on without it. */
  isLate?: true;
}

/** Whoever is waited for longer than this is a straggler. */
const LONG_MS = 1000;
/** So long is waited for one that is not expected to answer. */
const MOMENT_MS = 150;

/**
 * Keeps subjects that hang from holding up more than one reading: one that hung is asked again beside the readings, which from then on
 * have its word once it is there. So it costs its own deadline once, and nothing after.
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

  const askBeside = (subject: string, work: (signal: AbortSignal) => Promise<R>): Straggler<R> => {
    const straggler: Straggler<R> = { done: work(never) };
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

  const askForAMoment = async (subject: string, work: (signal: AbortSignal) => Promise<R>): Promise<R | undefined> => {
    const straggler = askBeside(subject, work);
    const outcome = await within(MOMENT_MS, straggler.done);
    if (outcome === undefined) straggler.isLate = true;
    else away.delete(subject);
    return outcome;
  };

  return async (subject, signal, work, isExpected = true) => {
    const { outcome: late } = away.get(subject) ?? {};
    if (away.has(subject) && late === undefined) return undefined;
    away.delete(subject);
    if (late !== undefined && !isAnswer(late)) return (await askForAMoment(subject, work)) ?? late;
    if (late === undefined && !isExpected) return askForAMoment(subject, work);
    const from = performance.now();
    const outcome = await work(signal);
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
