import { configAnswer } from './config/answer.ts';
import { findConfiguration } from './config/find.ts';
import { readConfiguration } from './config/read.ts';
import { type Rule, ruleLines, rules } from './config/rules.ts';
import { EXIT, type ExitCode } from './exit.ts';
import type { Options } from './options.ts';
import type { Asked } from './program.ts';
import { lookOf } from './render/look.ts';
import { table } from './render/table.ts';
import type { Terminal } from './terminal.ts';

/** `fleetbeat config …`: it asks no fleet, and its answer is plain JSON, for editors and scripts. */
export async function showConfig({ action, group }: Asked, options: Options, terminal: Terminal): Promise<ExitCode> {
  const isForPerson = terminal.stdout.isTTY === true && !options.json;
  if (action === 'rules') {
    const text = isForPerson ? rulesText(rules(), terminal) : JSON.stringify(rules(), null, 2);
    terminal.stdout.write(`${text}\n`);
    return EXIT.done;
  }
  const configuration = await readConfiguration(findConfiguration(terminal.cwd, options.config));
  const answer = await configAnswer(action, group, configuration);
  const text = isForPerson ? (await import('yaml')).stringify(answer) : JSON.stringify(answer, null, 2);
  terminal.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  return EXIT.done;
}

const rulesText = (root: Rule, { stdout, env }: Terminal): string =>
  table(
    [
      { title: 'field', of: (line) => line.path },
      { title: 'type', of: (line) => line.type },
      { title: 'default', of: (line) => line.byDefault },
      { title: 'meaning', of: (line) => line.meaning, isProse: true },
    ],
    ruleLines(root).slice(1),
    lookOf(stdout, env),
  );
