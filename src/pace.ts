/** Beats that come by themselves. */
export interface Pace {
  /** How far they are apart, in milliseconds; 0 where none come. */
  readonly everyMs: number;
  /** How long a reading waits for what is slow in it, in milliseconds; 0 where somebody else calls for beats, and waits for all. */
  readonly waitMs: number;
  start(everyMs: number): void;
  /** The next beat comes as soon as the last one is a rest ago. */
  sooner(): void;
  /** Resolves with the reading, or goes on without it: a source that is slow holds up no other. Where beats are asked for, they wait. */
  inTime(reading: Promise<unknown>): Promise<unknown>;
  stop(): void;
}

/**
 * The share of its interval that a fleet rests before a beat that is called for: what comes at once is looked at together. Since what was
 * done may take a while to be seen, each rest after that is twice as long, until it is the whole interval again.
 */
const FIRST_SHARE = 0.25;
/** The share of its interval for which a beat waits for its sources, and a reading for what is slow in it. */
const WAITED_SHARE = 0.5;
/** What takes no longer is not slow, however often is looked. */
const SLOW_MS = 500;

export function createPace(beat: () => Promise<unknown>, onFault: (error: unknown) => void): Pace {
  let everyMs = 0;
  let timer: NodeJS.Timeout | undefined;
  /** When the last beat ended; null while there is one, and where none comes. */
  let endedAt: number | null = null;
  let share = 1;
  let stopped = false;

  async function loop(): Promise<void> {
    endedAt = null;
    share = Math.min(1, share * 2);
    try {
      await beat();
    } catch (error) {
      onFault(error);
    }
    if (stopped) return;
    endedAt = performance.now();
    next(endedAt + everyMs * share);
  }

  function next(at: number): void {
    clearTimeout(timer);
    timer = setTimeout(loop, Math.max(0, at - performance.now()));
  }

  return {
    get everyMs() {
      return everyMs;
    },
    get waitMs() {
      return everyMs === 0 ? 0 : Math.max(SLOW_MS, everyMs * WAITED_SHARE);
    },
    start(every) {
      everyMs = every;
      next(0);
    },
    sooner() {
      if (share === FIRST_SHARE) return;
      share = FIRST_SHARE;
      if (endedAt !== null) next(endedAt + everyMs * share);
    },
    inTime(reading) {
      if (everyMs === 0) return reading;
      let end: NodeJS.Timeout;
      const late = new Promise((resolve) => {
        end = setTimeout(resolve, everyMs * WAITED_SHARE);
      });
      return Promise.race([reading, late]).finally(() => clearTimeout(end));
    },
    stop() {
      stopped = true;
      endedAt = null;
      clearTimeout(timer);
    },
  };
}
