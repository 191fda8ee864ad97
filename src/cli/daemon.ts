import { OK } from '../domain/codes.ts';
import { printable } from '../domain/printable.ts';
import { messageOf } from '../errors.ts';
import { fromActions, fromChanges, fromReply, type WireDocument, write } from '../wire/index.ts';
import { answerLine } from './answer.ts';
import { answersTo } from './batch.ts';
import { findConfiguration } from './config/find.ts';
import { readConfiguration } from './config/read.ts';
import { EXIT, type ExitCode } from './exit.ts';
import type { Options } from './options.ts';
import { documentText } from './render/document.ts';
import { lookOf } from './render/look.ts';
import { narrate, newsText, recoveryText } from './render/narration.ts';
import { openSession, type Session } from './session.ts';
import { linesOf } from './stdin.ts';
import type { Terminal } from './terminal.ts';

const EVERY_MS = 10_000;

/** `fleetbeat heartbeat`: beats until it is interrupted, tells what happens, takes commands on its own stdin. */
export async function daemon(options: Options, terminal: Terminal): Promise<ExitCode> {
  const { stdout, env, interrupted } = terminal;
  const everyMs = options.everyMs ?? EVERY_MS;
  const configuration = await readConfiguration(findConfiguration(terminal.cwd, options.config));
  const session = await openSession(configuration, { env, everyMs, acts: true });
  const isForPerson = stdout.isTTY === true && !options.json;
  const look = lookOf(stdout, env);
  const tellLine = (line: string) => stdout.write(`${look.paint.dim(clockTime())} ${line}\n`);
  const tellDocument = (document: WireDocument) => stdout.write(`${write(document)}\n`);
  const stopTelling = isForPerson ? narrate(session.fleet, tellLine, look.paint) : report(session, tellDocument);
  session.onAuditError((error) => {
    if (isForPerson) tellLine(`${look.paint.red('audit')} ${printable(messageOf(error))}`);
    else tellDocument(trouble('audit', 'ER0228', messageOf(error)));
  });
  session.fleet.start(everyMs);
  const manner = { waits: false, everyMs, interrupted };
  const commands = (async () => {
    for await (const answer of answersTo(linesOf(terminal.stdin), session, manner)) {
      stdout.write(`${isForPerson ? documentText(answer.document, look, answer.ages) : answerLine(answer)}\n`);
    }
  })();
  commands.catch((error: unknown) => terminal.stderr.write(`fleetbeat: stdin: ${messageOf(error)}\n`));
  await aborted(interrupted);
  stopTelling();
  await session.close();
  return EXIT.done;
}

const clockTime = (): string => new Date().toTimeString().slice(0, 8);

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** Tells everything that happens, one document a line. @returns how to end it */
function report({ fleet }: Session, tell: (document: WireDocument) => void): () => void {
  const listening = [
    fleet.on('changed', (change) => tell(fromChanges([change]))),
    fleet.on('action', (action) => tell(fromActions([action]))),
    fleet.on('blind', ({ source, code, message }) => tell(trouble(source, code, message))),
    fleet.on('storeLost', ({ error }) => tell(trouble('store', 'ER0228', messageOf(error)))),
    fleet.on('fault', ({ key, error }) => tell(trouble(key, 'ER0214', messageOf(error)))),
    fleet.on('parked', ({ id, doctor, code, message }) =>
      tell(trouble(`doctors/${doctor}`, code, `${id} is parked: ${message}`)),
    ),
    fleet.on('problem', ({ subject, code, message }) => tell(trouble(subject, code, message))),
    fleet.on('recovery', (recovery) => tell(trouble(recovery.key, recovery.code, recoveryText(recovery)))),
    fleet.on('maintenance', ({ kind, maintenance }) =>
      tell(trouble(maintenance.subject, kind === 'begun' || kind === 'changed' ? 'ER0238' : OK, newsText(kind, maintenance))),
    ),
  ];
  return () => {
    for (const listener of listening) listener.unsubscribe();
  };
}

const trouble = (subject: string, code: string, message: string): WireDocument =>
  fromReply({
    question: { action: 'heartbeat', group: 'all' },
    code,
    at: new Date().toISOString(),
    console: [{ command: subject, return: code, result: message }],
  });
