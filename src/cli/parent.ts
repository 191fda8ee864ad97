import type { Command } from 'commander';
import { unknownWord, usageError } from './usage.ts';

/** Adds a level, whose actions are commands of their own. */
export const addParent = (
  root: Command,
  level: string,
  description: string,
  actions: readonly string[],
  examples: string,
): Command =>
  root
    .command(level)
    .description(description)
    .usage('<action> [group] [type]')
    .allowExcessArguments()
    .addHelpText('after', examples)
    .action((_: unknown, command: Command) => {
      const [action] = command.args;
      if (action !== undefined) throw unknownWord('ER0202', action, actions);
      throw usageError(`an action is missing, allowed for ${level}: ${actions.join(', ')}`);
    });
