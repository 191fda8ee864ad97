import type { Shell } from '../../../src/contracts.ts';
import { type Host, hostOf } from './host.ts';
import type { Mariadb } from './service.ts';
import { ADOPT_POSITION, followStatements } from './statements.ts';

/**
 * Makes a server follow another master by GTID, from where it is: what it has written itself, as a master before, counts as reached.
 * It is read-only from then on. Whether the master has all that it has is for the caller to know, as by {@link missingFrom}.
 *
 * @throws FleetError ER0018 where its host or the server refuses
 */
export const repoint = (of: Mariadb, master: Mariadb, shell: Shell, signal: AbortSignal): Promise<void> =>
  follow(hostOf(of, shell, signal, [master]), master);

export async function follow(host: Host, master: Mariadb): Promise<void> {
  await host.administer(`point to ${master.name}`, ['STOP SLAVE', ADOPT_POSITION, ...followStatements(host.of, master)]);
}
