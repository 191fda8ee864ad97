import type { Shell } from '../../../src/contracts.ts';
import { FleetError } from '../../../src/errors.ts';
import type { Servers } from './connection.ts';
import { type Gtid, gtidText, isReached } from './gtid.ts';
import { hostOf } from './host.ts';
import type { Mariadb } from './service.ts';
import { readOnly, writable } from './statements.ts';
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
  await hostOf(of, shell, signal).administer('promote', [...leave, ...writable(of)]);
}

/**
 * Lets a master accept no more writes: what it has acknowledged before is in its log when this resolves.
 *
 * @param waitMs how long it may wait for statements that hold tables, in milliseconds: meanwhile commits wait too. Default 5000.
 * @throws FleetError ER0018 where its host or the server refuses, also where such a statement has not ended in time
 */
export async function makeReadOnly(of: Mariadb, shell: Shell, signal: AbortSignal, waitMs = 5000): Promise<void> {
  const seconds = Math.max(1, Math.round(waitMs / 1000));
  const statements = [`SET SESSION lock_wait_timeout = ${seconds}`, ...readOnly(of)];
  await hostOf(of, shell, signal).administer('make read-only', statements);
}
