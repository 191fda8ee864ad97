import { textOf } from '../../domain/codes.ts';
import { printable } from '../../domain/printable.ts';
import type {
  ActionRow,
  ConsoleRow,
  EventRow,
  InstanceRow,
  Named,
  ReplyBody,
  ReplyInstanceRow,
  ReplyServiceRow,
  ServiceRow,
  WireDocument,
} from '../../wire/index.ts';
import { ageText } from '../duration.ts';
import { type Look, type Paint, tinted } from './look.ts';
import { type Column, table } from './table.ts';

type Ages = ReadonlyMap<string, number>;

/**
 * A document as a person reads it: its lists as tables.
 *
 * @param ages how old what is shown of each instance is, in milliseconds
 */
export function documentText(document: WireDocument, look: Look, ages?: Ages): string {
  switch (document.kind) {
    case 'heartbeat': {
      const { services_status: services, instances_status: instances } = document.body;
      return paragraphs([servicesTable(rowsOf(services?.services), look), instancesTable(rowsOf(instances?.instances), look)]);
    }
    case 'reply':
      return replyText(document.body, look, ages);
    case 'actions':
      return document.body.actions.length === 0 ? 'no actions' : actionsTable(document.body.actions, look);
    case 'events':
      return eventsTable(document.body.events, look);
    case 'instances':
      return instancesTable(rowsOf(document.body.instances), look);
    case 'services':
      return servicesTable(rowsOf(document.body.services), look);
    case 'command': {
      const { action, group, type = 'all' } = document.body.command;
      return printable(`${document.body.level} ${action} ${group} ${type}`);
    }
    default:
      return document satisfies never;
  }
}

const rowsOf = <Row>(entries: readonly Named<Row>[] = []): readonly Row[] => entries.flatMap((entry) => Object.values(entry));

const paragraphs = (parts: readonly string[]): string => parts.filter((part) => part !== '').join('\n\n');

const column = <Row>(title: keyof Row & string, of: Column<Row>['of'], tint?: Column<Row>['tint']): Column<Row> =>
  tint ? { title, of, tint } : { title, of };

const MILLISECONDS = /\.\d{3}(?=Z$)/;

const byState =
  (paint: Paint) =>
  (text: string): string =>
    tinted(text, paint);

/** The seed's columns. */
export function servicesTable(rows: readonly (ServiceRow | ReplyServiceRow)[], look: Look): string {
  return table<ServiceRow | ReplyServiceRow>(
    [
      column('name', (row) => row.name),
      column('ip', (row) => row.ip),
      column('mode', (row) => row.mode),
      column('status', (row) => row.status),
      column('state', (row) => row.state, byState(look.paint)),
      column('code', (row) => row.code),
      column('time', (row) => row.time?.replace(MILLISECONDS, '')),
    ],
    rows,
    look,
  );
}

/** The seed's columns. */
export function instancesTable(rows: readonly (InstanceRow | ReplyInstanceRow)[], look: Look): string {
  return table<InstanceRow | ReplyInstanceRow>(
    [column('id', (row) => row.id), column('ip', (row) => row.ip), column('state', (row) => row.state, byState(look.paint))],
    rows,
    look,
  );
}

/** The provider's own word, where it is not the one that is shown as the state. */
const ownWord = ({ raw, state }: ReplyInstanceRow): string | undefined => (raw === state ? undefined : raw);

/** What is known of instances beyond the seed's columns: how old it is too, where that is known. */
function instanceStatusTable(rows: readonly ReplyInstanceRow[], look: Look, ages: Ages | undefined): string {
  const ageOf = (row: ReplyInstanceRow): string | undefined => {
    const age = ages?.get(row.id ?? row.ip ?? '');
    return age === undefined ? undefined : ageText(age);
  };
  const differs = rows.some((row) => ownWord(row) !== undefined);
  return table<ReplyInstanceRow>(
    [
      column('id', (row) => row.id),
      column('ip', (row) => row.ip),
      { title: 'cloud', of: (row) => row.cloud, spare: 3 },
      column('state', (row) => row.state, byState(look.paint)),
      ...(differs ? [{ title: 'raw', of: ownWord, spare: 1 }] : []),
      column('rung', (row) => row.rung),
      ...(ages ? [{ title: 'age', of: ageOf, spare: 2 }] : []),
      { title: 'reason', of: (row) => row.reason, isProse: true },
    ],
    rows,
    look,
  );
}

function replyText(
  { return: { code }, instances, services, config, console }: ReplyBody,
  look: Look,
  ages: Ages | undefined,
): string {
  return paragraphs([
    services && services.length > 0 ? servicesTable(rowsOf(services), look) : '',
    instances && instances.length > 0 ? instanceStatusTable(rowsOf(instances), look, ages) : '',
    config ? JSON.stringify(config, null, 2) : '',
    console && console.length > 0 ? consoleTable(console, look) : '',
    code === '000000' ? '' : `${look.paint.yellow(printable(code))} ${printable(textOf(code))}`,
  ]);
}

function consoleTable(rows: readonly ConsoleRow[], { paint, columns }: Look): string {
  return table<ConsoleRow>(
    [
      { title: 'step', of: (row) => row.command },
      { title: 'code', of: (row) => row.return, tint: (text) => (text === '000000' ? paint.green(text) : paint.yellow(text)) },
      { title: 'what became of it', of: (row) => row.result, isProse: true },
    ],
    rows,
    { paint, columns },
  );
}

function actionsTable(rows: readonly ActionRow[], look: Look): string {
  return table<ActionRow>(
    [
      { title: 'id', of: (row) => row.id },
      { title: 'do', of: (row) => `${row.do_level} ${row.do_action} ${row.do_group}` },
      { title: 'status', of: (row) => row.status, tint: byState(look.paint) },
      { title: 'tries', of: (row) => row.attempts },
      { title: 'waits for', of: awaitedText, isProse: true },
    ],
    rows,
    look,
  );
}

function awaitedText(row: ActionRow): string {
  if (row.held !== undefined) return row.held;
  if (row.when && row.when.on !== 'holds' && row.when.on !== 'now') return JSON.stringify(row.when);
  return row.event_state === 'na' ? '' : `${row.event_type} ${row.event_ip} ${row.event_state}`;
}

function eventsTable(rows: readonly EventRow[], look: Look): string {
  return table<EventRow>(
    [
      { title: 'name', of: (row) => row.name },
      { title: 'ip', of: (row) => row.ip },
      { title: 'before', of: (row) => row.previous_state, tint: byState(look.paint) },
      { title: 'now', of: (row) => row.state, tint: byState(look.paint) },
    ],
    rows,
    look,
  );
}
