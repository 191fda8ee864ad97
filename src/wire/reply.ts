import { type Code, textOf } from '../domain/codes.ts';
import { type EntityKey, type Instant, type Level, levelOf, nameOf, wantedOf } from '../domain/identity.ts';
import type { View } from '../domain/view.ts';
import {
  type ConsoleRow,
  type Named,
  type Question,
  type ReplyBody,
  type ReplyDocument,
  type ReplyInstanceRow,
  type ReplyServiceRow,
  WIRE_VERSION,
} from './document.ts';
import { codeOf } from './entity.ts';
import { instanceRow } from './instance.ts';
import { serviceRow } from './service.ts';
import { isoTime } from './time.ts';

/** What a reply is made of. */
export interface ReplyParts {
  /** What was asked: a command, or as much of one as was understood. */
  readonly question: Question;
  /** How it ended as a whole. */
  readonly code: Code;
  /** The answerer's own time: milliseconds, or ISO 8601 in UTC. */
  readonly at: Instant | string;
  /** What became of each target; without targets, each view is listed as it is. */
  readonly targets?: readonly { readonly key: EntityKey; readonly code: Code }[];
  /** What is known of the targets. */
  readonly views?: readonly View[];
  /** The answer of the config level, its secrets masked by asterisks. */
  readonly config?: readonly unknown[];
  readonly console?: readonly ConsoleRow[];
}

/** The reply to a command, with a list under the name of its level. */
export function fromReply(parts: ReplyParts): ReplyDocument {
  const { action, group, type = 'all', level } = parts.question;
  const time = isoTime(parts.at);
  const views = new Map((parts.views ?? []).map((view) => [view.key, view]));
  const targets = parts.targets ?? [...views.values()].map((view) => ({ key: view.key, code: codeOf(view) }));
  const of = (one: Level) => targets.filter(({ key }) => levelOf(key) === one);
  const instances = of('instances').map(({ key, code }) => instance(key, code, views.get(key)));
  const services = of('services').map(({ key, code }) => service(key, code, views.get(key), time));
  const body: ReplyBody = {
    return: { code: parts.code },
    version: WIRE_VERSION,
    question: { ...(level !== undefined && { level }), action, group, type },
    ...((level === 'instances' || instances.length > 0) && { instances }),
    ...((level === 'services' || services.length > 0) && { services }),
    ...(level === 'config' && { config: parts.config ?? [] }),
    console: parts.console ?? [],
  };
  return { kind: 'reply', body };
}

function instance(key: EntityKey, code: Code, view: View | undefined): Named<ReplyInstanceRow> {
  if (view !== undefined) {
    const [name, row] = instanceRow(view);
    return { [name]: { ...row, code } };
  }
  const wanted = wantedOf(key);
  const [, cloud = ''] = key.split('/');
  return { [nameOf(key)]: { id: wanted ? null : nameOf(key), ip: wanted?.ip ?? null, cloud, code } };
}

/** The state of a service in a reply is what became of the command; a rung goes with the code that it was seen with only. */
function service(key: EntityKey, code: Code, view: View | undefined, time: string): Named<ReplyServiceRow> {
  const outcome = { name: nameOf(key), state: textOf(code), code };
  if (view === undefined) return { [outcome.name]: outcome };
  const [name, { rung, ...row }] = serviceRow(view, time);
  return { [name]: { ...row, ...outcome, ...(rung !== undefined && row.code === code && { rung }) } };
}
