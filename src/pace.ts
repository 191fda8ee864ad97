/** Beats that come by themselves. */
export interface Pace {
  /** How far they are apart, in milliseconds; 0 where none come. */
  readonly everyMs: number;
  start(everyMs: number): void;
  /** One beat more, where the next one is far off. */
  sooner(): void;
  /** Resolves with the reading, or goes on without it: a source that is slow holds up no other. Where beats are asked for, they wait. */
  inTime(reading: Promise<unknown>): Promise<unknown>;
  stop(): void;
}

/** News is waited for by the next beat, where that comes within so long. */
const WORTH_MS = 1000;
/** The share of its interval for which a beat waits for its sources. */
const WAITED_SHARE = 0.5;

export function createPace(beat: () => Promise<unknown>, onFault: (error: unknown) => void): Pace {
  let everyMs = 0;
  let timer: NodeJS.Timeout | undefined;
  /** When the next beat comes; null while there is one, and where none does. */
  let nextAt: number | null = null;
  let stopped = false;

  async function loop(): Promise<void> {
    nextAt = null;
    try {
      await beat();
    } catch (error) {
      onFault(error);
    }
    if (stopped) return;
    nextAt = performance.now() + everyMs;
    timer = setTimeout(loop, everyMs);
  }

  return {
    get everyMs() {
      return everyMs;
    },
    start(every) {
      everyMs = every;
      clearTimeout(timer);
      timer = setTimeout(loop, 0);
    },
    sooner() {
      if (nextAt === null || nextAt - performance.now() < WORTH_MS) return;
      clearTimeout(timer);
      void loop();
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
      nextAt = null;
      clearTimeout(timer);
    },
  };
}
