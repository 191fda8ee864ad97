import type { Switchover } from '../../../src/contracts.ts';
import { FleetError } from '../../../src/errors.ts';
import { catchUp } from './catch-up.ts';
import { mustBeDistinct } from './cluster.ts';
import type { Servers } from './connection.ts';
import { gtidText, isReached, missingFrom } from './gtid.ts';
import { obstacleOf } from './judgement.ts';
import { makeReadOnly, promote } from './promote.ts';
import type { Mariadb, MariadbSettings } from './service.ts';
import { mustReadStatus, readStatus } from './status.ts';

/** How often a new master catches up with an old one that somebody who may still writes to. */
const ROUNDS = 5;

/**
 * How a replica becomes the master of its cluster with nothing lost: the old master is made read-only, the new one replays all that
 * the old one has in its log, and takes writes only while no other server of the cluster does.
 */
export const switchover = (from: Servers): Switchover<MariadbSettings> => ({
  async check({ to, from: master, others }, _shell, _permit, signal, among) {
    for (const one of [to, master]) mustBeDistinct(one, among);
    // In this order: what is written in between, the replica could not have and the master not.
    const replica = await mustReadStatus(from, to, signal);
    const own = await mustReadStatus(from, master, signal);
    if (own.replica) throw refusal(`${master.name} is a replica itself, of ${own.replica.master.host}`);
    for (const [one, { hasLog }] of [
      [to, replica],
      [master, own],
    ] as const)
      if (!hasLog) throw refusal(`${one.name} keeps no binary log`);
    const obstacle = obstacleOf(to, replica, master);
    if (obstacle !== null) throw new FleetError('ER0254', `${to.name}: ${obstacle}`, { retryable: true });
    const errant = missingFrom([...replica.logged, ...replica.current], [...own.logged, ...own.current]);
    if (errant.length > 0)
      throw new FleetError(
        'ER0250',
        `${to.name} has ${gtidText(errant)}, which ${master.name} does not have; nothing was changed`,
      );
    const lagMs = replica.replica?.lagMs ?? null;
    if (lagMs === null || lagMs > to.settings.catchUpMs)
      throw new FleetError(
        'ER0253',
        `${to.name} is ${lagMs ?? 'it is not known how many'} ms behind, of ${to.settings.catchUpMs} allowed`,
        {
          retryable: true,
        },
      );
    await nobodyWrites(others, from, signal);
  },

  async 'read-only'({ to, from: master }, shell, permit, signal) {
    const { isReadOnly } = await mustReadStatus(from, master, signal);
    if (isReadOnly) return;
    if (!permit.valid()) throw new FleetError('ER0217', `the permit ended before ${master.name} was made read-only`);
    await makeReadOnly(master, shell, signal, to.settings.catchUpMs);
  },

  async 'catch-up'({ to, from: master }, _shell, _permit, signal) {
    for (let round = 0; round < ROUNDS; round++) {
      const before = await mustReadStatus(from, master, signal);
      if (!before.isReadOnly) throw new FleetError('ER0252', `${master.name} accepts writes again`);
      await catchUp(to, before.current, to.settings.catchUpMs, from, signal);
      const after = await mustReadStatus(from, master, signal);
      if (after.isReadOnly && isReached(after.current, before.current)) return;
    }
    throw new FleetError('ER0253', `${master.name} is written to although it is read-only, by somebody who may`);
  },

  async promote({ to, others }, shell, permit, signal) {
    await nobodyWrites(others, from, signal);
    const { replica, isReadOnly } = await mustReadStatus(from, to, signal);
    if (!replica && !isReadOnly) return;
    if (!permit.valid()) throw new FleetError('ER0217', `the permit ended before ${to.name} was promoted`);
    await promote(to, [], from, shell, signal);
  },
});

/** @throws FleetError ER0252 where one of them accepts writes; one that does not answer, takes none when it starts */
export async function nobodyWrites(others: readonly Mariadb[], from: Servers, signal: AbortSignal): Promise<void> {
  const answers = await Promise.all(others.map(async (one) => ({ one, answer: await readStatus(from, one, signal) })));
  for (const { one, answer } of answers)
    if (answer.kind === 'sound' && !answer.status.isReadOnly)
      throw new FleetError('ER0252', `${one.name} accepts writes too`, { retryable: true });
}

const refusal = (why: string): FleetError => new FleetError('ER0206', why);
