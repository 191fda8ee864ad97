import type { Command } from 'commander';
import { addParent } from './parent.ts';

const ACTIONS = {
  parked: 'the batches that a doctor did not take, and why',
  redeliver: 'let a parked batch be tried again, by the daemon',
  dismiss: 'give a parked batch up, which lets what waits behind it go on',
} as const;

/** A command line about what the doctors are owed. */
export type DoctorsAsked = { readonly action: 'parked' } | { readonly action: 'redeliver' | 'dismiss'; readonly id: string };

/** Adds `fleetbeat doctors` to the command line. */
export function addDoctors(root: Command, then: (asked: DoctorsAsked) => void): void {
  const parent = addParent(root, 'doctors', 'who is told of every change', Object.keys(ACTIONS), EXAMPLES).usage('<action> [id]');
  const add = (action: keyof typeof ACTIONS) => parent.command(action).description(ACTIONS[action]).allowExcessArguments(false);
  add('parked').action(() => then({ action: 'parked' }));
  for (const action of ['redeliver', 'dismiss'] as const)
    add(action)
      .argument('<id>', "the batch's id, as fleetbeat doctors parked lists it")
      .action((id: string) => then({ action, id }));
}

const EXAMPLES = `
Examples:
  $ fleetbeat doctors parked
  $ fleetbeat doctors redeliver pager:5b0c1f9a2d
  $ fleetbeat doctors dismiss pager:5b0c1f9a2d`;
