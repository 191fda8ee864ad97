import type { Subject } from './command.ts';
import { ABSENT_INSTANCE } from './derive.ts';
import type { Heartbeat, Problem } from './heartbeat.ts';
import { type EntityKey, type Instant, type Ip, type Level, levelOf, nameOf, wantedOf } from './identity.ts';
import { createInstanceRows } from './instance-rows.ts';
import { DEFAULT_POLICY, type Policy } from './policy.ts';
import { hostIsLost, type Ladder, unseen, viewOf } from './row.ts';
import type { Service } from './service.ts';
import { createServiceRows } from './service-rows.ts';
import { createSource, hear, isOverdue, type Rhythm, refusalOf, type Source } from './source.ts';
import { createSweep } from './sweep.ts';
import type { Sight } from './trigger.ts';
import type { Change, View } from './view.ts';

export interface InventoryOptions {
  readonly services?: readonly Service[];
  /** Ladders by mode. */
  readonly ladders?: ReadonlyMap<string, Ladder>;
  readonly policy?: Pick<Policy, 'tolerance' | 'skewMs' | 'silentIntervals' | 'pushEveryMs' | 'retainMs' | 'turnSize'>;
  /** Told of every heartbeat and item that is refused. */
  readonly onProblem?: (problem: Problem) => void;
}

/** The newest facts of every source, by identity, and one view per entity. */
export interface Inventory extends Sight {
  /** Takes a heartbeat in. A refused one changes nothing. */
  apply(beat: Heartbeat, now: Instant): readonly Change[];
  /** The same, a turn's worth of entities at a time; `own` says that one of our own drivers read it. */
  applying(beat: Heartbeat, now: Instant, own?: Rhythm): Generator<void, readonly Change[]>;
  /**
   * Takes in what an earlier life believed: the next readings are compared with it, so that what happened meanwhile is told.
   * Nothing fires from it. What a source that is no driver said is only recalled for `policy.retainMs`.
   */
  recall(views: readonly View[], now: Instant, isDriver: (source: string) => boolean): void;
  /** The read of one of our own drivers failed: nothing of it is believed gone, nothing fires from it. */
  blind(source: string, now: Instant, own: Rhythm): void;
  /** Lets time pass: a source that has been quiet too long is silent, its entities unknown. */
  elapse(now: Instant): readonly Change[];
  get(key: EntityKey): View | undefined;
  /** The instance that owns an ip. */
  atIp(ip: Ip): View | 'none' | 'conflict';
  views(level?: Level): Iterable<View>;
  readonly size: number;
  /** Whether the source that a view rests on cannot be read at present, or has not been since the start. */
  isBlind(view: View): boolean;
  /** Whether the source that a view rests on has said nothing since then, or nothing of it in its last reading. */
  isBehind(view: View, since: Instant): boolean;
  /** Whether what a view says is only recalled of an earlier life. */
  isUnread(view: View): boolean;
  /** Whether a complete reading of `level` has been taken from `source`, or from any. */
  hasRead(level: Level, source?: string): boolean;
  /** Forgets what has been gone and unwatched for `policy.retainMs`. */
  forget(now: Instant, isWatched: (key: EntityKey) => boolean): readonly EntityKey[];
}

/** Makes an empty inventory that knows of the configured services. */
export function createInventory(options: InventoryOptions = {}): Inventory {
  const policy = options.policy ?? DEFAULT_POLICY;
  const report = options.onProblem ?? (() => {});
  const sources = new Map<string, Source>();
  const instances = createInstanceRows(policy);
  const services = createServiceRows({
    services: options.services ?? [],
    ladders: options.ladders ?? new Map(),
    policy,
    isHostLost: (ip) => hostIsLost(instances.atIp(ip), hasRead('instances')),
    isRunning: (key) => get(key)?.holds.has('running') === true,
  });

  function sourceOf(name: string, now: Instant, own: Rhythm | undefined): Source {
    let source = sources.get(name);
    if (!source) {
      source = createSource(name, own !== undefined, own?.everyMs ?? policy.pushEveryMs, now);
      sources.set(name, source);
    }
    if (own) {
      source.own = true;
      source.everyMs = own.everyMs;
      source.beatMs = own.beatMs;
    }
    return source;
  }

  function* applying(beat: Heartbeat, now: Instant, own?: Rhythm): Generator<void, readonly Change[]> {
    const source = sourceOf(beat.source, now, own);
    const refusal = refusalOf(source, beat, own !== undefined, now, policy);
    if (refusal !== null) {
      report({ subject: beat.source, code: 'ER0234', message: `heartbeat of ${beat.source} refused: ${refusal}` });
      return [];
    }
    hear(source, beat, now);
    const sweep = createSweep(source, now, `${beat.epoch}:${beat.seq}`);
    if (beat.instances) yield* instances.take(beat.instances, sweep);
    const foreign = beat.services ? yield* services.take(beat.services, sweep) : 0;
    if (foreign > 0) {
      const message = `${beat.source} spoke of ${foreign} services that are not on its ips; not believed`;
      report({ subject: beat.source, code: 'ER0233', message });
    }
    return sweep.changes;
  }

  function get(key: EntityKey): View | undefined {
    if (levelOf(key) === 'services') return services.get(nameOf(key));
    const wanted = wantedOf(key);
    return wanted ? (tenantOf(wanted.ip) ?? awaited(key, wanted)) : instances.get(key);
  }

  /** An instance that is to be launched: absent, as far as its cloud has been read, but not gone. */
  function awaited(key: EntityKey, { cloud, ip }: { readonly cloud: string; readonly ip: Ip }): View | undefined {
    const readAt = readAtOf('instances');
    if (readAt === null || instances.atIp(ip) === 'conflict') return undefined;
    const belief = { ...unseen(ABSENT_INSTANCE, ip, null), source: cloud, since: readAt };
    return viewOf({ level: 'instances', key, name: ip, belief, readAt, source: null }, { unmet: [], hostLost: false });
  }

  function readAtOf(level: Level): Instant | null {
    let latest: Instant | null = null;
    for (const { completeAt, blind } of sources.values()) {
      const at = completeAt[level];
      if (!blind && at !== null && (latest === null || at > latest)) latest = at;
    }
    return latest;
  }

  function tenantOf(ip: Ip): View | undefined {
    const here = instances.atIp(ip);
    return typeof here === 'string' ? undefined : here;
  }

  function look(level: Level, subject: Subject): View | undefined {
    if ('key' in subject) return get(subject.key);
    return level === 'services' ? services.atIp(subject.ip) : tenantOf(subject.ip);
  }

  function hasRead(level: Level, name?: string): boolean {
    if (name !== undefined) return (sources.get(name)?.completeAt[level] ?? null) !== null;
    for (const source of sources.values()) if (source.completeAt[level] !== null) return true;
    return false;
  }

  const isUnread = ({ level, key, name }: View): boolean =>
    level === 'instances' ? instances.isUnread(key) : services.isUnread(name);

  return {
    applying,
    apply: (beat, now) => finish(applying(beat, now)),
    recall(views, now, isDriver) {
      for (const view of views) {
        if (view.source === null || (!isDriver(view.source) && now - view.readAt > policy.retainMs)) continue;
        const source = sourceOf(view.source, now, undefined);
        // An earlier life's clock may have been ahead of ours: nothing was read later than now.
        const readAt = Math.min(view.readAt, now) as Instant;
        if (view.level === 'instances') instances.recall({ ...view, readAt }, source);
        else services.recall({ ...view, readAt }, source);
      }
    },
    blind(name, now, own) {
      sourceOf(name, now, own).blind = true;
    },
    elapse(now) {
      const changes: Change[] = [];
      for (const source of sources.values()) {
        if (!isOverdue(source, now, policy)) continue;
        source.silent = true;
        const sweep = createSweep(source, now, `${source.epoch}:${source.seq}:silent`);
        const reason = `${source.name} has been silent for ${Math.round((now - source.heardAt) / 1000)} s`;
        instances.lose(sweep, reason);
        services.lose(sweep, reason);
        changes.push(...sweep.changes);
      }
      return changes;
    },
    get,
    atIp: instances.atIp,
    look,
    *views(level) {
      if (level !== 'services') yield* instances.views();
      if (level !== 'instances') yield* services.views();
    },
    get size() {
      return instances.size + services.size;
    },
    isBlind: (view) => isUnread(view) || (view.source !== null && sources.get(view.source)?.blind === true),
    isBehind: ({ source, key }, since) =>
      (sources.get(source ?? '')?.heardAt ?? Number.NEGATIVE_INFINITY) < since || instances.isDoubted(key),
    isUnread,
    hasRead,
    readAt: readAtOf,
    forget: instances.forget,
  };
}

function finish<T>(steps: Generator<void, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
