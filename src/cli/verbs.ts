import { deadline } from '../deadline.ts';
import { type Action, isLive, type ListedAction } from '../domain/action.ts';
import { type Code, OK } from '../domain/codes.ts';
import type { Command } from '../domain/command.ts';
import { asActionId, type EntityKey, levelOf } from '../domain/identity.ts';
import type { View } from '../domain/view.ts';
import type { Reply } from '../index.ts';
import { type ActionsDocument, type ConsoleRow, fromActions, toSteps } from '../wire/index.ts';
import { serviceCode } from '../wire/service.ts';
import { type Answer, reply } from './answer.ts';
import { EXIT, gravest } from './exit.ts';
import { codeOf, exitOf, outcomeOf } from './outcome.ts';
import { beatUnless, viewsOf } from './queries.ts';
import { awaitedText, doneText, endText } from './render/narration.ts';
import { laneAtOf, type Session } from './session.ts';

/** How a command's outcome is awaited. */
export interface Manner {
  /** False: what is armed is left to whoever leads, and answered at once. */
  readonly waits: boolean;
  readonly everyMs: number;
  /** How long one command's outcome is awaited; for ever unless said. */
  readonly timeoutMs?: number;
  readonly interrupted: AbortSignal;
}

/** Does what a command says, and awaits its outcome. */
export async function perform(command: Command, session: Session, manner: Manner): Promise<Answer> {
  const { fleet } = session;
  await begin(session, manner);
  const given = await fleet.dispatch(command);
  const actions = await settle([...given.started, ...given.deferred], session, manner);
  return performed(command, given, actions, session);
}

/** What is to be changed is planned from what is, not from what was minutes ago. */
async function begin({ fleet, act, decide, readAnew }: Session, { waits, interrupted }: Manner): Promise<void> {
  if (waits) act();
  readAnew();
  await beatUnless(interrupted, fleet);
  decide();
}

async function settle(armed: readonly Action[], session: Session, manner: Manner): Promise<readonly Action[]> {
  const { waits, everyMs, timeoutMs, interrupted } = manner;
  if (!waits) return outcomeOf(armed, session, { everyMs, until: AbortSignal.abort() });
  if (timeoutMs === undefined) return outcomeOf(armed, session, { everyMs, until: interrupted });
  const { signal, release } = deadline(timeoutMs, 'the outcome', interrupted);
  return outcomeOf(armed, session, { everyMs, until: signal }).finally(release);
}

function performed(command: Command, given: Reply, outcome: readonly Action[], { fleet }: Session): Answer {
  const actions = listedAs(outcome, fleet.actions());
  const exit = gravest([exitOf(actions), given.rejected.length > 0 ? EXIT.failed : EXIT.done]);
  const keys = given.targets.map(({ key }) => key);
  const views = viewsOf(keys, fleet.views());
  const targets = given.targets.map(({ key, code }) => ({ key, code: targetCode(key, code, actions, views) }));
  const worst = given.rejected[0]?.code ?? actions.map(listedCode).find((code) => code !== OK && code !== 'ER0227');
  const code = worst ?? (exit === EXIT.done ? OK : given.code === OK ? 'ER0227' : given.code);
  const console = [
    ...actions.map(consoleRow),
    ...given.cancelled.map((id) => ({ command: `action ${id}`, return: 'ER0217', result: 'cancelled by this command' })),
    ...given.rejected.map((problem) => ({ command: problem.subject, return: problem.code, result: problem.message })),
  ];
  return reply(command, { code, targets, views, console }, exit);
}

/** What became of a target: as it is now, where all was done; else what stands in the way. */
function targetCode(key: EntityKey, planned: Code, actions: readonly ListedAction[], views: readonly View[]): Code {
  const own = actions.filter((action) => action.lane === key);
  const pending = own.map(listedCode).find((code) => code !== OK && code !== 'ER0227');
  if (pending !== undefined) return pending;
  if (own.some(isLive)) return planned === OK ? 'ER0227' : planned;
  const view = views.find((one) => one.key === key);
  if (!view || (planned !== OK && own.length === 0)) return planned;
  return levelOf(key) === 'services' ? serviceCode(view) : view.code;
}

/** What became of actions, with what holds back those that wait. */
const listedAs = (outcome: readonly Action[], listed: readonly ListedAction[]): readonly ListedAction[] =>
  outcome.map((action) => ({ ...listed.find(({ token, held }) => token === action.token && held !== undefined), ...action }));

const listedCode = (action: ListedAction): Code => action.heldCode ?? codeOf(action);

function consoleRow(action: ListedAction): ConsoleRow {
  const why = action.held ?? endText(action);
  const waits = action.status === 'waiting' && action.when.on !== 'now' ? ` until ${awaitedText(action)}` : '';
  return { command: doneText(action.do), return: listedCode(action), result: `${action.status}${waits}${why ? `: ${why}` : ''}` };
}

/** Arms the actions of a document, and awaits their outcome. */
export async function arm(document: ActionsDocument, session: Session, manner: Manner): Promise<Answer> {
  const { fleet, configuration } = session;
  const cloud = configuration.cloud.name;
  await begin(session, manner);
  const steps = toSteps(document, {
    cloud,
    services: configuration.services,
    laneAt: laneAtOf(fleet, configuration),
  });
  const actions = await settle(await fleet.arm(steps), session, manner);
  return { document: fromActions(actions), exit: exitOf(actions) };
}

/** `instances retry`: lets a failed action try again, and awaits its outcome and that of what waits behind it. */
export async function retry(command: Command, session: Session, manner: Manner): Promise<Answer> {
  await begin(session, manner);
  const again = await session.fleet.retry(asActionId(command.group));
  const behind = session.fleet.actions().filter(({ id, lane }) => lane === again.lane && id !== again.id);
  const actions = await settle([again, ...behind], session, manner);
  const code = actions.map(codeOf).find((one) => one !== OK) ?? OK;
  return reply(command, { code, console: actions.map(consoleRow) }, exitOf(actions));
}

/** `instances discard`: gives a failed action up. */
export async function discard(command: Command, { fleet, decide }: Session, { interrupted }: Manner): Promise<Answer> {
  await beatUnless(interrupted, fleet);
  decide();
  const action = await fleet.discard(asActionId(command.group));
  return reply(command, { code: OK, console: [{ ...consoleRow(action), return: OK }] }, EXIT.done);
}

/** `instances actions_init`: cancels all that waits or acts, and discards all that has failed. */
export async function empty(command: Command, { fleet, decide }: Session, { interrupted }: Manner): Promise<Answer> {
  await beatUnless(interrupted, fleet);
  decide();
  const console: ConsoleRow[] = [];
  for (const { id, status } of fleet.actions()) {
    const action = await (status === 'failed' ? fleet.discard(id) : fleet.cancel(id));
    console.push({ ...consoleRow(action), return: OK });
  }
  return reply(command, { code: OK, console }, EXIT.done);
}
