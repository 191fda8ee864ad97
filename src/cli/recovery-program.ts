import type { Command } from 'commander';
import { addParent } from './parent.ts';

const ACTIONS = {
  list: 'how it stands with each service that is kept running, why it is not recovered now, and the limits in force',
  acknowledge: 'let a service be recovered again that is held down or given up, as if for the first time',
} as const;

/** A command line about what is kept running. */
export type RecoveryAsked = { readonly action: 'list' } | { readonly action: 'acknowledge'; readonly name: string };

/** Adds `fleetbeat recovery` to the command line. */
export function addRecovery(root: Command, then: (asked: RecoveryAsked) => void): void {
  const parent = addParent(root, 'recovery', 'what the daemon starts by itself', Object.keys(ACTIONS), EXAMPLES);
  parent.usage('<action> [service]');
  const add = (action: keyof typeof ACTIONS) => parent.command(action).description(ACTIONS[action]).allowExcessArguments(false);
  add('list').action(() => then({ action: 'list' }));
  add('acknowledge')
    .argument('<service>', 'its name')
    .action((name: string) => then({ action: 'acknowledge', name }));
}

const EXAMPLES = `
What is kept is said by recover in the configuration, or by keep of a service; the limits are in its policy. What a command has stopped
stays stopped until a command starts it, and starting it acknowledges it too.

Examples:
  $ fleetbeat recovery list
  $ fleetbeat recovery list --json | jq '.recovery[] | select(.wanted and .state != "well")'
  $ fleetbeat recovery acknowledge nosql1`;
