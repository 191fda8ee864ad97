import type { Neighbours } from '../../../src/contracts.ts';
import { serviceKey } from '../../../src/domain/identity.ts';
import { FleetError } from '../../../src/errors.ts';
import { type Mariadb, serverIdOf } from './service.ts';

/** The modes of this kind, whose settings it has read. */
export const MODES = ['mariadb', 'mysql'] as const;
export type MariadbMode = (typeof MODES)[number];

/** The other servers of its cluster. One without a cluster has none. */
export const othersOf = (of: Mariadb, among: Neighbours): readonly Mariadb[] =>
  of.cluster === undefined
    ? []
    : among
        .services()
        .filter((one) => one.cluster === of.cluster && one.name !== of.name && (MODES as readonly string[]).includes(one.mode))
        // Their settings were read by this kind; what they are is hidden from everyone else.
        .map((one) => one as Mariadb);

/** Who is wanted as master of its cluster; null where nobody is. */
export const masterOf = (of: Mariadb, among: Neighbours): Mariadb | null =>
  othersOf(of, among).find(({ status }) => status === 'master') ?? null;

/** @throws FleetError ER0230 where nobody is wanted as master */
export function mustHaveMaster(of: Mariadb, among: Neighbours): Mariadb {
  const master = masterOf(of, among);
  if (master) return master;
  throw new FleetError(
    'ER0230',
    of.cluster === undefined
      ? `${of.name} is a slave, and of no cluster whose master it could follow`
      : `${of.name} is a slave, and no database of the cluster ${of.cluster} has the status master`,
  );
}

/** @throws FleetError ER0230 where another server of its cluster has its id: neither could replay what the other has written */
export function mustBeDistinct(of: Mariadb, among: Neighbours): void {
  const twin = othersOf(of, among).find((other) => serverIdOf(other) === serverIdOf(of));
  if (!twin) return;
  throw new FleetError('ER0230', `${of.name} and ${twin.name} have one server id, ${serverIdOf(of)}: set serverId`);
}

/** @throws FleetError ER0252 where another server of its cluster is seen to accept writes, or is wanted to */
export function mustBeOnlyMaster(of: Mariadb, among: Neighbours): void {
  for (const other of othersOf(of, among)) {
    const view = among.view(serviceKey(other.name));
    // One whose disk is full goes on by itself once there is room.
    const isWriting = view?.role === 'master' && (view.holds.has('up') || view.code === 'ER0270');
    if (!isWriting && other.status !== 'master') continue;
    throw new FleetError(
      'ER0252',
      `${of.name} stays read-only: ${other.name} ${isWriting ? 'accepts writes' : 'is a master too'}`,
    );
  }
}
