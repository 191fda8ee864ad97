import type { Action } from './domain/action.ts';

/** What is stored of an action. */
interface ActionRecord {
  readonly version: 1;
  readonly action: Action;
}

export const writeRecord = (action: Action): string => JSON.stringify({ version: 1, action } satisfies ActionRecord);

/** The action of a stored record, or null where it is none of this version. */
export function readRecord(text: string): Action | null {
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof record !== 'object' || record === null || !('version' in record) || record.version !== 1 || !('action' in record))
    return null;
  const { action } = record;
  return isAction(action) ? action : null;
}

const isAction = (action: unknown): action is Action =>
  typeof action === 'object' &&
  action !== null &&
  'id' in action &&
  typeof action.id === 'string' &&
  'token' in action &&
  typeof action.token === 'string' &&
  'lane' in action &&
  typeof action.lane === 'string' &&
  'do' in action &&
  'when' in action &&
  'status' in action &&
  typeof action.status === 'string';
