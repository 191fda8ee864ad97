/** How long one is waited for. */
interface Patience {
  /** One that is not expected to answer is waited for only a moment, so that it holds up nobody. Default true. */
  readonly isExpected?: boolean;
  /** So long, in milliseconds, one is waited for that is. Where it was late before, and by default, until it has answered. */
  readonly waitMs?: number | undefined;
}

/** Asks about one subject; undefined while one that hung before has not come back yet. */
export type Ask<R> = (
  subject: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<R>,
  patience?: Patience,
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

  const askFor = async (
    ms: number,
    subject: string,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<R>,
  ): Promise<R | undefined> => {
    const straggler = askBeside(subject, work);
    const outcome = await within(ms, straggler.done, signal);
    if (outcome === undefined) straggler.isLate = true;
    else away.delete(subject);
    return outcome;
  };

  return async (subject, signal, work, { isExpected = true, waitMs } = {}) => {
    const { outcome: late } = away.get(subject) ?? {};
    if (away.has(subject) && late === undefined) return undefined;
    away.delete(subject);
    if (late !== undefined && !isAnswer(late)) return (await askFor(MOMENT_MS, subject, signal, work)) ?? late;
    if (late === undefined && !isExpected) return askFor(MOMENT_MS, subject, signal, work);
    const from = performance.now();
    const isBounded = late === undefined && waitMs !== undefined;
    const outcome = await (isBounded ? askFor(waitMs, subject, signal, work) : work(signal));
    if (outcome === undefined || signal.aborted || isAnswer(outcome)) return outcome;
    if (performance.now() - from > LONG_MS) askBeside(subject, work).isLate = true;
    return outcome;
  };
}

/** @returns what comes of it within so long, else undefined; undefined at once where the signal is aborted */
function within<T>(ms: number, work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  let end = () => {};
  const ended = new Promise<undefined>((resolve) => {
    const timer = setTimeout(resolve, ms, undefined);
    const give = () => resolve(undefined);
    signal.addEventListener('abort', give, { once: true });
    end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', give);
    };
  });
  return Promise.race([work, ended]).finally(() => end());
}
