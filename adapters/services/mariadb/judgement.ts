import { excerpt } from '../../../src/domain/excerpt.ts';
import type { Following, Role } from '../../../src/domain/service.ts';
import { type Gtid, gtidText, isReached } from './gtid.ts';
import type { Mariadb } from './service.ts';
import type { ReplicaError, ReplicaStatus, ServerStatus } from './status.ts';

/** What keeps a server from replicating as its role has it, for a person; null where nothing does. */
export function obstacleOf(of: Mariadb, status: ServerStatus, master: Mariadb | null): string | null {
  switch (of.status) {
    case 'master':
    case 'standalone':
      return obstacleOfMaster(of, status);
    case 'slave':
      return obstacleOfReplica(of, status, master);
    case 'discard':
    case 'na':
      return `its role is ${of.status}, which takes no part in replication`;
    default:
      return of.status satisfies never;
  }
}

function obstacleOfMaster(of: Mariadb, { replica, isReadOnly, hasLog }: ServerStatus): string | null {
  if (replica) return `it is a replica of ${replica.master.host}:${replica.master.port}, and wanted as ${of.status}`;
  if (!hasLog) return 'it keeps no binary log';
  return isReadOnly ? 'it is read-only' : null;
}

function obstacleOfReplica(of: Mariadb, status: ServerStatus, master: Mariadb | null): string | null {
  const { replica, isReadOnly } = status;
  if (!replica) return isReadOnly ? 'it follows no master' : 'it follows no master, and accepts writes';
  const strange = writtenHere(status);
  if (strange.length > 0) return `it has transactions of its own: ${gtidText(strange)}`;
  const { fetchError, replayError, lagMs } = replica;
  if (replayError) return `its replay stopped with ${replayError.number}${meaningOf(replayError)}`;
  if (replica.replaying !== 'Yes') return 'its replay does not run';
  if (fetchError) return `it cannot fetch: ${fetchError.number}${meaningOf(fetchError)}, ${excerpt(fetchError.message)}`;
  if (replica.fetching !== 'Yes') return `its fetching is ${excerpt(replica.fetching)}`;
  if (!isReadOnly) return 'it accepts writes';
  if (!replica.usesGtid) return 'it follows by files and offsets, not by GTID';
  if (master && !isFollowing(replica, master))
    return `it follows ${replica.master.host}:${replica.master.port}, and not ${master.name}`;
  if (lagMs === null) return 'how far it is behind is not known';
  return lagMs > of.settings.lagLimitMs ? `it is ${lagMs} ms behind, of ${of.settings.lagLimitMs} allowed` : null;
}

export const isFollowing = ({ master: { host, port } }: ReplicaStatus, master: Mariadb): boolean =>
  host === master.ip && port === master.settings.port;

/** What a replica says of a master: nothing where it follows another, or does not fetch. */
export function followingOf(status: ServerStatus, master: Mariadb): Following | null {
  const { replica, hasLog, isReadOnly } = status;
  if (!replica || !isFollowing(replica, master)) return null;
  const { fetchError, fetching, replaying, replayError, usesGtid } = replica;
  const isFit =
    writtenHere(status).length === 0 && hasLog && isReadOnly && usesGtid && replaying === 'Yes' && replayError === null;
  if (fetchError) return { hears: !UNHEARD.has(fetchError.number), isFit };
  return fetching === 'No' ? null : { hears: fetching === 'Yes' ? true : null, isFit };
}

/** The numbers of a replica that gets no answer at all. */
const UNHEARD: ReadonlySet<number> = new Set([2002, 2003, 2006, 2012, 2013, 2026]);

/** What a server has written itself since it follows another. Its master never has these. */
export const writtenHere = ({ current, replayed, serverId }: ServerStatus): readonly Gtid[] =>
  current.filter((one) => one.server === serverId && !isReached([one], replayed));

/** What a server's role is by what it does. */
export function roleOf(of: Mariadb, { replica, isReadOnly }: ServerStatus): Role {
  if (replica) return 'slave';
  if (isReadOnly) return 'na';
  return of.status === 'standalone' ? 'standalone' : 'master';
}

/** The numbers that replicas stop with. What a failed statement was is not told: it may hold what nobody is to see. */
const MEANINGS: ReadonlyMap<number, string> = new Map([
  [1032, 'a row to be changed is not there'],
  [1045, 'its user is denied'],
  [1062, 'a row to be written is there already'],
  [1146, 'a table is not there'],
  [1236, 'the master does not have what it asks for'],
  [1593, 'it has the server id of its master, or another setting forbids it'],
  [1950, 'what comes is out of order with what it has'],
  [2003, 'the master cannot be reached'],
  [2013, 'the connection to the master was lost'],
]);

function meaningOf({ number }: ReplicaError): string {
  const meaning = MEANINGS.get(number);
  return meaning === undefined ? '' : ` (${meaning})`;
}
