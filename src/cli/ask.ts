import { OK } from '../domain/codes.ts';
import type { Command } from '../domain/command.ts';
import { SECTIONS } from '../domain/service.ts';
import { FleetError } from '../errors.ts';
import { type Answer, reply } from './answer.ts';
import type { Configuration } from './config/check.ts';
import { EXIT } from './exit.ts';
import { allowedWords } from './nearest.ts';
import { actions, heartbeat, plan, status } from './queries.ts';
import type { Session } from './session.ts';
import { discard, empty, type Manner, perform, retry } from './verbs.ts';

/** Answers one command, whoever gave it. */
export async function ask(command: Command, session: Session, manner: Manner): Promise<Answer> {
  if (command.level === 'config') return configured(command, session);
  refuseUnknownType(command, session.configuration);
  switch (command.action) {
    case 'status':
      return status(command, session, manner.interrupted);
    case 'heartbeat':
      return heartbeat(session, manner.interrupted);
    case 'actions':
      return actions(session, manner.interrupted);
    case 'plan':
      return plan(command, session, manner.interrupted);
    case 'retry':
      return retry(command, session, manner);
    case 'discard':
      return discard(command, session, manner);
    case 'actions_init':
      return empty(command, session, manner);
    case 'ping':
      throw new FleetError(
        'ER0222',
        'services ping: found no facts, allowed: a heartbeat with services_status or instances_status',
      );
    default:
      return perform(command, session, manner);
  }
}

/** A type that nothing could ever be of is a slip of the pen. */
function refuseUnknownType({ level, action, type = 'all' }: Command, { clouds, services, kinds }: Configuration): void {
  if (action === 'plan') return;
  const modes = [...services, ...kinds].map(({ mode }) => mode);
  const words =
    level === 'services' ? [...Object.keys(SECTIONS), ...Object.values(SECTIONS).flat(), ...modes] : Object.keys(clouds);
  const known = [...new Set(['all', ...words])];
  if (known.includes(type)) return;
  throw new FleetError('ER0204', `type: found ${JSON.stringify(type)}, allowed: ${allowedWords(type, known)}`);
}

/** The config level: it asks no fleet. */
async function configured(command: Command, { configuration }: Session): Promise<Answer> {
  const { configAnswer } = await import('./config/answer.ts');
  const config = await configAnswer(command.action, command.group, configuration);
  return { ...reply(command, { code: OK }, EXIT.done), config };
}
