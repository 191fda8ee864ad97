import { type Instant, nameOf } from '../../domain/identity.ts';
import type { Recovery } from '../../index.ts';
import type { RecoveryLimits } from '../config/policy-fields.ts';
import { ageText, durationText } from '../duration.ts';
import type { Look } from './look.ts';
import { table } from './table.ts';

/** One service as it is told. */
export type RecoveryRow = ReturnType<typeof recoveryRow>;

export const timeOf = (at: Instant | null) => at && new Date(at).toISOString();

export const recoveryRow = (
  { key, cluster, state, code, reason, cause, notWanted, since, lostSince, next, falls }: Recovery,
  { recoveries }: Pick<RecoveryLimits, 'recoveries'>,
) => ({
  name: nameOf(key),
  cluster,
  wanted: notWanted === null,
  not_wanted: notWanted,
  state,
  code,
  cause,
  why: reason,
  since: timeOf(since),
  lost_since: timeOf(lostSince),
  next: timeOf(next),
  recoveries: {
    used: falls.find((fall) => fall.cause === cause)?.count ?? falls.reduce((most, { count }) => Math.max(most, count), 0),
    allowed: recoveries,
    by_cause: falls.map(({ cause: of, count, heldUntil }) => ({ cause: of, used: count, held_until: timeOf(heldUntil) })),
  },
});

/**
 * The services that are kept as a table, and below it how old that is and the limits in force.
 *
 * @param seenAt when the last heartbeat began that is in the store; null where there is none
 */
export function recoveriesText(
  rows: readonly RecoveryRow[],
  { limits, seenAt, now }: { readonly limits: RecoveryLimits; readonly seenAt: Instant | null; readonly now: number },
  look: Look,
): string {
  if (rows.length === 0) return 'nothing is kept: recover in the configuration, or keep of a service, says what is';
  const agoText = (at: string | null) => at && `${ageText(now - Date.parse(at))} ago`;
  const inText = (at: string | null) => at && (Date.parse(at) > now ? `in ${durationText(Date.parse(at) - now)}` : 'now');
  const listed = table<RecoveryRow>(
    [
      { title: 'name', of: ({ name }) => name },
      { title: 'cluster', of: ({ cluster }) => cluster, spare: 2 },
      { title: 'wanted', of: ({ wanted }) => (wanted ? 'yes' : 'no') },
      { title: 'state', of: ({ state }) => state },
      { title: 'code', of: ({ code }) => code, spare: 1 },
      { title: 'lost', of: ({ lost_since }) => agoText(lost_since) },
      { title: 'next', of: ({ next }) => inText(next) },
      { title: 'used', of: ({ recoveries: { used, allowed } }) => `${used}/${allowed}` },
      { title: 'why', of: ({ why, not_wanted }) => why || not_wanted, isProse: true },
    ],
    rows,
    look,
  );
  const heard =
    seenAt === null
      ? 'no heartbeat is in the store: nothing is recovered before somebody beats'
      : `last heartbeat ${ageText(Math.max(0, now - seenAt))} ago`;
  return `${listed}\n\n${[heard, ...limitsText(limits)].join('\n')}`;
}

const limitsText = (limits: RecoveryLimits): readonly string[] => [
  `recovered once lost for ${durationText(limits.dwellMs)} and ${limits.dwellReadings} readings; ${limits.recoveriesAtOnce} of a cluster at once, for at most ${durationText(limits.recoveryMs)}`,
  `observed only where more is lost at once than ${limits.radiusLeast} services or ${limits.radiusPercent} % of a cluster, whichever is more`,
  `held down for ${durationText(limits.holdDownMs)}, doubling up to ${durationText(limits.holdDownMaxMs)}; after ${limits.recoveries} recoveries from one cause somebody has to acknowledge it`,
  `forgotten once well for ${durationText(limits.wellMs)}`,
  `a master is replaced, in clusters of recover.failover, where ${limits.witnesses} witnesses say that it is lost and nobody hears it`,
];
