import { type Action, isLive, type ListedAction } from './domain/action.ts';
import { type Do, doText } from './domain/command.ts';
import type { Problem } from './domain/heartbeat.ts';
import type { Token } from './domain/identity.ts';

/** The actions that could go on by themselves, and have to wait. */
export interface Hold {
  isHeld(action: Action): boolean;
  /** Why it waits. */
  problemOf(action: Action): Problem;
  /** Tells whoever listens why it waits: once, and again when the reason is another. */
  tell(action: Action): void;
  forget(action: Action): void;
  listed(action: Action): ListedAction;
}

export function createHold(fleet: {
  readonly reasonAgainst: (what: Do) => string | null;
  readonly onProblem: (problem: Problem) => void;
}): Hold {
  const told = new Map<Token, string>();

  const reasonOf = (action: Action): string | null => (isLive(action) ? fleet.reasonAgainst(action.do) : null);

  const problemOf = (action: Action): Problem => ({
    subject: action.id,
    code: 'ER0238',
    message: `${doText(action.do)} waits: ${reasonOf(action) ?? 'no more'}`,
  });

  return {
    isHeld: (action) => reasonOf(action) !== null,
    problemOf,
    tell(action) {
      const problem = problemOf(action);
      if (told.get(action.token) === problem.message) return;
      told.set(action.token, problem.message);
      fleet.onProblem(problem);
    },
    forget(action) {
      told.delete(action.token);
    },
    listed(action) {
      const held = reasonOf(action);
      return held === null ? action : { ...action, held };
    },
  };
}
