import { type Action, isEnded } from '../../src/domain/action.ts';
import { type Code, OK } from '../../src/domain/codes.ts';
import { doText } from '../../src/domain/command.ts';
import type { Problem } from '../../src/domain/heartbeat.ts';
import { asEntityKey, asInstant, type EntityKey } from '../../src/domain/identity.ts';
import { type MaintenanceNews, type MaintenanceSubject, maintenanceText } from '../../src/domain/maintenance.ts';
import { subjectsOf, triggerText } from '../../src/domain/trigger.ts';
import type { Change, View } from '../../src/domain/view.ts';
import type { AuditEntry } from './line.ts';

interface Subscription {
  unsubscribe(): void;
}

/** What of a fleet is written down. */
export interface AuditedFleet {
  on(type: 'changed', listener: (change: Change) => void): Subscription;
  on(type: 'action', listener: (action: Action) => void): Subscription;
  on(type: 'fault', listener: (fault: { readonly key: string }) => void): Subscription;
  on(type: 'recovery', listener: (recovery: AuditedRecovery) => void): Subscription;
  on(type: 'maintenance', listener: (news: MaintenanceNews) => void): Subscription;
  on(type: 'problem', listener: (problem: Problem) => void): Subscription;
}

/** What of a recovery is written down. */
export interface AuditedRecovery {
  readonly key: EntityKey;
  readonly state: string;
  readonly code: Code;
  readonly reason: string;
}

/** Of the problems those that no line about an entity tells: too much of a cluster lost at once. */
const OWN_LINE: ReadonlySet<Code> = new Set<Code>(['ER0239']);

const NOTHING = {
  entity: null,
  why: null,
  observation: null,
  before: null,
  after: null,
  action: null,
  attempt: null,
  code: null,
} as const;

/**
 * Writes down every change, every record of an action and every fault of a fleet, what is decided about the services that it keeps,
 * and what was put into maintenance or taken out. It keeps no beat waiting: lines are written beside it, in order.
 *
 * @param options `who` acts: the fleet's owner or host; `onError` is told of each line that could not be written; `now` is the
 * clock of actions and faults, in milliseconds, `Date.now` by default
 */
export function auditFleet(
  fleet: AuditedFleet,
  log: { write(entry: AuditEntry): Promise<void> },
  options: { readonly who: string; readonly onError: (error: unknown) => void; readonly now?: () => number },
): Subscription {
  const { who, onError, now = Date.now } = options;
  const observed = new Map<string, NonNullable<AuditEntry['observation']>>();
  const statuses = new Map<string, string>();
  const recoveries = new Map<EntityKey, string>();

  const write = (entry: AuditEntry): void => void log.write(entry).catch(onError);

  function remember({ key, level, ip, readAt, source, gone }: View): AuditEntry['observation'] {
    const observation = { key, readAt, source };
    for (const name of [key, `${level} ${ip}`]) {
      if (gone) observed.delete(name);
      else observed.set(name, observation);
    }
    return observation;
  }

  function statusBefore(action: Action): string | null {
    const before = statuses.get(action.id) ?? null;
    if (isEnded(action)) statuses.delete(action.id);
    else statuses.set(action.id, action.status);
    return before;
  }

  /** What was seen last of what the action waited for. */
  function observationOf({ when }: Action): AuditEntry['observation'] {
    const [first] = subjectsOf(when);
    if (!first) return null;
    const { level, subject } = first;
    return observed.get('ip' in subject ? `${level} ${subject.ip}` : subject.key) ?? null;
  }

  const subscriptions = [
    fleet.on('changed', ({ at, kind, key, source, from, to }) => {
      write({
        ...NOTHING,
        at,
        who: source,
        what: kind,
        entity: key,
        why: to.reason ?? null,
        observation: remember(to),
        before: from?.state ?? null,
        after: to.state,
        code: to.code,
      });
    }),
    fleet.on('action', (action) => {
      write({
        at: asInstant(now()),
        who,
        what: doText(action.do),
        entity: action.lane,
        why: triggerText(action.when),
        observation: observationOf(action),
        before: statusBefore(action),
        after: action.status,
        action: action.id,
        attempt: action.attempts,
        code: codeOf(action),
      });
    }),
    fleet.on('fault', ({ key }) => {
      write({ ...NOTHING, at: asInstant(now()), who, what: 'fault', entity: asEntityKey(key), code: 'ER0214' });
    }),
    fleet.on('recovery', ({ key, state, code, reason }) => {
      const before = recoveries.get(key) ?? null;
      recoveries.set(key, state);
      const why = reason === '' ? null : reason;
      write({ ...NOTHING, at: asInstant(now()), who, what: 'recovery', entity: key, why, before, after: state, code });
    }),
    fleet.on('maintenance', ({ kind, maintenance }) => {
      const isOver = kind === 'ended' || kind === 'expired';
      write({
        ...NOTHING,
        at: asInstant(now()),
        who: isOver ? who : maintenance.owner,
        what: `maintenance ${kind}`,
        entity: entityOf(maintenance.subject),
        why: maintenanceText(maintenance),
        code: isOver ? OK : 'ER0238',
      });
    }),
    fleet.on('problem', ({ subject, code, message }) => {
      if (OWN_LINE.has(code)) write({ ...NOTHING, at: asInstant(now()), who, what: `problem ${subject}`, why: message, code });
    }),
  ];
  return {
    unsubscribe() {
      for (const subscription of subscriptions) subscription.unsubscribe();
    },
  };
}

const entityOf = (subject: MaintenanceSubject): EntityKey | null =>
  /^(instances|services)\//.test(subject) ? asEntityKey(subject) : null;

/** How its last try ended, where that is why it stands where it does. */
const codeOf = ({ status, history }: Action): Code | null =>
  status === 'failed' || status === 'backing-off' || isEnded({ status }) ? (history.at(-1)?.code ?? null) : null;
