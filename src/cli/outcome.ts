import { type Action, isEnded } from '../domain/action.ts';
import { type Code, OK } from '../domain/codes.ts';
import type { ActionId } from '../domain/identity.ts';
import { EXIT, type ExitCode, gravest } from './exit.ts';
import { orAborted, pause } from './pause.ts';
import type { Session } from './session.ts';

/** Whether nothing more will happen by itself: each has ended, or stands in a lane behind one that has failed. */
function areOver(actions: readonly Action[]): boolean {
  const held = new Set(actions.filter((action) => action.status === 'failed').map((action) => action.lane));
  return actions.every((action) => isEnded(action) || held.has(action.lane));
}

/** What of a session an outcome is seen by. */
interface Watched extends Pick<Session, 'latest'> {
  readonly fleet: Pick<Session['fleet'], 'beat' | 'on'>;
}

/**
 * Beats until these actions are over, or a signal aborts.
 * @returns the last word on each of them
 */
export async function outcomeOf(
  armed: readonly Action[],
  { fleet, latest }: Watched,
  { everyMs, until }: { readonly everyMs: number; readonly until: AbortSignal },
): Promise<readonly Action[]> {
  const ids = [...new Set(armed.map((action) => action.id))];
  const byId = new Map(armed.map((action) => [action.id, action]));
  const now = () => ids.flatMap((id) => lastWord(id, latest, byId) ?? []);
  const end = new AbortController();
  const giveUp = () => end.abort();
  const check = () => {
    if (until.aborted || areOver(now())) end.abort();
  };
  const listener = fleet.on('action', check);
  until.addEventListener('abort', giveUp);
  try {
    for (check(); !end.signal.aborted; ) {
      await pause(everyMs, end.signal);
      if (!end.signal.aborted) await orAborted(fleet.beat(), until);
    }
  } finally {
    until.removeEventListener('abort', giveUp);
    listener.unsubscribe();
  }
  return now();
}

const lastWord = (
  id: ActionId,
  latest: ReadonlyMap<ActionId, Action>,
  armed: ReadonlyMap<ActionId, Action>,
): Action | undefined => latest.get(id) ?? armed.get(id);

/** The code of what became of an action. */
export function codeOf(action: Action): Code {
  switch (action.status) {
    case 'done':
      return OK;
    case 'failed':
      return action.history.at(-1)?.code ?? 'ER0018';
    case 'cancelled':
      return 'ER0217';
    case 'expired':
      return 'ER0219';
    default:
      return 'ER0227';
  }
}

const exitOfOne = (action: Action): ExitCode => {
  if (action.status === 'done') return EXIT.done;
  return action.status === 'failed' || isEnded(action) ? EXIT.failed : EXIT.deferred;
};

/** How a command line ends whose actions came to this. What only waits behind a failure says nothing of its own. */
export const exitOf = (actions: readonly Action[]): ExitCode => gravest(actions.map(exitOfOne));
