import type { Subject } from './command.ts';
import type { Instant, Level } from './identity.ts';
import type { Policy } from './policy.ts';
import type { View } from './view.ts';

/** When an action is due. */
export type Trigger =
  | { readonly on: 'now' }
  | {
      readonly on: 'holds';
      readonly level: Level;
      readonly subject: Subject;
      /** A chart's word, a code's text, or `known`. */
      readonly state: string;
      /** Only once it has held for so long without a break. */
      readonly forMs?: number;
    }
  | { readonly on: 'all' | 'any'; readonly of: readonly Trigger[] }
  | { readonly on: 'atLeast'; readonly count: number; readonly of: readonly Trigger[] };

export const NOW: Trigger = { on: 'now' };

/** What a trigger may look at. */
export interface Sight {
  /** The view of a trigger's subject; undefined where there is none or where two report one ip. */
  look(level: Level, subject: Subject): View | undefined;
  /** Whether the source of a view cannot see at present: nothing fires from what it saw before. */
  isBlind(view: View): boolean;
  /** When the last complete read of a level began. */
  readAt(level: Level): Instant | null;
}

/** Whether a trigger holds, and whether what says so is fresh. */
export interface Verdict {
  readonly fresh: boolean;
  readonly holds: boolean;
}

/**
 * Judges a trigger: level first, so it does not matter whether its state came before or after it was armed.
 * Only a fresh view makes it hold: one whose read began after arming, or no longer ago than `policy.freshMs`, and whose source
 * is not blind.
 */
export function judge(
  trigger: Trigger,
  sight: Sight,
  at: { readonly now: Instant; readonly armedAt: Instant; readonly policy: Pick<Policy, 'freshMs'> },
): Verdict {
  const isFresh = (readAt: Instant | null) => readAt !== null && (readAt >= at.armedAt || at.now - readAt <= at.policy.freshMs);
  switch (trigger.on) {
    case 'now':
      return { fresh: true, holds: true };
    case 'holds': {
      const view = sight.look(trigger.level, trigger.subject);
      const fresh = view ? isFresh(view.readAt) && !sight.isBlind(view) : isFresh(sight.readAt(trigger.level));
      return { fresh, holds: fresh && view !== undefined && hasHeld(view, trigger.state, trigger.forMs ?? 0) };
    }
    case 'all':
    case 'any':
    case 'atLeast': {
      const verdicts = trigger.of.map((part) => judge(part, sight, at));
      const held = verdicts.filter((verdict) => verdict.holds).length;
      const holds = held >= neededOf(trigger);
      return { fresh: holds || verdicts.every((verdict) => verdict.fresh), holds };
    }
    default:
      return trigger satisfies never;
  }
}

/** How many of its parts must hold. */
export function neededOf(trigger: Extract<Trigger, { of: unknown }>): number {
  switch (trigger.on) {
    case 'all':
      return trigger.of.length;
    case 'any':
      return 1;
    case 'atLeast':
      return trigger.count;
    default:
      return trigger satisfies never;
  }
}

function hasHeld(view: View, word: string, forMs: number): boolean {
  if (!view.holds.has(word)) return false;
  if (forMs === 0) return true;
  const since = Math.max(view.heldSince.get(word) ?? view.since, view.seenSince);
  return view.readAt - since >= forMs;
}

/** Every subject that a trigger looks at. */
export function subjectsOf(trigger: Trigger): readonly { readonly level: Level; readonly subject: Subject }[] {
  if (trigger.on === 'now') return [];
  return trigger.on === 'holds' ? [{ level: trigger.level, subject: trigger.subject }] : trigger.of.flatMap(subjectsOf);
}

/** A trigger as a person reads it: `instances 10.0.0.102 is running`. */
export function triggerText(trigger: Trigger): string {
  switch (trigger.on) {
    case 'now':
      return 'now';
    case 'holds': {
      const subject = 'ip' in trigger.subject ? trigger.subject.ip : trigger.subject.key;
      return `${trigger.level} ${subject} is ${trigger.state}${trigger.forMs ? ` for ${trigger.forMs} ms` : ''}`;
    }
    case 'all':
      return trigger.of.map(triggerText).join(' and ');
    case 'any':
      return trigger.of.map(triggerText).join(' or ');
    case 'atLeast':
      return `at least ${trigger.count} of (${trigger.of.map(triggerText).join(', ')})`;
    default:
      return trigger satisfies never;
  }
}
