import type { Failover } from '../../../src/contracts.ts';
import { FleetError } from '../../../src/errors.ts';
import { catchUp } from './catch-up.ts';
import { mustBeDistinct } from './cluster.ts';
import type { Servers } from './connection.ts';
import { type Gtid, gtidText, missingFrom } from './gtid.ts';
import { hostOf } from './host.ts';
import { followingOf, writtenHere } from './judgement.ts';
import { follow } from './repoint.ts';
import type { Mariadb, MariadbSettings } from './service.ts';
import { mustReadStatus, readStatus, type ServerStatus } from './status.ts';
import { nobodyWrites } from './switchover.ts';

/**
 * How a replica takes the place of a master that is lost: it replays all that it has received, then all that any other replica has
 * received and it has not. What the lost master has told nobody, it alone has: where it comes back, it is refused with that.
 */
export const failover = (from: Servers): Failover<MariadbSettings> => ({
  async confirm({ to, from: master, others }, _shell, _permit, signal, among) {
    mustBeDistinct(to, among);
    const [own, theirs, ...answers] = await Promise.all([
      mustReadStatus(from, to, signal),
      readStatus(from, master, signal),
      ...others.map((one) => readStatus(from, one, signal)),
    ]);
    if (theirs.kind === 'sound' || (theirs.kind === 'unsound' && theirs.isThere))
      throw new FleetError('ER0257', `${master.name} is there: ${theirs.kind === 'sound' ? 'it answers' : theirs.reason}`);
    const replicas = [{ one: to, status: own }];
    for (const [i, answer] of answers.entries()) {
      const one = others[i];
      if (one && answer.kind === 'sound') replicas.push({ one, status: answer.status });
    }
    for (const { one, status } of replicas)
      if (followingOf(status, master)?.hears) throw new FleetError('ER0257', `${one.name} still hears ${master.name}`);
    mustBeFit(to, own);
    await nobodyWrites(others, from, signal);
  },

  async gather({ to, others }, shell, permit, signal) {
    const own = await mustReadStatus(from, to, signal);
    if (!own.replica && !own.isReadOnly) return;
    if (own.replica) await catchUp(to, own.replica.received, to.settings.catchUpMs, from, signal);
    for (const one of others) {
      const answer = await readStatus(from, one, signal);
      // One that follows nobody has been the master: what it alone has is nobody's.
      if (answer.kind !== 'sound' || !answer.status.replica) continue;
      const received = receivedBy(answer.status);
      const { current } = await mustReadStatus(from, to, signal);
      if (missingFrom(received, current).length === 0) continue;
      mustBeOfItsMaster(one, answer.status);
      await catchUp(one, received, to.settings.catchUpMs, from, signal);
      if (!permit.valid()) throw new FleetError('ER0217', `the permit ended before ${to.name} was pointed to ${one.name}`);
      await follow(hostOf(to, shell, signal, [one]), one);
      await catchUp(to, received, to.settings.catchUpMs, from, signal);
    }
  },
});

/** All that a replica has of others, replayed or not yet. */
const receivedBy = ({ replica, current, serverId }: ServerStatus): readonly Gtid[] =>
  [...(replica?.received ?? []), ...current].filter(({ server }) => server !== serverId);

/** @throws FleetError ER0206, ER0250 or ER0254 with what keeps a replica from taking the place of its master */
function mustBeFit(of: Mariadb, status: ServerStatus): void {
  if (!status.replica) throw new FleetError('ER0206', `${of.name} follows no master`);
  if (!status.hasLog) throw new FleetError('ER0206', `${of.name} keeps no binary log`);
  mustBeOfItsMaster(of, status);
  const { replayError } = status.replica;
  if (replayError) throw new FleetError('ER0254', `the replay of ${of.name} stopped with ${replayError.number}`);
}

/** @throws FleetError ER0250 where a replica has transactions of its own */
function mustBeOfItsMaster(of: Mariadb, status: ServerStatus): void {
  const own = writtenHere(status);
  if (own.length > 0)
    throw new FleetError('ER0250', `${of.name} has transactions of its own, ${gtidText(own)}; nothing was changed`);
}
