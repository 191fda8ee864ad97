import type { Code } from '../domain/codes.ts';
import type { Command } from '../domain/command.ts';
import { isFleetError, messageOf } from '../errors.ts';
import { type ConsoleRow, fromReply, type Question, type ReplyParts, type WireDocument, write } from '../wire/index.ts';
import { EXIT, type ExitCode } from './exit.ts';

/** What a command line says in the end. */
export interface Answer {
  readonly document: WireDocument;
  readonly exit: ExitCode;
  /** What the config level answers. It masks its own secrets, and names clouds, which the wire takes for a secret as a whole. */
  readonly config?: unknown;
  /** How old what is shown of each instance is, in milliseconds, by id or ip: for people, since the wire has no word for it. */
  readonly ages?: ReadonlyMap<string, number>;
}

/** As one line of JSON. */
export function answerLine({ document, config }: Answer): string {
  return config === undefined ? write(document) : JSON.stringify({ ...document.body, config: [config] });
}

const questionOf = ({ level, action, group, type = 'all' }: Command): Question => ({ level, action, group, type });

/** The reply to a command. */
export const reply = (command: Command, parts: Omit<ReplyParts, 'question' | 'at'>, exit: ExitCode): Answer => ({
  document: fromReply({ ...parts, question: questionOf(command), at: new Date().toISOString() }),
  exit,
});

const NO_QUESTION: Question = { action: 'na', group: 'na' };

/** The reply to what could not be understood, or not be done. */
export function refusal(subject: string, error: unknown, question: Question = NO_QUESTION): Answer {
  const code: Code = isFleetError(error) ? error.code : 'ER0214';
  const console: readonly ConsoleRow[] = [{ command: subject, return: code, result: messageOf(error) }];
  return { document: fromReply({ question, code, at: new Date().toISOString(), console }), exit: EXIT.failed };
}
