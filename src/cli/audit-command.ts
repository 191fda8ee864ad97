import { resolve } from 'node:path';
import { printable } from '../domain/printable.ts';
import { FleetError } from '../errors.ts';
import type { AuditAsked } from './audit-options.ts';
import { findConfiguration } from './config/find.ts';
import { readConfiguration } from './config/read.ts';
import { EXIT, type ExitCode } from './exit.ts';
import type { Options } from './options.ts';
import { type Look, lookOf, tinted } from './render/look.ts';
import { table } from './render/table.ts';
import type { Terminal } from './terminal.ts';

type AuditLine = import('../../adapters/audit.ts').AuditLine;
type AuditVerdict = import('../../adapters/audit.ts').AuditVerdict;

/** `fleetbeat audit`: of the log that is asked for, or that the configuration names. */
export async function audit(asked: AuditAsked, { config }: Options, terminal: Terminal): Promise<ExitCode> {
  const file = asked.file === undefined ? await configuredFile(terminal.cwd, config) : resolve(terminal.cwd, asked.file);
  return showAudit({ ...asked, file }, terminal);
}

async function configuredFile(cwd: string, config: string | undefined): Promise<string> {
  const { audit: configured, origin } = await readConfiguration(findConfiguration(cwd, config));
  if (configured) return configured.file;
  throw new FleetError('ER0230', `${origin.file}: audit: found nothing, allowed: the file of a log, or --file`);
}

/** It asks no fleet, and changes nothing. A pipe gets the lines as they stand in the log. */
export async function showAudit(asked: AuditAsked & { readonly file: string }, terminal: Terminal): Promise<ExitCode> {
  return asked.verify ? verify(asked, terminal) : list(asked, terminal);
}

const isForPerson = ({ json }: AuditAsked, { stdout }: Terminal): boolean => stdout.isTTY === true && !json;

async function verify(asked: AuditAsked & { readonly file: string }, terminal: Terminal): Promise<ExitCode> {
  const { auditFiles, verifyAudit } = await import('../../adapters/audit.ts');
  const files = await auditFiles(asked.file);
  const verdict = await verifyAudit(files);
  const text = isForPerson(asked, terminal) ? verdictText(verdict, files.length) : JSON.stringify(verdict);
  terminal.stdout.write(`${text}\n`);
  return verdict.broken ? EXIT.failed : EXIT.done;
}

function verdictText({ lines, from, head, broken }: AuditVerdict, files: number): string {
  const whole = head
    ? `${lines} lines are as they were written: ${from} to ${head.seq}, the last with hash ${head.hash}`
    : 'no line';
  if (broken) return printable(`${broken.file} line ${broken.line}: ${broken.reason}; before it, ${whole}`);
  const removed = from !== null && from > 1 ? `; the ${from - 1} before were removed with their files` : '';
  return `${whole}${removed} (${files} ${files === 1 ? 'file' : 'files'})`;
}

async function list(asked: AuditAsked & { readonly file: string }, terminal: Terminal): Promise<ExitCode> {
  const { readAudit } = await import('../../adapters/audit.ts');
  const { stdout, stderr, env, interrupted } = terminal;
  let broken = 0;
  const lines = readAudit({
    ...asked,
    onBroken(file, line) {
      broken++;
      stderr.write(printable(`fleetbeat: ${file} line ${line} is not as it was written, and left out`).concat('\n'));
    },
  });
  const rows: AuditLine[] = [];
  for await (const line of lines) {
    if (interrupted.aborted) break;
    if (isForPerson(asked, terminal)) rows.push(line);
    else stdout.write(`${JSON.stringify(line)}\n`);
  }
  if (isForPerson(asked, terminal)) stdout.write(`${rows.length === 0 ? 'no lines' : linesTable(rows, lookOf(stdout, env))}\n`);
  return broken > 0 ? EXIT.failed : EXIT.done;
}

const linesTable = (rows: readonly AuditLine[], look: Look): string =>
  table<AuditLine>(
    [
      { title: 'at', of: ({ at }) => at },
      { title: 'who', of: ({ who }) => who },
      { title: 'entity', of: ({ entity }) => entity },
      { title: 'what', of: ({ what }) => what },
      { title: 'before', of: ({ before }) => before, tint: (text) => tinted(text, look.paint) },
      { title: 'after', of: ({ after }) => after, tint: (text) => tinted(text, look.paint) },
      { title: 'code', of: ({ code }) => code },
      { title: 'why', of: ({ why }) => why, isProse: true },
    ],
    rows,
    look,
  );
