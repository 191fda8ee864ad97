import type { Problem } from '../../src/domain/heartbeat.ts';

/** Keeps calls from being sent twice: what was accepted, or is under way, is answered and not sent again. */
export interface Once {
  /**
   * Takes the key of a call. Where somebody has it already, `earlier` is the answer to that call; else whoever took it settles it.
   */
  take(key: string): { readonly earlier: Promise<Problem | null> } | { readonly settle: (answer: Problem | null) => void };
}

const REMEMBERED = 10_000;

/** @param isFinal whether a call that was answered so may not be sent again */
export function createOnce(isFinal: (key: string, answer: Problem | null) => boolean): Once {
  const taken = new Map<string, Promise<Problem | null>>();
  return {
    take(key) {
      const earlier = taken.get(key);
      if (earlier) return { earlier };
      let settle: (answer: Problem | null) => void = () => {};
      const answered = new Promise<Problem | null>((resolve) => {
        settle = (answer) => {
          if (!isFinal(key, answer)) taken.delete(key);
          resolve(answer);
        };
      });
      taken.set(key, answered);
      for (const oldest of taken.keys()) {
        if (taken.size <= REMEMBERED) break;
        taken.delete(oldest);
      }
      return { settle };
    },
  };
}
