import { setTimeout as pause } from 'node:timers/promises';
import type { Neighbours, Permit, Shell } from '../../../src/contracts.ts';
import { FleetError } from '../../../src/errors.ts';
import { mustBeDistinct, mustBeOnlyMaster, mustHaveMaster } from './cluster.ts';
import type { Servers } from './connection.ts';
import { copyFrom, isHalfCopied, mustBeValid } from './copy.ts';
import { type Gtid, gtidText, missingFrom } from './gtid.ts';
import { type Host, hostOf } from './host.ts';
import { isFollowing, obstacleOf } from './judgement.ts';
import { follow } from './repoint.ts';
import type { Mariadb } from './service.ts';
import { COUNT_TABLES, readOnly, writable } from './statements.ts';
import { mustReadStatus, type ReplicaStatus, type ServerStatus } from './status.ts';

interface Around {
  readonly shell: Shell;
  readonly from: Servers;
  readonly permit: Permit;
  readonly among: Neighbours;
  readonly signal: AbortSignal;
}

/**
 * Brings a server into its role: a master accepts writes, a replica follows its master. What the master does not have is never
 * thrown away: a replica that has such data is refused.
 */
export async function bringIntoReplication(of: Mariadb, around: Around): Promise<void> {
  mustBeDistinct(of, around.among);
  switch (of.status) {
    case 'master':
    case 'standalone':
      return acceptWrites(of, around);
    case 'slave':
      return followMaster(of, around);
    case 'discard':
    case 'na':
      throw new FleetError('ER0206', `${of.name} has the role ${of.status}, which takes no part in replication`);
    default:
      return of.status satisfies never;
  }
}

async function acceptWrites(of: Mariadb, { shell, from, permit, among, signal }: Around): Promise<void> {
  const host = hostOf(of, shell, signal);
  const { replica, isReadOnly } = await mustReadStatus(from, of, signal);
  if (replica) {
    const { host: address, port } = replica.master;
    throw new FleetError('ER0206', `${of.name} is a replica of ${address}:${port}: only a switchover makes it a ${of.status}`);
  }
  if (await isHalfCopied(host)) throw new FleetError('ER0206', `${of.name} has only half of a copy of its master`);
  if (of.status === 'master') mustBeOnlyMaster(of, among);
  mustBeValid(permit, of);
  if (isReadOnly) await host.administer('let write to', writable(of));
}

async function followMaster(of: Mariadb, { shell, from, permit, among, signal }: Around): Promise<void> {
  const master = mustHaveMaster(of, among);
  const host = hostOf(of, shell, signal, [master]);
  const copy = async () => {
    await copyFrom(hostOf(master, shell, signal), host, permit);
    await mustReplicate(of, master, from, signal);
  };
  if (await isHalfCopied(host)) return copy();

  // In this order: what the master writes in between is nothing that the replica could have and it not.
  const own = await mustReadStatus(from, of, signal);
  const theirs = await mustReadStatus(from, master, signal);
  mustBeKnownTo(master, of, own, theirs);
  if (hasNoPosition(own)) {
    await mustBeEmpty(host);
    return copy();
  }
  mustBeValid(permit, of);
  // One that could not reach its master tries again only from time to time; begun anew, it tries at once.
  if (own.replica && isAsWanted(own.replica, master))
    await host.administer('resume', [
      ...readOnly(of),
      ...(own.replica.fetchError ? ['STOP SLAVE IO_THREAD'] : []),
      'START SLAVE',
    ]);
  else await follow(host, master);
  if ((await settledObstacle(of, master, from, signal)) === null) return;
  const { replica } = await mustReadStatus(from, of, signal);
  // All that the replica has, the master has; yet where it would go on, the master's log no longer begins.
  if (replica?.fetchError?.number === 1236) return copy();
  return mustReplicate(of, master, from, signal);
}

/** One that is denied may have a password from before. */
const isAsWanted = (replica: ReplicaStatus, master: Mariadb): boolean =>
  replica.usesGtid && isFollowing(replica, master) && replica.fetchError?.number !== DENIED;
const DENIED = 1045;

const hasNoPosition = ({ logged, replayed }: ServerStatus): boolean => logged.length === 0 && replayed.length === 0;

/** All that a server can say that it has seen. */
const known = ({ logged, replayed, current }: ServerStatus): readonly Gtid[] => [...logged, ...replayed, ...current];

/** @throws FleetError ER0250 where a replica has transactions that its master does not have */
function mustBeKnownTo(master: Mariadb, of: Mariadb, own: ServerStatus, theirs: ServerStatus): void {
  const errant = missingFrom(known(own), known(theirs));
  if (errant.length === 0) return;
  const found = gtidText([...new Map(errant.map((one) => [gtidText([one]), one])).values()]);
  throw new FleetError('ER0250', `${of.name} has ${found}, which its master ${master.name} does not have; nothing was changed`);
}

/** @throws FleetError ER0250 where there is data of which no log tells where it came from */
async function mustBeEmpty(host: Host): Promise<void> {
  const tables = Number((await host.administer('look into', [COUNT_TABLES])).trim());
  if (tables === 0) return;
  throw new FleetError(
    'ER0250',
    `${host.of.name} has ${tables} tables and no position in any log: whether its master has them nobody can tell; nothing was changed`,
  );
}

const LOOK_EVERY_MS = 50;
/** How long a replica may take to connect, or to find that it cannot go on. How far it is behind is for the probe to say. */
const SETTLE_MS = 5000;

/** What still keeps a replica from replicating once its threads have settled; null where nothing does. */
async function settledObstacle(of: Mariadb, master: Mariadb, from: Servers, signal: AbortSignal): Promise<string | null> {
  const end = performance.now() + SETTLE_MS;
  for (;;) {
    const status = await mustReadStatus(from, of, signal);
    const { replica } = status;
    const runs = replica?.fetching === 'Yes' && replica.replaying === 'Yes';
    if (runs && replica.fetchError === null) return null;
    if (replica?.replayError || replica?.fetchError || performance.now() > end) return obstacleOf(of, status, master);
    await pause(LOOK_EVERY_MS, undefined, { signal });
  }
}

/** @throws FleetError ER0254 with what keeps a replica from replicating */
async function mustReplicate(of: Mariadb, master: Mariadb, from: Servers, signal: AbortSignal): Promise<void> {
  const obstacle = await settledObstacle(of, master, from, signal);
  if (obstacle !== null) throw new FleetError('ER0254', `${of.name}: ${obstacle}`, { retryable: true });
}
