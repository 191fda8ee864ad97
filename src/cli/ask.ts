import { OK } from '../domain/codes.ts';
import type { Command } from '../domain/command.ts';
import { FleetError } from '../errors.ts';
import { type Answer, reply } from './answer.ts';
import { EXIT } from './exit.ts';
import { actions, heartbeat, plan, status } from './queries.ts';
import type { Session } from './session.ts';
import { discard, empty, type Manner, perform, retry } from './verbs.ts';

/** Answers one command, whoever gave it. */
export async function ask(command: Command, session: Session, manner: Manner): Promise<Answer> {
  if (command.level === 'config') return configured(command, session);
  switch (command.action) {
    case 'status':
      return status(command, session);
    case 'heartbeat':
      return heartbeat(session);
    case 'actions':
      return actions(session);
    case 'plan':
      return plan(command, session);
    case 'retry':
      return retry(command, session, manner);
    case 'discard':
      return discard(command, session);
    case 'actions_init':
      return empty(command, session);
    case 'ping':
      throw new FleetError(
        'ER0222',
        'services ping: found no facts, allowed: a heartbeat with services_status or instances_status',
      );
    default:
      return perform(command, session, manner);
  }
}

/** The config level: it asks no fleet. */
async function configured(command: Command, { configuration }: Session): Promise<Answer> {
  const { configAnswer } = await import('./config/answer.ts');
  const config = configAnswer(command.action, command.group, configuration);
  return { ...reply(command, { code: OK }, EXIT.done), config };
}
