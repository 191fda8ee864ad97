import { type Action, isLive, passesLane, type Step } from './action.ts';
import { type Do, doText } from './command.ts';
import { type EntityKey, type Ip, serviceKey, wantedOf } from './identity.ts';
import type { Inventory } from './inventory.ts';
import type { Target } from './selection.ts';
import type { Service } from './service.ts';

/** The failed action that holds a target's lane, unless the new steps replace it. `stop` and `terminate` pass. */
export function heldBy(target: Target, steps: readonly Step[], actions: readonly Action[]): Action | undefined {
  if (passesLane(target.do)) return undefined;
  const replaced = new Set(steps.map((step) => doText(step.do)));
  return actions.find((action) => action.status === 'failed' && action.lane === target.lane && !replaced.has(doText(action.do)));
}

/**
 * The live actions that a verb contradicts. `stop` and `terminate` (and `remove`) end a running start of their target and
 * cancel waiting ones in every lane that needs it; those of an instance cover the services on it.
 */
export function cancelledBy(
  target: Target,
  known: { readonly inventory: Pick<Inventory, 'get' | 'atIp'>; readonly services: readonly Service[] },
  actions: readonly Action[],
): readonly Action[] {
  const { do: what, lane } = target;
  if (!passesLane(what) && what.verb !== 'remove') return [];
  const lanes = new Set<EntityKey>([lane]);
  const ip = what.level === 'instances' ? ipOf(what, known.inventory) : null;
  if (ip !== null) for (const service of known.services) if (service.ip === ip) lanes.add(serviceKey(service.name));
  return actions
    .filter((action) => isLive(action) || action.status === 'failed')
    .filter((action) => doText(action.do) !== doText(what) && !passesLane(action.do))
    .filter((action) => lanes.has(action.lane) || (ip !== null && isAt(action, ip)));

  function isAt(action: Action, address: Ip): boolean {
    return action.do.level === 'instances' && ipOf(action.do, known.inventory) === address;
  }
}

/** The address of the instance that a verb is for, where it has one. */
export function ipOf(what: Extract<Do, { level: 'instances' }>, inventory: Pick<Inventory, 'get'>): Ip | null {
  if ('ip' in what.subject) return what.subject.ip;
  return wantedOf(what.subject.key)?.ip ?? inventory.get(what.subject.key)?.ip ?? null;
}

/** The order of a lane. Two fleets that arm at once may give one place twice; then the ids decide, the same everywhere. */
export const byPlace = (a: Action, b: Action): number => a.order - b.order || (a.id < b.id ? -1 : Number(a.id > b.id));

/** The first action of a lane that has not ended: only it may fire, but for `stop` and `terminate`. */
export function isFirstInLane(action: Action, lane: readonly Action[]): boolean {
  return passesLane(action.do) || lane.every((other) => byPlace(other, action) >= 0 || !holdsLane(other));
}

/**
 * Where new steps stand in their lanes: in front of those steps of the same command that stand there already, and of the action
 * that they are to precede; one that replaces a failed action in its place; null is behind all others.
 */
export function placesFor(
  steps: readonly Step[],
  standing: { readonly of: (step: Step) => Action | undefined; readonly in: (lane: EntityKey) => readonly Action[] },
  before?: Action,
): readonly (number | null)[] {
  const limits = new Map<EntityKey, number>(before ? [[before.lane, before.order]] : []);
  const placeOf = (step: Step): number | null => {
    const limit = limits.get(step.lane);
    const place = standing.of(step)?.order ?? (limit === undefined ? null : inFrontOf(limit, standing.in(step.lane)));
    if (place !== null) limits.set(step.lane, place);
    return place;
  };
  return [...steps].reverse().map(placeOf).reverse();
}

function inFrontOf(order: number, lane: readonly Action[]): number {
  const ahead = lane.filter((action) => action.order < order).map((action) => action.order);
  return (Math.max(order - 1, ...ahead) + order) / 2;
}

const holdsLane = (action: Action): boolean => isLive(action) || action.status === 'failed';
