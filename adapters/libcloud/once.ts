import type { Problem } from '../../src/domain/heartbeat.ts';

const REMEMBERED = 10_000;

/** Runs what has a key once: while it runs and after it was accepted, another one with this key gets its answer. */
export function createOnce(): (key: string, run: () => Promise<Problem | null>) => Promise<Problem | null> {
  const accepted = new Map<string, Promise<Problem | null>>();
  return (key, run) => {
    const earlier = accepted.get(key);
    if (earlier) return earlier;
    const running = run();
    accepted.set(key, running);
    for (const oldest of accepted.keys()) {
      if (accepted.size <= REMEMBERED) break;
      accepted.delete(oldest);
    }
    running.then(
      (problem) => {
        if (problem !== null) accepted.delete(key);
      },
      () => accepted.delete(key),
    );
    return running;
  };
}
