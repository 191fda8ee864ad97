import fc from 'fast-check';
import { type Action, type Command, type Fleet, isEnded, type Store, type Token, type Trigger, type View } from 'fleetbeat';
import { memory } from 'fleetbeat/adapters/memory';
import type { Fault } from 'fleetbeat/testing';
import { expect, test } from 'vitest';
import { FLEET_RUNS, PATIENCE_MS } from './runs.ts';
import { commands, IPS, NAMES, type Play, POLICY, play, type World, worlds } from './small-world.ts';

type Happening =
  | { readonly is: 'beats'; readonly count: number }
  | { readonly is: 'command'; readonly command: Command }
  | { readonly is: 'trouble'; readonly fault: Fault; readonly times: number }
  | { readonly is: 'power'; readonly ip: string; readonly power: 'off' | 'on' }
  | { readonly is: 'crash'; readonly name: string }
  | { readonly is: 'restart'; readonly isClean: boolean };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ is: fc.constant('beats'), count: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 5, arbitrary: fc.record({ is: fc.constant('command'), command: commands }) },
  {
    weight: 3,
    arbitrary: fc.record({
      is: fc.constant('trouble'),
      fault: fc.constantFrom<Fault>(
        'callRefused',
        'callLost',
        'callDropped',
        'throttled',
        'observeFailed',
        'sshFlap',
        'eventualConsistency',
        'serviceCrash',
      ),
      times: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ is: fc.constant('power'), ip: fc.constantFrom(...IPS), power: fc.constantFrom('off', 'on') }),
  },
  { weight: 1, arbitrary: fc.record({ is: fc.constant('crash'), name: fc.constantFrom(...NAMES) }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constant('restart'), isClean: fc.boolean() }) },
);

/** What happens to a fleet that is replaced just after it was told to do something. */
const interruption: fc.Arbitrary<readonly Happening[]> = fc
  .record({ command: commands, count: fc.integer({ min: 1, max: 3 }), isClean: fc.boolean() })
  .map(({ command, count, isClean }) => [
    { is: 'command', command },
    { is: 'beats', count },
    { is: 'restart', isClean },
  ]);

const histories = fc
  .array(fc.oneof({ weight: 4, arbitrary: happening.map((one) => [one]) }, { weight: 1, arbitrary: interruption }), {
    minLength: 1,
    maxLength: 12,
  })
  .map((parts): readonly Happening[] => parts.flat());

/** Our own reading of "holds", from the views alone: the words of the seed, not those that the inventory lists. */
function says(view: View, word: string): boolean {
  const rungs: readonly string[] =
    view.level === 'instances' ? ['ssh-up', 'bootstrapped', 'managed'] : ['up', 'replicating', 'routed'];
  const at = rungs.indexOf(view.state);
  if (word === 'running') return at >= 0;
  if (rungs.includes(word)) return at >= rungs.indexOf(word);
  if (word === 'known') return view.state !== 'unknown' && view.state !== 'unreachable';
  return view.state === word;
}

function holds(trigger: Trigger, views: readonly View[], at: { readonly now: number; readonly armedAt: number }): boolean {
  if (trigger.on === 'now') return true;
  if (trigger.on !== 'holds') throw new Error(`a plan makes no trigger ${trigger.on}`);
  const { subject, level, state } = trigger;
  const found = views.filter(
    (view) => view.level === level && ('key' in subject ? view.key === subject.key : view.ip === subject.ip && !view.gone),
  );
  const [view] = found;
  if (!view || found.length > 1) return false;
  return says(view, state) && (view.readAt >= at.armedAt || at.now - view.readAt <= FRESH_MS);
}

const FRESH_MS = 5000;

/** A history that takes longer hangs. */
const ANSWER_MS = 20_000;

/** So many beats may pass between a trigger's coming true and its action's being claimed. */
const PROMPT_BEATS = 3;

/** A process that was killed reaches nobody any more, and nobody answers it. */
function mortal(store: Store, onClaim: (id: string) => void): { readonly store: Store; kill(): void } {
  let isDead = false;
  const alive = <T>(act: () => Promise<T>): Promise<T> => (isDead ? new Promise<T>(() => {}) : act());
  return {
    store: {
      get: (key) => alive(() => store.get(key)),
      set: (key, value, ttlMs) => alive(() => store.set(key, value, ttlMs)),
      add: (key, value, ttlMs) =>
        alive(() => {
          if (key.startsWith(CLAIM)) onClaim(key.slice(CLAIM.length));
          return store.add(key, value, ttlMs);
        }),
      swap: (key, expected, next, ttlMs) => alive(() => store.swap(key, expected, next, ttlMs)),
      delete: (key) => alive(() => store.delete(key)),
      increment: (key) => alive(() => store.increment(key)),
    },
    kill() {
      isDead = true;
    },
  };
}

/** An action fires when it is claimed in the store. */
const CLAIM = 'c:';

/** Watches what a fleet says of its actions, and notes each breach of a promise. */
function watcher(stage: Play, store: Store) {
  const breaches: string[] = [];
  /** Triggers that have held in a fresh view, by token and trigger. */
  const held = new Set<string>();
  const claimed = new Set<string>();
  const begun = new Set<string>();
  const over = new Map<Token, number>();
  const overdue = new Map<string, number>();
  const tale = ({ token, when }: Action) => `${token} ${JSON.stringify(when)}`;

  function look(action: Action): void {
    if (holds(action.when, stage.fleet.views(), { now: stage.now(), armedAt: action.armedAt })) held.add(tale(action));
  }

  const isFirst = (action: Action): boolean =>
    action.do.verb === 'stop' ||
    action.do.verb === 'terminate' ||
    stage.fleet.actions().every((other) => other.lane !== action.lane || other.order >= action.order);

  return {
    breaches,
    attach(fleet: Fleet): void {
      fleet.on('action', (action) => {
        if (action.status === 'waiting' && claimed.delete(tale(action))) held.delete(tale(action));
        look(action);
        if (action.status === 'dispatching') {
          if (over.has(action.token)) breaches.push(`${action.token} fired after its end`);
          begun.add(action.token);
        }
        if (isEnded(action)) over.set(action.token, stage.simulated.log.length);
      });
      fleet.on('changed', () => {
        for (const action of fleet.actions()) look(action);
      });
      fleet.on('fault', ({ key, error }) => breaches.push(`the chart of ${key} failed: ${error}`));
    },
    /** An action is claimed: it has come to be due, or has been claimed before and is tried again. */
    claim(id: string): void {
      const action = stage.fleet.actions().find((one) => one.id === id);
      if (!action || claimed.has(tale(action)) || action.status !== 'waiting') return;
      look(action);
      if (!held.has(tale(action))) breaches.push(`${tale(action)} fired before its state held`);
      if (!isFirst(action)) breaches.push(`${tale(action)} fired before its turn`);
      claimed.add(tale(action));
    },
    /** After each beat: a fleet that leads has claimed what is due, or will at once. */
    async inspect(): Promise<void> {
      const { fleet } = stage;
      for (const action of fleet.actions()) {
        look(action);
        const isDue =
          fleet.role === 'leader' &&
          action.status === 'waiting' &&
          isFirst(action) &&
          holds(action.when, fleet.views(), { now: stage.now(), armedAt: action.armedAt }) &&
          (await store.get(`${CLAIM}${action.id}`)) === null;
        const beats = isDue ? (overdue.get(tale(action)) ?? 0) + 1 : 0;
        overdue.set(tale(action), beats);
        if (beats > PROMPT_BEATS) breaches.push(`${tale(action)} has held for ${beats} beats and did not fire`);
      }
    },
    /** What the world saw: what must not be called twice once per token, nothing of an action that had ended. */
    judge(): readonly string[] {
      const { log } = stage.simulated;
      const singles = log
        .filter(({ verb, outcome }) => verb === 'reboot' || verb === 'restart' || (verb === 'launch' && outcome === 'applied'))
        .map(({ token, verb }) => `${token} ${verb}`);
      const twice = singles.filter((single, i) => singles.indexOf(single) < i);
      const late = log.filter(({ token }, i) => i >= (over.get(token) ?? log.length));
      const unarmed = log.filter(({ token }) => !begun.has(token));
      return [
        ...breaches,
        ...twice.map((single) => `${single} was done twice`),
        ...late.map(({ token, verb }) => `${token} ${verb} reached the world after its end`),
        ...unarmed.map(({ token, verb }) => `${token} ${verb} reached the world before it was stored as begun`),
      ];
    },
  };
}

async function live(world: World, history: readonly Happening[], liveActors: number): Promise<readonly string[]> {
  const shared = memory({ now: () => stage.now() });
  const born = () => mortal(shared, (id) => watch.claim(id));
  let process = born();
  const owner = (n: number) => ({ owner: `fleet-${n}`, policy: { ...POLICY, liveActors } });
  const stage: Play = play(world, { fleet: { store: process.store, ...owner(0) } });
  const watch = watcher(stage, shared);
  watch.attach(stage.fleet);
  let restarts = 0;
  const beat = async () => {
    await stage.beat();
    await watch.inspect();
  };
  for (const it of history) {
    if (it.is === 'beats') for (let i = 0; i < it.count; i++) await beat();
    else if (it.is === 'command') await stage.fleet.dispatch(it.command);
    else if (it.is === 'trouble') stage.simulated.faults.once(it.fault, it.times);
    else if (it.is === 'crash') stage.simulated.world.crash(it.name);
    else if (it.is === 'power') {
      if (stage.simulated.world.powerAt(it.ip) !== null) stage.simulated.world.power(it.ip, it.power);
    } else {
      if (it.isClean) await stage.fleet.stop();
      else process.kill();
      process = born();
      watch.attach(stage.replace({ store: process.store, ...owner(++restarts) }));
    }
  }
  stage.simulated.faults.clear();
  for (let i = 0; i < 20; i++) await beat();
  await stage.fleet.stop();
  return watch.judge();
}

test(
  'no action fires before its state holds, nor before its turn, nor twice, nor never',
  async () => {
    await fc.assert(
      fc.asyncProperty(worlds, histories, fc.constantFrom(10_000, 0), async (world, history, liveActors) => {
        expect(await live(world, history, liveActors)).toEqual([]);
      }),
      { ...FLEET_RUNS, timeout: ANSWER_MS },
    );
  },
  PATIENCE_MS,
);
