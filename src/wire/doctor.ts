import type { Step } from '../domain/action.ts';
import type { Command } from '../domain/command.ts';
import type { Change } from '../domain/view.ts';
import { toCommand } from './command.ts';
import { fromChanges } from './events.ts';
import { read } from './read.ts';
import { pathText, refusal } from './refusal.ts';
import { type StepsOptions, toSteps } from './steps.ts';
import { write } from './write.ts';

/** Both directions of what passes between the fleet and a doctor outside of its process. */
export interface DoctorTexts {
  /** The seed's `{"events":[…]}`, with the batch's id as `batch` and each change's as `id`. */
  write(batch: { readonly id: string; readonly changes: readonly Change[] }): string;
  /** Commands, one a line, or a list of actions; nothing where there is nothing. */
  read(text: string): readonly (Command | Step)[];
}

/**
 * Makes the seed's JSON of changes, and commands and steps of what a doctor answers. Answers are read leniently.
 *
 * @param options what the rows of a list of actions may name
 * @throws FleetError when it reads: ER0201, ER0202, ER0203, ER0205 (unknown words), ER0222 (malformed), ER0223 (too large)
 *
 * @example
 * ```ts
 * scriptDoctor({ name: 'doctor', argv: ['/usr/local/bin/doctor'], wire: doctorWire({ cloud: 'local', services }), answers: true });
 * ```
 */
export const doctorWire = (options: StepsOptions): DoctorTexts => ({
  write({ id: batch, changes }) {
    const { kind, body } = fromChanges(changes);
    const events = body.events.map((row, i) => ({ ...row, id: changes[i]?.id }));
    return write({ kind, body: Object.assign({ batch }, { events }) });
  },
  read: (text) => documentsIn(text).flatMap((document) => answerOf(document, options)),
});

function answerOf(text: string, options: StepsOptions): readonly (Command | Step)[] {
  const document = read(text, { lenient: true });
  if (document.kind === 'command') return [toCommand(document)];
  if (document.kind === 'actions') return toSteps(document, options);
  const found = `the kind ${document.kind}`;
  throw refusal('ER0222', { what: 'answer', where: pathText([]), found, allowed: 'the kind command, the kind actions' });
}

/** One document that may be spread over lines, or one in each line: then the first line is whole by itself. */
function documentsIn(text: string): readonly string[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const [first] = lines;
  if (first === undefined) return [];
  return isJson(first) ? lines : [text];
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
