import type { Action } from './domain/action.ts';

/** What is stored of an action. */
interface ActionRecord {
  readonly version: 1;
  readonly action: Action;
}

export const writeRecord = (action: Action): string => JSON.stringify({ version: 1, action } satisfies ActionRecord);

/** Brings a stored record of an earlier version to the present one; null where it cannot. */
export type Migrate = (record: unknown) => unknown;

/** The action of a stored record, or null where it does not fit, even migrated. */
export function readRecord(text: string, migrate?: Migrate): Action | null {
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch {
    return null;
  }
  const fitting = isRecord(record) ? record : migrate?.(record);
  return isRecord(fitting) ? fitting.action : null;
}

const isRecord = (record: unknown): record is ActionRecord =>
  typeof record === 'object' &&
  record !== null &&
  'version' in record &&
  record.version === 1 &&
  'action' in record &&
  isAction(record.action);

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
