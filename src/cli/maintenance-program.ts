import { userInfo } from 'node:os';
import type { Command } from 'commander';
import type { MaintenanceRequest } from '../domain/maintenance.ts';
import { shown } from '../wire/refusal.ts';
import { DURATION_ALLOWED, parseDuration } from './duration.ts';
import { addParent } from './parent.ts';
import { usageError } from './usage.ts';

const ACTIONS = {
  list: 'what is in maintenance, by whom, why and until when',
  begin: 'keep everybody from acting on something for a while; observing it goes on',
  end: 'let what waits for it go on',
} as const;

/** A command line about what is in maintenance. */
export type MaintenanceAsked =
  | { readonly action: 'list' }
  | { readonly action: 'begin'; readonly request: MaintenanceRequest }
  | { readonly action: 'end'; readonly subject: string };

interface RawRequest {
  readonly for?: string;
  readonly reason: string;
  readonly owner?: string;
}

/** Adds `fleetbeat maintenance` to the command line. */
export function addMaintenance(root: Command, then: (asked: MaintenanceAsked) => void): void {
  const parent = addParent(root, 'maintenance', 'what nobody is to act on for a while', Object.keys(ACTIONS), EXAMPLES);
  parent.usage('<action> [subject]');
  const add = (action: keyof typeof ACTIONS) => parent.command(action).description(ACTIONS[action]).allowExcessArguments(false);
  add('list').action(() => then({ action: 'list' }));
  add('begin')
    .argument('<subject>', SUBJECT)
    .requiredOption('--reason <text>', 'why, for whoever asks why nothing happens')
    .option('--for <duration>', 'how long: 30m, 2h, 3d; an hour unless given or policy.maintenanceMs says otherwise, at most 7d')
    .option('--owner <name>', 'who has it in maintenance; you, unless given')
    .action((subject: string, raw: RawRequest) => then({ action: 'begin', request: requestOf(subject, raw) }));
  add('end')
    .argument('<subject>', SUBJECT)
    .action((subject: string) => then({ action: 'end', subject }));
}

function requestOf(subject: string, { for: duration, reason, owner = userInfo().username }: RawRequest): MaintenanceRequest {
  return { subject, reason, owner, ...(duration !== undefined && { forMs: msOf(duration) }) };
}

const DAYS = /^(\d{1,3})d$/;
const DAY_MS = 86_400_000;

function msOf(text: string): number {
  const [, days] = DAYS.exec(text) ?? [];
  const ms = days === undefined ? parseDuration(text) : Number(days) * DAY_MS;
  if (ms !== null && ms > 0) return ms;
  throw usageError(`--for: found ${shown(text)}, allowed: ${DURATION_ALLOWED}, or whole days such as 3d`);
}

const SUBJECT = 'a service, a cluster, an instance, an ip, or all';

const EXAMPLES = `
While it lasts everything that would touch it waits, a stop by a person too; what waits says why, and goes on once it is over.

Examples:
  $ fleetbeat maintenance list
  $ fleetbeat maintenance begin 10.0.0.102 --for 2h --reason 'new disks'
  $ fleetbeat maintenance begin shop --for 30m --reason 'schema change' --owner anna
  $ fleetbeat maintenance end shop`;
