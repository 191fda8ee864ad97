import { type Action, isLive, type ListedAction } from './domain/action.ts';
import { type Do, doText } from './domain/command.ts';
import type { Problem } from './domain/heartbeat.ts';
import type { Token } from './domain/identity.ts';
import type { Hindrance } from './domain/look.ts';

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
  readonly hindranceTo: (what: Do) => Hindrance | null;
  readonly onProblem: (problem: Problem) => void;
}): Hold {
  const told = new Map<Token, string>();

  const hindranceOf = (action: Action): Hindrance | null => (isLive(action) ? fleet.hindranceTo(action.do) : null);

  function problemOf(action: Action): Problem {
    const { code, message } = hindranceOf(action) ?? { code: 'ER0227', message: 'no more' };
    return { subject: action.id, code, message: `${doText(action.do)} waits: ${message}` };
  }

  return {
    isHeld: (action) => hindranceOf(action) !== null,
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
      const hindrance = hindranceOf(action);
      return hindrance === null ? action : { ...action, held: hindrance.message, heldCode: hindrance.code };
    },
  };
}
