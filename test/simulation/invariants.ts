import { type Action, asInstant, type Call, doText, isEnded, isLive, type Policy, triggerText } from 'fleetbeat';
import { type Book, claimIn, entryIn, idIn } from './book.ts';
import type { Happening } from './happenings.ts';
import type { Life } from './life.ts';

/** One thing that must hold, whatever happens. */
export interface Watch {
  /** @returns what is wrong, or null */
  see?(happening: Happening): string | null;
  /** Asked once the faults have ended and the fleets had time to do what they can. @returns what is wrong, or null */
  end?(ending: Ending): string | null;
}

export interface Ending {
  /** The fleet that leads at the end. */
  readonly leader: Life;
  readonly lives: readonly Life[];
  /** The actions whose triggers have held through the last beats, as far as the onlooker can tell. */
  readonly due: ReadonlySet<string>;
}

export interface Premises {
  readonly book: Book;
  readonly policy: Policy;
  /** Whether all clocks go alike, so that a lease means the same to everybody. */
  readonly isTimely: boolean;
}

export type Invariant = (premises: Premises) => Watch;

/**
 * Whoever was told that an action is armed can rely on it: its record was in the store by then, and until it has ended it is
 * not deleted, and an index entry leads to it, so that whoever starts next finds it. At the end, who leads knows it.
 */
export function noActionLost({ book }: Premises): Watch {
  let head = 0;
  return {
    see(happening) {
      if (happening.is === 'armed') {
        const missing = happening.actions.find(({ token }) => !book.hasHeld(token));
        return missing ? `${missing.token} was said to be armed, but the store never held it` : null;
      }
      if (happening.is !== 'stored') return null;
      const { key, before, after } = happening;
      if (idIn(key) !== null && after === null) {
        const was = book.read(before);
        return was && !isEnded(was) ? `the record of ${was.token} was deleted while it was ${was.status}` : null;
      }
      if (key === 'q:head') {
        head = Number(after);
        return lost(null);
      }
      return after === null ? lost(entryIn(key)) : null;
    },
    end({ leader }) {
      const known = new Set(leader.fleet.actions().map(({ token }) => token));
      for (const action of book.records())
        if (!isEnded(action) && !known.has(action.token)) return `${leader.name} leads and does not know of ${textOf(action)}`;
      return null;
    },
  };

  /** Whether somebody who starts now finds every action, once the index entry `without` is deleted. */
  function lost(without: number | null): string | null {
    const found = new Set<string>();
    for (const [n, id] of book.index) if (n > head && n !== without) found.add(id);
    for (const action of book.records())
      if (!isEnded(action) && !found.has(action.id))
        return `nobody who starts now finds ${textOf(action)}, which is ${action.status}`;
    return null;
  }
}

/**
 * One arming has one token for life. Under one token the same call is applied a second time only after something else has
 * changed its subject meanwhile; a launch, a reboot and a restart never. A reboot or restart that was accepted is not even
 * called again, unless a person said so.
 */
export function noEffectTwice({ book }: Premises): Watch {
  /** When each call was applied last, counted in changes of the world. */
  const applied = new Map<string, number>();
  /** The last change of each subject by something else. */
  const changed = new Map<string, { readonly at: number; readonly by: string }>();
  const accepted = new Set<string>();
  let changes = 0;
  return {
    see(happening) {
      switch (happening.is) {
        case 'stored': {
          const [was, is] = idIn(happening.key) === null ? [] : [book.read(happening.before), book.read(happening.after)];
          return was && is && isLive(was) && was.token !== is.token
            ? `one arming of ${doText(was.do)} has two tokens, ${was.token} and ${is.token}`
            : null;
        }
        case 'retried':
          accepted.clear();
          return null;
        case 'mishap':
          changes++;
          changed.set(EVERYTHING, { at: changes, by: happening.what });
          return null;
        case 'calls': {
          const called = callText(happening.permit.token, happening.call);
          return isMarked(happening.call) && accepted.has(called) ? `${called} was accepted and is called again` : null;
        }
        case 'effect': {
          const { token, verb, step, subject, outcome } = happening.effect;
          const called = `${token} ${verb} ${step ?? ''}`;
          accepted.add(called);
          if (outcome !== 'applied') return null;
          changes++;
          const last = applied.get(called);
          const since = last !== undefined && [...changed.values()].some(({ at, by }) => at > last && by !== called);
          applied.set(called, changes);
          changed.set(called, { at: changes, by: called });
          if (last === undefined || (since && !isOnce(verb, step))) return null;
          return `${called} was applied to ${subject} twice`;
        }
        default:
          return null;
      }
    },
  };
}

/**
 * A waiting action is claimed only where what its fleet was told shows that its trigger holds, in a reading that is fresh:
 * as judged by a model of its sight. One that is put back to wait waits for something that does not hold already.
 */
export function nothingBeforeItsState({ book, policy }: Premises): Watch {
  /** What a fleet has claimed, and whether something was seen in front of it since: then it waits again until that is over. */
  const fired = new Map<string, { readonly by: Life; readonly id: string; wasCrowded: boolean }>();
  /** What was past its time before it was given more: that comes too late for the claim, not for what is done then. */
  const ranOut = new Set<string>();
  /**
   * Whether the trigger held when the fleet last was told something or looked at a record: as often as it may between its decision
   * and the claim, which waits until what is under way about the action has ended.
   */
  const held = new Map<string, readonly boolean[]>();
  /** By host, how far its clock was ahead at most: what others push to it is dated by that clock, and the model does not follow one that was set back. */
  const ahead = new Map<Life['host'], number>();
  const isSetBack = ({ host }: Life): boolean => host.clockMs < (ahead.get(host) ?? host.clockMs);
  /** What each action waits for, and what it did before another fleet wrote that: by then a claim may be on its way. */
  const waits = new Map<string, { readonly when: string; readonly before: string | null }>();
  const note = (action: Action, by: Life): void => {
    const name = `${by.name} ${action.id} ${triggerText(action.when)}`;
    held.set(name, [book.sight(by).mayHold(action, by.now(), policy.freshMs), ...(held.get(name) ?? []).slice(0, 4)]);
  };
  return {
    see(happening) {
      if (happening.is === 'step')
        for (const { host } of happening.lives) ahead.set(host, Math.max(host.clockMs, ahead.get(host) ?? host.clockMs));
      if (happening.is === 'reads' || happening.is === 'has heard') {
        for (const action of book.known(happening.by).values()) if (action.status === 'waiting') note(action, happening.by);
        return null;
      }
      if (happening.is === 'looks' || happening.is === 'learns') {
        for (const one of fired.values()) {
          const action = one.by === happening.by ? book.known(one.by).get(one.id) : undefined;
          if (action) one.wasCrowded ||= isCrowded(action, one.by, book);
        }
      }
      if (happening.is === 'looks') {
        const action = book.known(happening.by).get(idIn(happening.key) ?? '');
        if (action) note(action, happening.by);
        return null;
      }
      if (happening.is === 'learns') {
        const { by, key } = happening;
        const action = book.known(by).get(idIn(key) ?? '');
        if (action && mayRunExpired(action, by.now())) ranOut.add(`${by.name} ${action.token}`);
        const learned = idIn(key) === null ? undefined : book.read(happening.text);
        const name = `${by.name} ${learned?.id}`;
        const when = learned && triggerText(learned.when);
        const known = waits.get(name);
        if (when !== undefined && when !== known?.when)
          waits.set(name, { when, before: happening.wrote ? null : (known?.when ?? null) });
        return null;
      }
      if (happening.is !== 'asks' || happening.next === null) return null;
      const { by, key, next } = happening;
      const now = by.now();
      const claimed = claimedBy(happening);
      if (claimed !== null) {
        fired.set(`${by.name} ${claimed}`, { by, id: claimed, wasCrowded: false });
        const action = book.known(by).get(claimed);
        if (action?.status !== 'waiting' || mayRunExpired(action, now) || isSetBack(by)) return null;
        if (ranOut.has(`${by.name} ${action.token}`)) return null;
        const before = waits.get(`${by.name} ${claimed}`)?.before;
        return [triggerText(action.when), before].some((when) => held.get(`${by.name} ${claimed} ${when}`)?.includes(true))
          ? null
          : `${by.name} claims ${textOf(action)}, but nothing that it was told shows that ${triggerText(action.when)}`;
      }
      const id = idIn(key);
      const action = id === null ? undefined : book.read(next);
      const before = id === null ? undefined : book.known(by).get(id);
      const claim = fired.get(`${by.name} ${id}`);
      fired.delete(`${by.name} ${id}`);
      if (!action || !before || !claim || !isPutBack(before, action)) return null;
      if (claim.wasCrowded || isCrowded(action, by, book)) return null;
      // A source that has been silent since is not believed any more; and the word may be on its way since before its last reading.
      const heldSince = held.get(`${by.name} ${id} ${triggerText(action.when)}`) ?? [];
      if (heldSince.includes(false)) return null;
      return book.sight(by).holds({ ...action, armedAt: asInstant(now + 1) }, now, policy.freshMs)
        ? `${by.name} lets ${textOf(action)} wait again for ${triggerText(action.when)}, which holds`
        : null;
    },
  };
}

/**
 * The steps of a lane begin one after the other: none while one in front of it has not ended well that its fleet knew of when
 * it won the claim. What comes in front later comes too late.
 */
export function laneOrder({ book }: Premises): Watch {
  const claiming = new Set<string>();
  /** What stood in front of each action when its claim was won, until it has begun. */
  const inFront = new Map<string, readonly Action[]>();
  const begun = new Set<string>();
  return {
    see(happening) {
      if (happening.is === 'learns' && happening.wrote) {
        const id = claimIn(happening.key);
        const action = id === null ? undefined : book.known(happening.by).get(id);
        if (action && claiming.delete(`${happening.by.name} ${id}`))
          inFront.set(action.token, predecessorsOf(action, happening.by, book));
        return null;
      }
      if (happening.is !== 'asks') return null;
      const claimed = claimedBy(happening);
      if (claimed !== null) claiming.add(`${happening.by.name} ${claimed}`);
      const action = book.read(idIn(happening.key) === null ? null : happening.next);
      if (action?.status !== 'dispatching' || passesLane(action) || begun.has(action.token)) return null;
      begun.add(action.token);
      const known = book.known(happening.by);
      const first = (inFront.get(action.token) ?? []).find(({ id, token }) => {
        const now = known.get(id);
        return now?.token === token && !isEnded(now);
      });
      return first ? `${textOf(action)} begins before ${textOf(first)}, which is ${first.status}` : null;
    },
  };
}

/**
 * No driver accepts an effect under an older fence than it has seen. Whoever claims an action has renewed the lease within its
 * time, by its own clock; whoever calls has too, and has claimed the action under the very fence that the effect carries. Where all clocks
 * go alike, two never lead at once, and nothing is accepted from who does not lead.
 */
export function oneLeaderActs({ isTimely }: Premises): Watch {
  const fences = new Map<string, number>();
  const terms = new Map<Life, { readonly since: number; readonly leaseMs: number }>();
  const claims = new Set<string>();
  return {
    see(happening) {
      switch (happening.is) {
        case 'learns':
          if (happening.key === 'leader' && happening.wrote && happening.text !== null)
            terms.set(happening.by, { since: happening.askedAt, leaseMs: JSON.parse(happening.text).leaseMs });
          return null;
        case 'stored':
          if (claimIn(happening.key) !== null && happening.after !== null)
            claims.add(`${claimIn(happening.key)} ${happening.after}`);
          return null;
        case 'asks':
          return claimedBy(happening) !== null && !leads(happening.by)
            ? `${happening.by.name} claims an action, but its lease is over`
            : null;
        case 'calls': {
          const { by, permit } = happening;
          if (!leads(by)) return `${by.name} calls a driver, but its lease is over`;
          const claim = `${permit.token.slice(0, permit.token.lastIndexOf('.'))} ${permit.fence} ${by.name}`;
          return claims.has(claim) ? null : `${by.name} calls a driver for ${permit.token}, which it has not claimed`;
        }
        case 'effect': {
          const { fence, token } = happening.effect;
          const highest = fences.get(happening.driver) ?? 0;
          if (isTimely && !leads(happening.by))
            return `${happening.driver} accepted ${token} after the lease of ${happening.by.name}`;
          fences.set(happening.driver, Math.max(highest, fence));
          return fence < highest
            ? `${happening.driver} accepted ${token} with fence ${fence} after it had seen ${highest}`
            : null;
        }
        case 'step': {
          if (!isTimely) return null;
          const leaders = happening.lives.filter((life) => life.isAlive && life.fleet.role !== 'standby');
          return leaders.length > 1 ? `${leaders.map(({ name }) => name).join(' and ')} lead at once` : null;
        }
        default:
          return null;
      }
    },
  };

  function leads(life: Life): boolean {
    const term = terms.get(life);
    return term !== undefined && life.now() - term.since < term.leaseMs;
  }
}

/**
 * Whoever calls a driver knows that the store holds the action as dispatching, with its `begun`, under the token of the call; or,
 * where that one has been given up or armed anew since, another that wants the same.
 */
export function intentBeforeEffect({ book }: Premises): Watch {
  return {
    see(happening) {
      if (happening.is !== 'calls') return null;
      const { by, call, permit } = happening;
      if (!book.hasHeld(permit.token))
        return `${by.name} calls ${doText(call.do)} under ${permit.token}, of which the store has no record`;
      const own = [...book.known(by).values()].find(({ token }) => token === permit.token);
      if ((own?.status === 'dispatching' && own.begun !== null) || isSharedCall(call, permit.token, by, book)) return null;
      return `${by.name} calls ${doText(call.do)}, but in the store ${permit.token} is ${own?.status ?? 'not the latest any more'}`;
    },
  };
}

/** What has ended stays as it ended, and no fleet calls anything for an action that it has told to be cancelled. */
export function cancelledStaysCancelled({ book }: Premises): Watch {
  const told = new Map<Life, Set<string>>();
  return {
    see(happening) {
      switch (happening.is) {
        case 'says': {
          if (happening.action.status !== 'cancelled') return null;
          const those = told.get(happening.by) ?? new Set();
          told.set(happening.by, those.add(happening.action.token));
          return null;
        }
        case 'calls':
          return told.get(happening.by)?.has(happening.permit.token) &&
            !isSharedCall(happening.call, happening.permit.token, happening.by, book)
            ? `${happening.by.name} calls ${doText(happening.call.do)} for ${happening.permit.token}, which it said was cancelled`
            : null;
        case 'stored': {
          if (idIn(happening.key) === null) return null;
          const [was, is] = [book.read(happening.before), book.read(happening.after)];
          return was && is && isEnded(was) && was.token === is.token && was.status !== is.status
            ? `${was.token} was ${was.status} and is ${is.status}`
            : null;
        }
        default:
          return null;
      }
    },
  };
}

/** Once the faults are over, what can fire has fired within a bounded number of beats, and what was begun has come to its end. */
export function triggersFire({ book }: Premises): Watch {
  return {
    end({ due }) {
      for (const action of book.records()) {
        if (!isLive(action)) continue;
        if (action.status !== 'waiting') return `${textOf(action)} is still ${action.status}`;
        if (due.has(action.token)) return `${textOf(action)} waits though ${triggerText(action.when)}`;
      }
      return null;
    },
  };
}

/** No chart fails, nothing unforeseen is thrown, every beat ends, and no chart is busy for an action that is over. */
export function noStuckCharts({ book }: Premises): Watch {
  return {
    see(happening) {
      if (happening.is === 'fault') return `${happening.by.name}: ${happening.key} failed: ${String(happening.error)}`;
      if (happening.is !== 'says') return null;
      const { history } = happening.action;
      const strange = history.find(({ code, message }) => code === 'ER0220' && !FORESEEN.test(message ?? ''));
      return strange
        ? `${textOf(happening.action)} failed for a reason that the schedule did not give: ${strange.message}`
        : null;
    },
    end({ leader, lives }) {
      for (const life of lives) if (life.beats > 0) return `a beat of ${life.name} does not end`;
      if ([...book.records()].some(isLive)) return null;
      const [busy] = busyCharts(leader);
      return busy === undefined ? null : `the chart of ${busy} is busy, and no action is live`;
    },
  };
}

/** The entities about which a fleet is doing something. */
export function busyCharts({ fleet }: Life): readonly string[] {
  return fleet.views().flatMap((view) => {
    if (view.gone || (view.level === 'instances' && view.ip === null)) return [];
    const actor = fleet.actor(view.level, view.name);
    const isBusy = actor.getSnapshot().hasTag('busy');
    fleet.release(actor);
    return isBusy ? [view.key] : [];
  });
}

export const INVARIANTS: readonly Invariant[] = [
  noActionLost,
  noEffectTwice,
  nothingBeforeItsState,
  laneOrder,
  oneLeaderActs,
  intentBeforeEffect,
  cancelledStaysCancelled,
  triggersFire,
  noStuckCharts,
];

const EVERYTHING = 'everything';

/** Why a call may have an outcome that nobody knows: what the network and the simulated world do to it. */
const FORESEEN = /was lost$|in time$|\(simulated\)$|gone from the store$/;

const textOf = ({ token, do: what }: Action): string => `${doText(what)} (${token})`;

/** One call serves all actions that want the same; it goes on under the token that it began with while one of them is live. */
const isSharedCall = ({ do: what }: Call, token: string, life: Life, book: Book): boolean =>
  [...book.known(life).values()].some((other) => other.token !== token && isLive(other) && doText(other.do) === doText(what));

const callText = (token: string, { do: what, step }: Call): string => `${token} ${what.verb} ${step ?? ''}`;

/** Calls whose effect shows in a mark that changes, and nowhere else. */
const isMarked = ({ do: { verb } }: Call): boolean => verb === 'reboot' || verb === 'restart';

const isOnce = (verb: string, step: string | undefined): boolean =>
  verb === 'launch' || verb === 'reboot' || (step ?? verb) === 'restart';

const passesLane = ({ do: { verb } }: Action): boolean => verb === 'stop' || verb === 'terminate';

const mayRunExpired = (action: Action, now: number): boolean =>
  action.onExpire === 'run' && action.expiresAt !== null && now >= action.expiresAt;

/** The id of the action that is being claimed; a claim that is renewed is none. */
const claimedBy = ({ key, expected, next }: Extract<Happening, { is: 'asks' }>): string | null =>
  next === null || next === expected ? null : claimIn(key);

/** What stands in front of an action in its lane and has not ended, as far as a fleet knows. */
export const predecessorsOf = (action: Action, life: Life, book: Book): readonly Action[] =>
  [...book.known(life).values()].filter(
    (other) => other.lane === action.lane && isBefore(other, action) && !isEnded(other) && book.hasFound(life, other),
  );

/** Whether something that a fleet has read, however it came upon it, stands in front of an action. */
export const isCrowded = (action: Action, life: Life, book: Book): boolean =>
  [...book.known(life).values()].some((other) => other.lane === action.lane && isBefore(other, action) && !isEnded(other));

/** Two fleets that arm at once may give one place twice; then the ids decide. */
const isBefore = (a: Action, b: Action): boolean => a.order < b.order || (a.order === b.order && a.id < b.id);

/** Whether an action that had fired goes on waiting for what it had fired on. */
const isPutBack = (before: Action, after: Action): boolean =>
  before.status === 'waiting' &&
  after.status === 'waiting' &&
  before.token === after.token &&
  before.expiresAt === after.expiresAt &&
  before.attempts === after.attempts &&
  triggerText(before.when) === triggerText(after.when) &&
  after.history.length > before.history.length;
