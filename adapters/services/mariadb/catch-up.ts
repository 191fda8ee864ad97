import { setTimeout as pause } from 'node:timers/promises';
import { FleetError } from '../../../src/errors.ts';
import type { Servers } from './connection.ts';
import { type Gtid, gtidText, isReached } from './gtid.ts';
import type { Mariadb } from './service.ts';
import { mustReadStatus } from './status.ts';

const LOOK_EVERY_MS = 20;

/**
 * Waits until a replica has replayed a position of its master.
 *
 * @param deadlineMs how long that may take
 * @throws FleetError ER0253 where it has not in that time, or its replay has stopped; ER0003 where it does not answer
 */
export async function catchUp(
  of: Mariadb,
  position: readonly Gtid[],
  deadlineMs: number,
  from: Servers,
  signal: AbortSignal,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const { current, replica } = await mustReadStatus(from, of, signal);
    if (isReached(position, current)) return;
    const where = `${of.name} is at ${gtidText(current) || 'nothing'}, not at ${gtidText(position)}`;
    if (replica?.replayError)
      throw new FleetError('ER0253', `${where}, and its replay stopped with ${replica.replayError.number}`);
    if (performance.now() > end)
      throw new FleetError('ER0253', `${where}, ${deadlineMs} ms after it was waited for`, { retryable: true });
    await pause(LOOK_EVERY_MS, undefined, { signal });
  }
}
