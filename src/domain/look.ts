import { type Action, isLive } from './action.ts';
import { OK } from './codes.ts';
import { type Do, doText } from './command.ts';
import { remedyFor } from './failover.ts';
import type { Problem } from './heartbeat.ts';
import { clusterKey, type EntityKey, type Instant, nameOf, serviceKey } from './identity.ts';
import type { Inventory } from './inventory.ts';
import { heldBy, ipOf } from './lanes.ts';
import { type Known, planDo } from './plan.ts';
import type { Look, Standing } from './recovery.ts';
import type { Service } from './service.ts';
import { triggerText } from './trigger.ts';

/** Why a verb has to wait that could go on by itself: for a person, or for the end of a change of master. */
export type Hindrance = Omit<Problem, 'subject'>;

/** What a look at a service may know. */
export interface LookAround {
  readonly known: Known;
  readonly inventory: Pick<Inventory, 'get' | 'atIp' | 'isBlind' | 'isBehind' | 'readAt'>;
  readonly actions: () => readonly Action[];
  readonly lane: (key: EntityKey) => readonly Action[];
  readonly hindranceTo: (what: Do) => Hindrance | null;
  /** Why a service is not to run, or null. */
  readonly offReason: (service: Service) => string | null;
  /** The clusters of which another takes the place of a master that is lost. */
  readonly failsOver: ReadonlySet<string>;
}

const CLIMBS: ReadonlySet<string> = new Set(['launch', 'start', 'bootstrap', 'install']);

/** Whether a verb is one of those that bring a service up: what a recovery is made of. */
export const isClimb = ({ verb }: Do): boolean => CLIMBS.has(verb);

/** The actions of a recovery: those that bring a service up, and of a master the failover that replaces it. */
export function recoveringActions({ name, cluster, status }: Service, lane: LookAround['lane']): readonly Action[] {
  const climbs = lane(serviceKey(name)).filter((action) => isClimb(action.do));
  if (cluster === undefined || status !== 'master') return climbs;
  return [...climbs, ...lane(clusterKey(cluster)).filter(({ do: what }) => what.verb === 'failover')];
}

const NEVER_READ = 0 as Instant;

/** Looks at one service that is kept: whether it is well, and if not, what it has lost and whether anything can be done. */
export function lookAt(service: Service, around: LookAround, standings: ReadonlyMap<EntityKey, Standing>): Look {
  const key = serviceKey(service.name);
  const lane = around.lane(key);
  const underWay = [...lane, ...recoveringActions(service, around.lane)].filter(isLive);
  const isActing = standings.get(key)?.state === 'acting' && underWay.length > 0;
  const view = around.inventory.get(key);
  const isReplaceable = service.status === 'master' && service.cluster !== undefined && around.failsOver.has(service.cluster);
  const shared = {
    key,
    cluster: service.cluster ?? null,
    unit: key as string,
    cannot: null,
    isActing,
    failsOverTo: null,
    isOvertaken: false,
  };
  const say = (is: Look['is'], why: string, more: Partial<Look> = {}): Look => ({
    ...shared,
    readAt: view?.readAt ?? NEVER_READ,
    is,
    why,
    ...more,
  });

  const off = around.offReason(service);
  const start: Do = { level: 'services', name: service.name, verb: 'start' };
  const outcome = planDo(start, key, around.known);
  const host = around.inventory.atIp(service.ip);
  const isHostUp = typeof host === 'object' && host.holds.has('running');
  if (off !== null && !isWellThere()) return say('not wanted', off);
  const held = around.hindranceTo(start);
  if (held !== null) return say('held', held.message, { cannot: held });
  const command = isActing ? undefined : commandAt();
  if (command) return say('commanded', `${doText(command.do)} is ${command.status}`);
  if (host === 'conflict') return say('unseen', `two instances report ${service.ip}`);
  if (!isHostUp) return lookAtHost();
  if (!view || around.inventory.isBlind(view) || view.state === 'unknown') return say('unseen', 'nobody can say how it is');
  if (isWellThere()) return say('well', '');
  if (view.unmet.length > 0) return say('dependent', `it needs ${view.unmet.map((one) => nameOf(one as EntityKey)).join(', ')}`);
  return lost(view.holds.has('up') ? `no more than ${view.state}` : view.state);

  function lost(why: string, more: Partial<Look> = {}): Look {
    const onlyWaits = isActing && underWay.every((action) => isClimb(action.do) && action.status === 'waiting');
    const remedy = isReplaceable ? remedyFor(service, around.known) : { is: 'start' as const };
    switch (remedy.is) {
      case 'failover':
        return say('lost', why, { ...more, failsOverTo: remedy.to.name, isOvertaken: onlyWaits });
      case 'wait': {
        // A start cannot reach what others hear from a host that does not answer us.
        const isOvertaken = onlyWaits && remedy.isHeard;
        return say('lost', why, { ...more, isOvertaken, cannot: { code: 'ER0257', message: `no failover yet: ${remedy.why}` } });
      }
      case 'start':
        return say('lost', why, { ...more, cannot: cannot() });
      default:
        return remedy satisfies never;
    }
  }

  function isWellThere(): boolean {
    const isSeen = view !== undefined && view.state !== 'unknown' && !around.inventory.isBlind(view);
    return isHostUp && isSeen && outcome.is === 'satisfied';
  }

  function commandAt(): Action | undefined {
    const own = lane.find(isLive);
    if (own) return own;
    const isUnderWay = (action: Action) => isLive(action) && action.status !== 'waiting' && action.lane !== key;
    return around
      .actions()
      .find(
        (action) =>
          isUnderWay(action) &&
          (action.do.level === 'services'
            ? action.do.name === service.name
            : ipOf(action.do, around.known.inventory) === service.ip),
      );
  }

  function lookAtHost(): Look {
    if (typeof host !== 'object') {
      const readAt = around.inventory.readAt('instances');
      if (readAt === null) return say('unseen', 'no instances were read yet');
      return lost(`no instance has ${service.ip}`, { unit: service.ip, readAt });
    }
    if (around.inventory.isBlind(host) || host.state === 'unknown') return say('unseen', 'nobody can say how its instance is');
    return lost(`its instance is ${host.state}`, { unit: service.ip, readAt: host.readAt });
  }

  /** Why the first step of a start cannot be taken now, or would be no use. */
  function cannot(): Look['cannot'] {
    // What hangs is missed by its services first: until its host is told of too, there may be more lost than this one.
    if (isHostUp && (host.code !== OK || (view && around.inventory.isBehind(host, view.since))))
      return { code: 'ER0227', message: `it waits until ${service.ip} answers or is missed` };
    if (isHostUp && view?.code === 'ER0270') return { code: 'ER0270', message: view.reason ?? 'its disk is full' };
    if (outcome.is === 'rejected') return outcome.problem;
    const first = outcome.is === 'steps' ? outcome.steps[0] : undefined;
    if (first === undefined) return { code: 'ER0206', message: 'there is nothing to do' };
    if (first.when.on !== 'now') return { code: 'ER0227', message: `it waits until ${triggerText(first.when)}` };
    const others = lane.filter(({ do: what }) => !isClimb(what));
    const holder = outcome.is === 'steps' ? heldBy({ lane: key, do: start }, outcome.steps, others) : undefined;
    if (!holder) return null;
    return { code: 'ER0207', message: `${doText(holder.do)} failed (${holder.id}); retry or discard it first` };
  }
}
