import { CODE_TEXTS } from './codes.ts';
import { subjectText } from './command.ts';
import { type EntityKey, nameOf } from './identity.ts';
import { INSTANCE_RUNGS, POWERS } from './instance.ts';
import { SERVICE_RUNGS, type ServiceRung } from './service.ts';
import { neededOf, type Sight, type Trigger, triggerText } from './trigger.ts';

const INSTANCE_WORDS: ReadonlySet<string> = new Set([...POWERS, ...INSTANCE_RUNGS, 'absent', 'unreachable', 'known']);
const SERVICE_WORDS: ReadonlySet<string> = new Set([
  ...SERVICE_RUNGS,
  ...['unknown', 'uninstalled', 'stopped', 'starting', 'stopping', 'failing', 'known'],
  ...Object.values(CODE_TEXTS),
]);
/** The words that still come to an instance that is terminated or gone. */
const LAST_WORDS: ReadonlySet<string> = new Set(['terminated', 'absent', 'known']);

/**
 * Why a trigger can never hold any more, or null where it still may: a word that no chart has, an instance that is gone,
 * a service that nobody knows, a rung that its kind does not have. What waits at an ip may always be launched there.
 */
export function outOfReach(
  trigger: Trigger,
  sight: Sight,
  /** The rungs of a service by its key; undefined where nobody knows it. */
  ladderOf: (key: EntityKey) => readonly ServiceRung[] | undefined,
): string | null {
  switch (trigger.on) {
    case 'now':
      return null;
    case 'holds': {
      const { level, subject, state } = trigger;
      const words = level === 'instances' ? INSTANCE_WORDS : SERVICE_WORDS;
      if (!words.has(state)) return `no chart of ${level} has a state ${JSON.stringify(state)}`;
      if (!('key' in subject)) return null;
      if (level === 'services') return rungOutOfReach(state, subject.key, ladderOf(subject.key));
      const view = sight.look(level, subject);
      const isOver = view !== undefined && (view.gone || view.state === 'terminated');
      return isOver && !LAST_WORDS.has(state) ? `${subjectText(subject)} is ${view.state}` : null;
    }
    case 'all':
    case 'any':
    case 'atLeast': {
      const reasons = trigger.of.map((part) => outOfReach(part, sight, ladderOf)).filter((reason) => reason !== null);
      if (trigger.of.length - reasons.length >= neededOf(trigger)) return null;
      return reasons.join('; ') || `${triggerText(trigger)} asks for more than there is`;
    }
    default:
      return trigger satisfies never;
  }
}

function rungOutOfReach(state: string, key: EntityKey, ladder: readonly ServiceRung[] | undefined): string | null {
  if (!ladder) return `no service is called ${nameOf(key)}`;
  const rung = SERVICE_RUNGS.find((one) => one === state);
  return rung === undefined || ladder.includes(rung) ? null : `the ladder of ${nameOf(key)} has no ${rung}`;
}
