import type { Action } from '../../domain/action.ts';
import { type Do, doText } from '../../domain/command.ts';
import { type EntityKey, nameOf } from '../../domain/identity.ts';
import { maintenanceText } from '../../domain/maintenance.ts';
import { printable } from '../../domain/printable.ts';
import { triggerText } from '../../domain/trigger.ts';
import type { Change } from '../../domain/view.ts';
import { messageOf } from '../../errors.ts';
import type { Fleet, Maintenance, MaintenanceNews, Recovery } from '../../index.ts';
import { type Paint, tinted } from './look.ts';

/** A verb as a person reads it: without the parts of a key that only tell machines apart. */
export const doneText = (what: Do): string =>
  printable(
    what.level === 'instances' && 'key' in what.subject
      ? `instances ${what.verb} ${nameOf(what.subject.key)}${what.upTo ? ` ${what.upTo}` : ''}`
      : doText(what),
  );

const KEY = /\b(instances|services)\/[^\s,)]+/g;

/** What an action waits for, such as `instances 10.0.0.102 is running`. */
export const awaitedText = (action: Pick<Action, 'when'>): string =>
  printable(triggerText(action.when).replace(KEY, (key) => nameOf(key as EntityKey)));

/** Why the last try of an action ended as it did. */
export function endText({ history }: Pick<Action, 'history'>): string {
  const last = history.at(-1);
  return last?.message === undefined ? '' : printable(last.message);
}

/** A change in one line. */
export function changeLine({ kind, from, to }: Change, paint: Paint): string {
  const name = `${paint.bold(printable(to.name))}${to.ip === null || to.ip === to.name ? '' : paint.dim(` ${to.ip}`)}`;
  const now = tinted(to.state, paint);
  const why = to.reason === undefined || to.reason === from?.reason ? '' : paint.dim(` (${printable(to.reason)})`);
  switch (kind) {
    case 'appeared':
      return `${name} appeared, ${now}${why}`;
    case 'changed':
      return from?.state === to.state
        ? `${name} ${now}${why}`
        : `${name} ${tinted(from?.state ?? 'unknown', paint)} → ${now}${why}`;
    case 'moved':
      return `${name} moved from ${printable(from?.ip ?? 'nowhere')}`;
    case 'vanished':
      return `${name} ${paint.red('vanished')}${why}`;
    case 'silent':
      return `${name} ${paint.red('has gone silent')}, was ${tinted(from?.state ?? 'unknown', paint)}`;
    case 'conflict':
      return `${name} ${paint.red('shares its address with another instance')}`;
    default:
      return kind satisfies never;
  }
}

/** The status of an action in one line. */
export function actionLine(action: Action, paint: Paint): string {
  const what = doneText(action.do);
  const end = endText(action);
  const because = end === '' ? '' : `: ${end}`;
  switch (action.status) {
    case 'waiting':
      return `${paint.dim('·')} ${what} waits${action.when.on === 'now' ? '' : ` until ${awaitedText(action)}`}`;
    case 'claiming':
      return `${paint.yellow('▷')} ${what} is due`;
    case 'dispatching':
      return `${paint.yellow('▶')} ${what} fires`;
    case 'backing-off':
      return `${paint.yellow('↻')} ${what} failed at try ${action.attempts}, will try again${because}`;
    case 'failed':
      return `${paint.red('✖')} ${what} failed after ${action.attempts} tries${because}`;
    case 'done':
      return `${paint.green('✔')} ${what} is done`;
    case 'expired':
    case 'cancelled':
      return `${paint.dim('✖')} ${what} was ${action.status === 'expired' ? 'not due in time' : 'cancelled'}${because}`;
    default:
      return action.status satisfies never;
  }
}

/** How it stands with a service that is kept, in one line. */
export const recoveryText = ({ state, reason }: Pick<Recovery, 'state' | 'reason'>): string =>
  `recovery: ${state}${reason === '' ? '' : `: ${reason}`}`;

/** What became of a maintenance, in one line. */
export const newsText = (kind: MaintenanceNews['kind'], maintenance: Maintenance): string =>
  `${kind}: ${maintenanceText(maintenance)}`;

/** Tells what happens in a fleet, line by line. @returns how to end it */
export function narrate(fleet: Pick<Fleet, 'on'>, tell: (line: string) => void, paint: Paint): () => void {
  const told = new Map<string, string>();
  const once = (subject: string, line: string) => {
    if (told.get(subject) === line) return;
    told.set(subject, line);
    tell(line);
  };
  const listening = [
    fleet.on('changed', (change) => tell(changeLine(change, paint))),
    fleet.on('action', (action) => {
      if (action.status !== 'claiming') once(action.token, actionLine(action, paint));
    }),
    fleet.on('blind', ({ source, message }) => once(source, `${paint.red('blind')} ${printable(source)}: ${printable(message)}`)),
    fleet.on('storeLost', ({ error }) => once('store', `${paint.red('store')} ${printable(messageOf(error))}`)),
    fleet.on('fault', ({ key, error }) => tell(`${paint.red('fault')} ${printable(key)}: ${printable(messageOf(error))}`)),
    fleet.on('parked', ({ id, message }) => tell(`${paint.red('parked')} ${printable(id)}: ${printable(message)}`)),
    fleet.on('problem', ({ subject, message }) => once(subject, `${paint.yellow(printable(subject))} ${printable(message)}`)),
    fleet.on('recovery', (recovery) =>
      once(recovery.key, `${paint.bold(printable(nameOf(recovery.key)))} ${printable(recoveryText(recovery))}`),
    ),
    fleet.on('maintenance', ({ kind, maintenance }) => tell(printable(newsText(kind, maintenance)))),
  ];
  return () => {
    for (const listener of listening) listener.unsubscribe();
  };
}
