import type { Shell } from '../../../src/contracts.ts';
import { FleetError } from '../../../src/errors.ts';
import type { Servers } from './connection.ts';
import { type Gtid, gtidText, isReached } from './gtid.ts';
import { hostOf } from './host.ts';
import type { Mariadb } from './service.ts';
import { READ_ONLY, WRITABLE } from './statements.ts';
import { mustReadStatus } from './status.ts';

/**
 * Makes a replica a master: it follows nobody any more, and accepts writes. That no other server of its cluster does is for the
 * caller to know.
 *
 * @param position what it must have replayed, as the last that its master has written
 * @throws FleetError ER0253 where it has not, ER0003 where it does not answer, ER0018 where its host refuses
 */
export async function promote(
  of: Mariadb,
  position: readonly Gtid[],
  from: Servers,
  shell: Shell,
  signal: AbortSignal,
): Promise<void> {
  const { current, replica } = await mustReadStatus(from, of, signal);
  if (!isReached(position, current))
    throw new FleetError('ER0253', `${of.name} is at ${gtidText(current) || 'nothing'}, not yet at ${gtidText(position)}`, {
      retryable: true,
    });
  const leave = replica ? ['STOP SLAVE', 'RESET SLAVE ALL'] : [];
  await hostOf(of, shell, signal).administer('promote', [...leave, WRITABLE]);
}

/**
 * Lets a master accept no more writes: what it has acknowledged before is in its log when this resolves.
 *
 * @throws FleetError ER0018 where its host or the server refuses
 */
export async function makeReadOnly(of: Mariadb, shell: Shell, signal: AbortSignal): Promise<void> {
  await hostOf(of, shell, signal).administer('make read-only', [READ_ONLY]);
}
