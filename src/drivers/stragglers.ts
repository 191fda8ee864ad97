/** Asks about one subject; undefined while one that hung before has not come back yet. */
export type Ask<R> = (subject: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<R>) => Promise<R | undefined>;

/** Whoever is waited for longer than this is a straggler. */
const LONG_MS = 1000;

/**
 * Keeps subjects that hang from holding up more than one reading: one that hung is asked again beside the readings, which from then on
 * have its word once it is there. So it costs its own deadline once, and nothing after.
 *
 * Only a failure that came late is passed on; a subject that answers is asked anew, since what is good to hear has to be of the
 * reading that tells it.
 *
 * @param isAnswer whether the subject answered. `work` resolves also where it did not, and by its own deadline
 */
export function stragglers<R>(isAnswer: (outcome: R) => boolean): Ask<R> {
  const never = new AbortController().signal;
  const away = new Map<string, { outcome?: R }>();

  const askBeside = (subject: string, work: (signal: AbortSignal) => Promise<R>) => {
    const straggler: { outcome?: R } = {};
    away.set(subject, straggler);
    work(never).then(
      (outcome) => {
        straggler.outcome = outcome;
      },
      () => away.delete(subject),
    );
  };

  return async (subject, signal, work) => {
    const straggler = away.get(subject);
    if (straggler) {
      const { outcome } = straggler;
      if (outcome === undefined) return undefined;
      away.delete(subject);
      if (!isAnswer(outcome)) {
        askBeside(subject, work);
        return outcome;
      }
    }
    const from = performance.now();
    const outcome = await work(signal);
    if (!signal.aborted && !isAnswer(outcome) && performance.now() - from > LONG_MS) askBeside(subject, work);
    return outcome;
  };
}
