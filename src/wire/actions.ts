import type { ListedAction } from '../domain/action.ts';
import { type EntityKey, levelOf, nameOf, serviceKey } from '../domain/identity.ts';
import type { InstanceRung } from '../domain/instance.ts';
import { isClusterVerb } from '../domain/service.ts';
import type { ActionRow, ActionsDocument } from './document.ts';
import { isoTime } from './time.ts';
import { awaited } from './trigger.ts';

/** What a row of actions says about what is to be done. */
type Done = Pick<ActionRow, 'do_level' | 'do_group' | 'do_action' | 'do_ip' | 'up_to' | 'cloud'> & {
  /** The lane that a reader takes from these words; null where it cannot know. */
  readonly lane: EntityKey | null;
};

/** A list of actions; a bootstrap in a service's lane is written as that service's. */
export const fromActions = (actions: readonly ListedAction[]): ActionsDocument => ({
  kind: 'actions',
  body: { actions: actions.map(actionRow) },
});

function actionRow(action: ListedAction): ActionRow {
  const when = awaited(action.when);
  const { lane, do_ip, ...done } = doneBy(action);
  const isAwaitedThere = when.event_type === 'instances' && when.event_ip === do_ip;
  return {
    ...when,
    ...done,
    ...(do_ip !== undefined && !isAwaitedThere && { do_ip }),
    ...(lane !== action.lane && { lane: action.lane }),
    id: action.id,
    expires_at: action.expiresAt === null ? null : isoTime(action.expiresAt),
    attempts: action.attempts,
    status: action.status,
    ...(action.held !== undefined && { held: action.held }),
  };
}

function doneBy({ do: what, lane }: ListedAction): Done {
  if (what.level === 'services') {
    // Which cluster it is of, a reader may not know.
    const own = isClusterVerb(what.verb) ? null : serviceKey(what.name);
    return { do_level: 'services', do_group: what.name, do_action: what.verb, lane: own };
  }
  const { subject } = what;
  const verb = what.verb === 'bootstrap' ? bootstrapWords(what.upTo ?? 'managed') : { do_action: what.verb };
  if ('key' in subject) {
    const [, cloud = ''] = subject.key.split('/');
    return { do_level: 'instances', do_group: nameOf(subject.key), ...verb, cloud, lane: subject.key };
  }
  if (what.verb === 'bootstrap' && levelOf(lane) === 'services') {
    return { do_level: 'services', do_group: nameOf(lane), ...verb, do_ip: subject.ip, lane };
  }
  return { do_level: 'instances', do_group: subject.ip, ...verb, lane: null };
}

const bootstrapWords = (upTo: InstanceRung): Pick<ActionRow, 'do_action' | 'up_to'> => {
  if (upTo === 'managed') return { do_action: 'bootstrap_ncc' };
  return upTo === 'bootstrapped' ? { do_action: 'bootstrap_binaries' } : { do_action: 'bootstrap_binaries', up_to: upTo };
};
