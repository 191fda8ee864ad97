import { FleetError } from '../errors.ts';
import { allowedWords } from './nearest.ts';

/** Something on the command line that cannot be understood. */
export const usageError = (message: string): FleetError => new FleetError('ER0222', message);

/** An unknown word, with those that are known and the one that was perhaps meant. */
export const unknownWord = (code: 'ER0201' | 'ER0202', found: string, allowed: readonly string[]): FleetError =>
  new FleetError(code, `found ${JSON.stringify(found)}, allowed: ${allowedWords(found, allowed)}`);
