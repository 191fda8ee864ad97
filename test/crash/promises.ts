import type { EntityKey } from 'fleetbeat';
import { HEALED } from './history.ts';
import type { Outcome } from './lives.ts';
import type { ToldChange } from './world.ts';

/** What whoever asked for something has been wronged by. Empty where every promise was kept. */
export function brokenToThoseWhoAsk(outcome: Outcome, undisturbed: Outcome): readonly string[] {
  return outcome.world.report()
    ? [...actionsLost(outcome), ...effectsMissing(outcome, undisturbed), ...effectsDoubled(outcome)]
    : ['nobody came to the end of the history'];
}

/** What the doctor has been wronged by. */
export function brokenToTheDoctor(outcome: Outcome): readonly string[] {
  const parked = outcome.world.report()?.parked ?? [];
  return [...changesUntold(outcome), ...answersLost(outcome), ...parked.map((id) => `${id} was parked`)];
}

/** These cannot be called again to be sure: whoever is killed around the call may say that they were perhaps called. */
const isMarked = (verb: string): boolean => verb === 'reboot' || verb === 'restart';
const PERHAPS_CALLED = 'ER0213';

/** Whatever was acknowledged ends done, and nothing is left. */
function actionsLost({ world }: Outcome): readonly string[] {
  const { ends = [], left = [] } = world.report() ?? {};
  const isFair = ({ status, verb, code }: (typeof ends)[number]) =>
    status === 'done' || (isMarked(verb) && status === 'failed' && code === PERHAPS_CALLED);
  const lost = ends.filter((end) => !isFair(end)).map(({ id, status, verb, code }) => `${verb} ${id} is ${status} ${code}`);
  return [
    ...lost,
    ...left.filter(({ verb }) => !isMarked(verb)).map(({ id, verb, status }) => `${verb} ${id} is left ${status}`),
  ];
}

const effectsOf = ({ world }: Outcome): readonly string[] =>
  world.effects
    .filter(({ outcome }) => outcome === 'applied')
    .map(({ subject, verb, step }) => [verb, subject, step].filter((word) => word !== undefined).join(' '));

/** All that was asked for has been done; what only one who had no answer asked for, and nobody asked again, need not. */
function effectsMissing(outcome: Outcome, undisturbed: Outcome): readonly string[] {
  const ends = outcome.world.report()?.ends ?? [];
  const isDue = (effect: string) => {
    const [verb = ''] = effect.split(' ');
    return effect !== HEALING && (!isMarked(verb) || ends.some((end) => end.verb === verb && end.status === 'done'));
  };
  const done = new Set(effectsOf(outcome));
  return effectsOf(undisturbed)
    .filter((effect) => !done.has(effect) && isDue(effect))
    .map((effect) => `${effect} was never done`);
}

/** What the doctor has answered with. */
const HEALING = `start ${HEALED} up`;

const answersLost = (outcome: Outcome): readonly string[] =>
  effectsOf(outcome).includes(HEALING) ? [] : [`${HEALING} was never done`];

/** Nothing is applied twice, be it under one token or two, and what must not be called twice is not. */
function effectsDoubled(outcome: Outcome): readonly string[] {
  const seen = new Set<string>();
  const doubled = effectsOf(outcome).filter((effect) => seen.size === seen.add(effect).size);
  const calls = outcome.world.effects.filter(({ verb }) => isMarked(verb)).map(({ verb, subject }) => `${verb} ${subject}`);
  const again = calls.filter((call, i) => calls.indexOf(call) !== i);
  return [...doubled.map((effect) => `${effect} was done twice`), ...again.map((call) => `${call} was called twice`)];
}

/**
 * The doctor can follow each entity from where it appeared to where it is: what is told begins where the change before it has
 * ended. Whoever starts again may begin once at what was told before.
 */
function changesUntold({ world, hasDied }: Outcome): readonly string[] {
  const broken: string[] = [];
  const told = new Map<EntityKey, ToldChange[]>();
  const known = new Set<string>();
  for (const change of world.told) {
    if (known.has(change.id)) continue;
    known.add(change.id);
    told.set(change.key, [...(told.get(change.key) ?? []), change]);
  }
  for (const [key, changes] of told) {
    let at: string | null = null;
    const before = new Set<string | null>([null]);
    let restarts = hasDied ? 1 : 0;
    for (const { from, to } of changes) {
      if (from !== at && !(before.has(from) && restarts-- > 0))
        broken.push(`${key}: told ${from} -> ${to}, told before was ${at}`);
      at = to;
      before.add(to);
    }
  }
  for (const [key, is] of world.report()?.views ?? []) {
    const last = told.get(key)?.at(-1)?.to ?? null;
    if (last !== is) broken.push(`${key}: told last ${last}, is ${is}`);
  }
  return broken;
}
