import type { EntityKey } from '../domain/identity.ts';
import type { RecoveryState } from '../domain/recovery.ts';
import { isFleetError } from '../errors.ts';
import type { Fleet } from '../index.ts';
import type { ConsoleRow } from '../wire/index.ts';
import { recoveryText } from './render/narration.ts';

/** Nothing is lost, or nobody knows of it. */
const QUIET: ReadonlySet<RecoveryState> = new Set<RecoveryState>(['well', 'unseen']);

/** Why those of these services that are kept running are not recovered, in a sentence each. */
export async function unrecovered(fleet: Pick<Fleet, 'recovery'>, keys: readonly EntityKey[]): Promise<readonly ConsoleRow[]> {
  try {
    const recoveries = await fleet.recovery();
    return recoveries
      .filter(({ key, state }) => keys.includes(key) && !QUIET.has(state))
      .map((recovery) => ({ command: recovery.key, return: recovery.code, result: recoveryText(recovery) }));
  } catch (error) {
    // What a later version has written about it does not stand in the way of the question itself.
    if (!isFleetError(error)) throw error;
    return [{ command: 'recovery', return: error.code, result: error.message }];
  }
}
