import { type Command, INSTANCE_ACTIONS, SERVICE_ACTIONS } from '../domain/command.ts';
import type { CommandDocument, HostBody } from './document.ts';
import { hostOf } from './host.ts';
import { oneOf, refusal, shown } from './refusal.ts';

/** Actions of the config level. */
export const CONFIG_ACTIONS = ['display', 'rules', 'file'] as const;

const ACTIONS: ReadonlyMap<string, { readonly level: Command['level']; readonly actions: readonly string[] }> = new Map([
  ['instances', { level: 'instances', actions: Object.keys(INSTANCE_ACTIONS) }],
  ['services', { level: 'services', actions: Object.keys(SERVICE_ACTIONS) }],
  ['config', { level: 'config', actions: CONFIG_ACTIONS }],
]);

/**
 * The command of a document; its `type` is `all` unless it says.
 *
 * @throws FleetError ER0201 (unknown level), ER0202 (an action that its level does not have)
 */
export function toCommand({ body }: CommandDocument): Command {
  const { action, group, type = 'all' } = body.command;
  const known = ACTIONS.get(body.level);
  if (known === undefined) {
    const allowed = oneOf([...ACTIONS.keys()]);
    throw refusal('ER0201', { what: 'command', where: 'level', found: shown(body.level), allowed });
  }
  if (!known.actions.includes(action)) {
    const allowed = oneOf(known.actions);
    throw refusal('ER0202', { what: 'command', where: 'command.action', found: shown(action), allowed });
  }
  return { level: known.level, action, group, type, ...(body.host !== undefined && { host: hostOf(body.host) }) };
}

/**
 * The document of a command.
 *
 * @param host the host that asks, with its interfaces: its ips are what `local` and `world` mean
 */
export function fromCommand({ level, action, group, type = 'all' }: Command, host?: HostBody): CommandDocument {
  return { kind: 'command', body: { level, command: { action, group, type }, ...(host !== undefined && { host }) } };
}
