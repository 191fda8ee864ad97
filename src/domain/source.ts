import type { Heartbeat } from './heartbeat.ts';
import type { Instant, Ip, Level } from './identity.ts';
import type { Policy } from './policy.ts';

/** How often one of our own drivers is read. */
export interface Rhythm {
  /** What the driver says of itself, in milliseconds. */
  readonly everyMs: number;
  /** How far apart the beats are set that read it, in milliseconds; 0 where somebody else calls for them. */
  readonly beatMs: number;
}

/** Whoever sends heartbeats: one of our own drivers, or a host that pushes. */
export interface Source {
  readonly name: string;
  /** Read by ourselves: it is the provider, or our own prober. */
  own: boolean;
  epoch: string;
  seq: number;
  /** The last sequences of its latest epochs, so that a heartbeat from before a restart is not taken for another restart. */
  readonly seqs: Map<string, number>;
  /** How many of its heartbeats were taken: a source that restarts may count its own from the start. */
  sweeps: number;
  /** Its own interval: told by a driver, learned from one that pushes. */
  everyMs: number;
  /** So far apart are the readings that count what they miss: whoever looks again sooner is not sooner sure. */
  beatMs: number;
  /** When the last reading was heard that counted what it missed. */
  countedAt: Instant;
  heardAt: Instant;
  /** Since when it has been seeing without a break. */
  seenSince: Instant;
  blind: boolean;
  silent: boolean;
  /** When its last complete read of each level began. */
  readonly completeAt: Record<Level, Instant | null>;
  /** How many entities of each level rest on it. */
  readonly entities: Record<Level, number>;
  /** Whose word it is, where it only speaks for some ips. */
  ips: readonly Ip[] | null;
}

export const createSource = (name: string, own: boolean, everyMs: number, now: Instant): Source => ({
  name,
  own,
  epoch: '',
  seq: -1,
  seqs: new Map(),
  sweeps: 0,
  everyMs,
  beatMs: 0,
  countedAt: Number.NEGATIVE_INFINITY as Instant,
  heardAt: now,
  seenSince: now,
  blind: false,
  silent: false,
  completeAt: { instances: null, services: null },
  entities: { instances: 0, services: 0 },
  ips: null,
});

/** Why a heartbeat cannot be taken, or null. Order is by epoch and sequence: a new epoch is a restart. */
export function refusalOf(
  source: Source,
  beat: Heartbeat,
  own: boolean,
  now: Instant,
  policy: Pick<Policy, 'skewMs'>,
): string | null {
  if (source.own && !own) return 'its name is that of a driver of ours';
  if (beat.hostAt !== undefined) {
    const at = Date.parse(beat.hostAt);
    if (Number.isNaN(at)) return `its time ${JSON.stringify(beat.hostAt.slice(0, 40))} is not ISO 8601`;
    if (Math.abs(at - now) > policy.skewMs)
      return `its clock is ${Math.round((at - now) / 1000)} s from ours, allowed are ${policy.skewMs / 1000} s`;
  }
  const last = source.seqs.get(beat.epoch);
  if (last !== undefined && beat.seq <= last) return `sequence ${beat.seq} is not after ${last}`;
  return null;
}

/** Whether a source's word counts at an ip: a host's only does at its own. */
export const speaksFor = (source: Source, ip: Ip | null): boolean =>
  source.ips === null || (ip !== null && source.ips.includes(ip));

/** Takes note that `source` has spoken. */
export function hear(source: Source, beat: Heartbeat, now: Instant): void {
  const wasDeaf = source.blind || source.silent;
  if (!source.own && source.seq >= 0 && now > source.heardAt) {
    const interval = now - source.heardAt;
    source.everyMs = wasDeaf ? source.everyMs : Math.max(1, Math.round(source.everyMs * 0.7 + interval * 0.3));
  }
  if (wasDeaf || source.epoch !== beat.epoch) source.seenSince = now;
  source.epoch = beat.epoch;
  source.seq = beat.seq;
  source.seqs.delete(beat.epoch);
  source.seqs.set(beat.epoch, beat.seq);
  const [oldest] = source.seqs.keys();
  if (source.seqs.size > EPOCHS && oldest !== undefined) source.seqs.delete(oldest);
  source.sweeps++;
  source.heardAt = now;
  source.blind = false;
  source.silent = false;
  source.ips = beat.host?.ips ?? null;
}

/** A complete read has come in, perhaps after one that began later. */
export function noteComplete(source: Source, level: Level, readAt: Instant): void {
  source.completeAt[level] = Math.max(readAt, source.completeAt[level] ?? readAt) as Instant;
}

/** Whether what its last reading missed counts as a miss of its own, which is then noted. */
export function countsMisses(source: Source): boolean {
  if (source.heardAt - source.countedAt < source.beatMs * NEARLY) return false;
  source.countedAt = source.heardAt;
  return true;
}

/** A timer may be a little early. */
const NEARLY = 0.9;

/** How many epochs of a source are remembered. */
const EPOCHS = 8;

/** Whether `source` has been quiet for longer than its own interval explains. */
export const isOverdue = (source: Source, now: Instant, policy: Pick<Policy, 'silentIntervals'>): boolean =>
  !source.silent && now - source.heardAt > source.everyMs * policy.silentIntervals;
