import { FleetError } from '../../src/errors.ts';

/**
 * Writes an argv as one line for a POSIX shell, which gives back exactly these words: nothing in them is expanded.
 * ssh has no argv of its own: it hands one line to the login shell of the user.
 *
 * @throws FleetError ER0222 where there is no program, or a word holds NUL, which no argv can carry
 */
export function quote(argv: readonly string[]): string {
  if (!argv[0]) throw new FleetError('ER0222', `a command starts with the name of its program, found ${JSON.stringify(argv)}`);
  return argv.map(quoteWord).join(' ');
}

function quoteWord(word: string, index: number): string {
  if (word.includes('\0')) throw new FleetError('ER0222', `word ${index} of a command holds a NUL character`);
  return `'${word.replaceAll("'", "'\\''")}'`;
}
