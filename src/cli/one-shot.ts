import type { Command } from '../domain/command.ts';
import { printable } from '../domain/printable.ts';
import { FleetError, isFleetError, messageOf } from '../errors.ts';
import { type Answer, answerLine, refusal } from './answer.ts';
import { ask } from './ask.ts';
import { answersTo } from './batch.ts';
import type { Configuration } from './config/check.ts';
import { findConfiguration } from './config/find.ts';
import { readConfiguration } from './config/read.ts';
import { durationText } from './duration.ts';
import { EXIT, type ExitCode, gravest } from './exit.ts';
import type { Options } from './options.ts';
import { documentText } from './render/document.ts';
import { lookOf } from './render/look.ts';
import { narrate } from './render/narration.ts';
import { openSession, ownHost, type Session } from './session.ts';
import { documentsOf, linesOf } from './stdin.ts';
import type { Terminal } from './terminal.ts';
import type { Manner } from './verbs.ts';

/** Does one command, given as arguments: its own fleet for as long as that takes. */
export async function oneShot(asked: Command, options: Options, terminal: Terminal): Promise<ExitCode> {
  if (asked.action === 'ping') return fromStdin(options, terminal);
  return withSession(options, terminal, async (session, manner) => {
    if (options.fresh) session.readAnew();
    const answer = await ask({ ...asked, host: ownHost() }, session, manner).catch((error: unknown) => refused(asked, error));
    show(answer, options, terminal);
    if (answer.exit === EXIT.deferred) tellDeferred(session, options, terminal);
    return answer.exit;
  });
}

/** Answers what comes on stdin, document by document. */
export function fromStdin(options: Options, terminal: Terminal): Promise<ExitCode> {
  return withSession(options, terminal, async (session, manner) => {
    const exits: ExitCode[] = [];
    for await (const answer of answersTo(documentsOf(linesOf(terminal.stdin)), session, manner)) {
      show(answer, options, terminal);
      exits.push(answer.exit);
    }
    if (exits.includes(EXIT.deferred)) tellDeferred(session, options, terminal);
    return terminal.interrupted.aborted ? gravest([...exits, EXIT.deferred]) : gravest(exits);
  });
}

/** A refusal is an answer as well; anything else is an error of ours. */
function refused({ host: _, ...question }: Command, error: unknown): Answer {
  if (!isFleetError(error) || error.code === 'ER0230') throw error;
  return refusal(`${question.level} ${question.action}`, error, question);
}

async function withSession(
  options: Options,
  terminal: Terminal,
  work: (session: Session, manner: Manner) => Promise<ExitCode>,
): Promise<ExitCode> {
  const configuration = await readConfiguration(findConfiguration(terminal.cwd, options.config));
  const everyMs = options.everyMs ?? configuration.beatEveryMs;
  const session = await openSession(configuration, { env: terminal.env, everyMs });
  const stopTelling = narrateOn(terminal, session, options);
  complainOn(terminal, session, options);
  try {
    refuseWaitless(options, configuration, session);
    const { waits, timeoutMs } = options;
    const { interrupted } = terminal;
    return await work(session, { waits, everyMs, interrupted, ...(timeoutMs !== undefined && { timeoutMs }) });
  } finally {
    stopTelling();
    await session.close();
  }
}

/** Nobody else would ever see what is armed in this process alone. */
function refuseWaitless({ waits }: Options, { origin }: Configuration, { isShared }: Session): void {
  if (waits || isShared) return;
  throw new FleetError(
    'ER0230',
    `${origin.file}: store: found memory together with --no-wait, allowed: a store that outlives this process, such as sqlite`,
  );
}

/** What goes wrong beside the command itself is told once, wherever its answer goes. */
function complainOn({ stderr }: Terminal, session: Session, { json }: Options): void {
  const told = new Set<string>();
  const complain = (subject: string, error: unknown) => {
    const line = `fleetbeat: ${subject}: ${printable(messageOf(error))}\n`;
    if (told.size < told.add(line).size) stderr.write(line);
  };
  session.onAuditError((error) => complain('audit', error));
  if (!isNarrated(stderr, json)) session.fleet.on('storeLost', ({ error }) => complain('store', error));
}

const isNarrated = (stderr: Terminal['stderr'], json: boolean): boolean => stderr.isTTY === true && !json;

/** Progress is for a person who watches: on stderr, and only where that is a terminal. */
function narrateOn({ stderr, env }: Terminal, { fleet }: Session, { json }: Options): () => void {
  if (!isNarrated(stderr, json)) return () => {};
  const { paint } = lookOf(stderr, env);
  return narrate(fleet, (line) => stderr.write(`${line}\n`), paint);
}

function show(answer: Answer, { json }: Options, { stdout, env }: Terminal): void {
  const isForPerson = stdout.isTTY === true && !json;
  stdout.write(`${isForPerson ? documentText(answer.document, lookOf(stdout, env), answer.ages) : answerLine(answer)}\n`);
}

function tellDeferred({ isShared, fleet }: Session, { timeoutMs }: Options, { stderr, interrupted }: Terminal): void {
  if (stderr.isTTY !== true) return;
  const why = interrupted.aborted
    ? 'interrupted'
    : timeoutMs === undefined
      ? 'not awaited'
      : `not over within ${durationText(timeoutMs)}`;
  const what = isShared
    ? `it stays armed in the store${fleet.role === 'standby' ? '' : ', and fires once a fleetbeat heartbeat runs'}`
    : 'it is lost with this process, since the store is memory';
  stderr.write(`fleetbeat: ${why}; ${what}\n`);
}
