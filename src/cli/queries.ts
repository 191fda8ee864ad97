import { hostname } from 'node:os';
import { OK, textOf } from '../domain/codes.ts';
import { type Command, INSTANCE_ACTIONS, SERVICE_ACTIONS } from '../domain/command.ts';
import type { Problem } from '../domain/heartbeat.ts';
import { asInstant, type EntityKey, instanceKey, isName, nameOf } from '../domain/identity.ts';
import { isOfType } from '../domain/service.ts';
import type { View } from '../domain/view.ts';
import { FleetError } from '../errors.ts';
import type { Fleet, GlobalHeartbeat } from '../index.ts';
import { fromActions, fromViews } from '../wire/index.ts';
import { type Answer, reply } from './answer.ts';
import { EXIT } from './exit.ts';
import { allowedWords } from './nearest.ts';
import { orAborted } from './pause.ts';
import { awaitedText, doneText } from './render/narration.ts';
import type { Session } from './session.ts';
import { unrecovered } from './unrecovered.ts';

/** `instances status`, `services status`: reads the fleet, then lists what is meant, and what could not be seen. */
export async function status(command: Command, session: Session, interrupted: AbortSignal): Promise<Answer> {
  const unseen = await beatAndListen(session, interrupted);
  const console = unseen.map(({ subject, code, message }) => ({ command: subject, return: code, result: message }));
  const views = session.fleet.views().filter((view) => view.level === command.level);
  const meant = views.filter((view) => isMeant(view, command, session));
  if (meant.length > 0 || (command.group === 'all' && (command.type ?? 'all') === 'all')) {
    const blind = unseen.find(({ isBlind }) => isBlind);
    const why = await unrecovered(
      session.fleet,
      meant.map(({ key }) => key),
    );
    const parts = { code: blind?.code ?? OK, views: meant, console: [...console, ...why] };
    const answer = reply(command, parts, blind ? EXIT.failed : EXIT.done);
    return { ...answer, ages: agesOf(meant, Date.now()) };
  }
  const names = views.map((view) => view.name).slice(0, 20);
  throw new FleetError(
    'ER0203',
    `none of the ${command.level} is meant by group ${command.group} and type ${command.type ?? 'all'}; there are ${names.join(', ') || 'none'}`,
  );
}

/** Of each view that rests on a reading; those of remembered readings are older than the beat. */
const agesOf = (views: readonly View[], now: number): ReadonlyMap<string, number> =>
  new Map(views.filter(({ readAt }) => readAt > 0).map(({ key, readAt }) => [nameOf(key), Math.max(0, now - readAt)]));

/** Something that a beat could not see: a whole source, or one subject of it. */
interface Unseen extends Problem {
  readonly isBlind: boolean;
}

async function beatAndListen({ fleet }: Session, interrupted: AbortSignal): Promise<readonly Unseen[]> {
  const unseen: Unseen[] = [];
  const listening = [
    fleet.on('blind', ({ source, ...why }) => unseen.push({ subject: source, ...why, isBlind: true })),
    fleet.on('problem', (problem) => unseen.push({ ...problem, isBlind: false })),
  ];
  await beatUnless(interrupted, fleet);
  for (const listener of listening) listener.unsubscribe();
  return unseen;
}

/** A beat that nobody waits for any longer is as good as none. */
export async function beatUnless(interrupted: AbortSignal, { beat }: Pick<Fleet, 'beat'>): Promise<void> {
  await orAborted(beat(), interrupted);
  if (interrupted.aborted) throw new FleetError('ER0217', 'interrupted before the fleet was read; nothing was armed');
}

/** By name, id, ip, cluster, `local` or `all`; and by mode or section, or by cloud. */
function isMeant(view: View, { group, type = 'all', host }: Command, { configuration: { services } }: Session): boolean {
  const isOfThatType =
    view.level === 'services' ? isOfType(view.mode ?? '', type) : type === 'all' || view.key === instanceKey(type, view.name);
  if (!isOfThatType) return false;
  if (group === 'all' || group === view.name || group === view.ip) return true;
  if (group === 'local') return view.ip !== null && (host?.ips.includes(view.ip) ?? false);
  const inCluster = services.filter(({ cluster }) => cluster === group);
  return inCluster.some(({ name, ip }) => (view.level === 'services' ? name === view.name : ip === view.ip));
}

/** `instances heartbeat`: the last global heartbeat of whoever leads; where there is none yet, our own. */
export async function heartbeat({ fleet }: Session, interrupted: AbortSignal): Promise<Answer> {
  const stored = await fleet.heartbeat();
  if (stored) return heartbeatAnswer(stored);
  await beatUnless(interrupted, fleet);
  const own = { source: ownName(), epoch: 'command', seq: 0, at: asInstant(Date.now()), views: fleet.views() };
  return heartbeatAnswer((await fleet.heartbeat()) ?? own);
}

const heartbeatAnswer = ({ views, ...meta }: GlobalHeartbeat): Answer => ({
  document: fromViews(views, meta),
  exit: EXIT.done,
});

const ownName = (): string => (isName(hostname()) ? hostname() : 'localhost');

/** `instances actions`: what waits, acts or has failed. */
export async function actions({ fleet }: Session, interrupted: AbortSignal): Promise<Answer> {
  await beatUnless(interrupted, fleet);
  return { document: fromActions(fleet.actions()), exit: EXIT.done };
}

/** `instances plan`, `services plan`: what a command would come to. The verb that is planned stands where the type does. */
export async function plan(command: Command, { fleet, readAnew }: Session, interrupted: AbortSignal): Promise<Answer> {
  const { type: verb = '' } = command;
  const known = verbsOf(command.level);
  if (!known.includes(verb)) {
    throw new FleetError('ER0202', `plan: found ${JSON.stringify(verb)}, allowed: ${allowedWords(verb, known)}`);
  }
  readAnew();
  await beatUnless(interrupted, fleet);
  const { code, steps, cancels, rejected, targets } = fleet.plan({ ...command, action: verb, type: 'all' });
  const keys = targets.map(({ key }) => key);
  const console = [
    ...steps.map((step) => ({
      command: doneText(step.do),
      return: step.when.on === 'now' ? OK : 'ER0227',
      result: step.when.on === 'now' ? 'at once' : `when ${awaitedText(step)}`,
    })),
    ...cancels.map((id) => ({ command: `action ${id}`, return: 'ER0217', result: textOf('ER0217') })),
    ...rejected.map((problem) => ({ command: problem.subject, return: problem.code, result: problem.message })),
    ...(await unrecovered(fleet, keys)),
  ];
  const views = viewsOf(keys, fleet.views());
  return reply(command, { code, targets, views, console }, rejected.length > 0 ? EXIT.failed : EXIT.done);
}

export const verbsOf = (level: Command['level']): readonly string[] => {
  const known: Readonly<Record<string, string>> = level === 'services' ? SERVICE_ACTIONS : INSTANCE_ACTIONS;
  return Object.keys(known).filter((action) => known[action] === 'verb');
};

/** The views of these entities. */
export function viewsOf(keys: readonly EntityKey[], views: readonly View[]): readonly View[] {
  const wanted = new Set(keys);
  return views.filter((view) => wanted.has(view.key));
}
