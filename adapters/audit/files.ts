import { createReadStream, existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FleetError } from '../../src/errors.ts';

const SEQ_DIGITS = 12;

/** What a full file is called from then on: by the number of its first line, so that names sort as lines do. */
export const rotatedName = (file: string, firstSeq: number): string => `${file}.${String(firstSeq).padStart(SEQ_DIGITS, '0')}`;

/** The full files of a log, the oldest first. */
export async function rotatedFiles(file: string): Promise<readonly string[]> {
  const folder = dirname(file);
  const start = `${basename(file)}.`;
  const names = existsSync(folder) ? await readdir(folder) : [];
  return names
    .filter((name) => name.startsWith(start) && /^\d{12}$/.test(name.slice(start.length)))
    .sort()
    .map((name) => join(folder, name));
}

/**
 * All files of a log in the order of their lines, the one that is written to last.
 *
 * @throws FleetError ER0228 where there is none
 */
export async function auditFiles(file: string): Promise<readonly string[]> {
  const files = [...(await rotatedFiles(file)), ...(existsSync(file) ? [file] : [])];
  if (files.length === 0) throw new FleetError('ER0228', `there is no audit log at ${file}`);
  return files;
}

/** One line of a file. The last one may be unfinished: it is being written, or never was. */
export interface RawLine {
  readonly file: string;
  /** From 1. */
  readonly number: number;
  readonly text: string;
  readonly isFinished: boolean;
}

/** No line of ours is so long: what is, is not read into memory. */
const LONGEST = 64 * 1024;

export async function* linesOf(file: string): AsyncGenerator<RawLine> {
  let rest = '';
  let number = 0;
  for await (const chunk of createReadStream(file, { encoding: 'utf8' }) as AsyncIterable<string>) {
    const parts = (rest + chunk).split('\n');
    rest = (parts.pop() ?? '').slice(0, LONGEST);
    for (const text of parts) yield { file, number: ++number, text, isFinished: true };
  }
  if (rest !== '') yield { file, number: ++number, text: rest, isFinished: false };
}
