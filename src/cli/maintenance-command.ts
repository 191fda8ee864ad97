import { OK } from '../domain/codes.ts';
import type { Maintenance } from '../domain/maintenance.ts';
import { isFleetError } from '../errors.ts';
import type { Fleet } from '../index.ts';
import { fromReply, type WireDocument } from '../wire/index.ts';
import { refusal } from './answer.ts';
import { EXIT, type ExitCode } from './exit.ts';
import type { MaintenanceAsked } from './maintenance-program.ts';
import type { Options } from './options.ts';
import { documentText } from './render/document.ts';
import { type Look, lookOf } from './render/look.ts';
import { table } from './render/table.ts';
import { withStoredFleet } from './stored-fleet.ts';
import type { Terminal } from './terminal.ts';

/** `fleetbeat maintenance …`: told to all who use the store; a daemon heeds it from its next beat on. */
export function maintenance(asked: MaintenanceAsked, options: Options, terminal: Terminal): Promise<ExitCode> {
  const alone = { what: 'maintenance', why: 'nobody else would heed it' };
  return withStoredFleet(options, terminal, alone, async (fleet) => {
    const { document, entries, exit } = await answerTo(asked, fleet);
    const { stdout, env } = terminal;
    if (stdout.isTTY === true && !options.json) stdout.write(`${textOf(document, entries, lookOf(stdout, env))}\n`);
    else stdout.write(`${JSON.stringify({ ...document.body, ...(entries && { maintenance: entries.map(rowOf) }) })}\n`);
    return exit;
  });
}

interface Answered {
  readonly document: WireDocument;
  readonly entries?: readonly Maintenance[];
  readonly exit: ExitCode;
}

async function answerTo(asked: MaintenanceAsked, fleet: Fleet): Promise<Answered> {
  const group = subjectOf(asked);
  const question = { level: 'maintenance', action: asked.action, group, type: 'all' };
  try {
    const entries = await work(asked, fleet);
    return { document: fromReply({ question, code: OK, at: new Date().toISOString() }), entries, exit: EXIT.done };
  } catch (error) {
    if (!isFleetError(error)) throw error;
    return refusal(`maintenance ${asked.action} ${group}`, error, question);
  }
}

function subjectOf(asked: MaintenanceAsked): string {
  if (asked.action === 'list') return 'all';
  return asked.action === 'begin' ? asked.request.subject : asked.subject;
}

/** What it is about afterwards: what was begun or ended, or all that stands. */
async function work(asked: MaintenanceAsked, fleet: Fleet): Promise<readonly Maintenance[]> {
  switch (asked.action) {
    case 'list':
      return fleet.maintenance();
    case 'begin':
      return [await fleet.maintain(asked.request)];
    case 'end':
      await fleet.resume(asked.subject);
      return fleet.maintenance();
    default:
      return asked satisfies never;
  }
}

const rowOf = ({ since, expiresAt, ...entry }: Maintenance) => ({
  ...entry,
  since: new Date(since).toISOString(),
  expires_at: new Date(expiresAt).toISOString(),
});

function textOf(document: WireDocument, entries: readonly Maintenance[] | undefined, look: Look): string {
  if (!entries) return documentText(document, look);
  if (entries.length === 0) return 'nothing is in maintenance';
  return table<ReturnType<typeof rowOf>>(
    [
      { title: 'subject', of: ({ subject }) => subject },
      { title: 'owner', of: ({ owner }) => owner },
      { title: 'since', of: ({ since }) => since, spare: 1 },
      { title: 'until', of: ({ expires_at }) => expires_at },
      { title: 'why', of: ({ reason }) => reason, isProse: true },
    ],
    entries.map(rowOf),
    look,
  );
}
