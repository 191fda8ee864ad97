import { type InstanceState, SERVICE_RUNGS, type ServiceState } from 'fleetbeat';
import { actionMachine, heartbeatMachine, instanceMachine, serviceMachine } from 'fleetbeat/machines';
import { describe, expect, test } from 'vitest';
import { type AnyStateMachine, type AnyStateNode, createActor } from 'xstate';
import type { ActionStatus } from '../../src/domain/action.ts';
import { CHARTS, entered, isLeaf, type Row, rowsOf, statesOf, tagsOf, upwards } from './chart.ts';

const EACH = CHARTS.map((machine) => [machine.id, machine] as const);

/** What a state's configuration may hold; anything else would be a behaviour that the tables do not show. */
const KEYS = new Set(['initial', 'type', 'states', 'on', 'always', 'invoke', 'tags', 'description', 'meta']);
const ROOT_KEYS = new Set([...KEYS, 'id', 'options', 'context', 'schemas']);

/** Every leaf of the instance and service charts that a word of the wire is true of. */
const INSTANCE_WORDS = {
  unknown: ['unknown'],
  absent: ['absent'],
  pending: ['pending'],
  unreachable: ['unreachable'],
  stopping: ['stopping'],
  stopped: ['stopped'],
  'shutting-down': ['shutting-down'],
  terminated: ['terminated'],
  'ssh-up': ['running.ssh-up', 'running.bootstrapped', 'running.managed'],
  bootstrapped: ['running.bootstrapped', 'running.managed'],
  managed: ['running.managed'],
} as const satisfies Record<InstanceState, readonly string[]>;

const SERVICE_WORDS = {
  unknown: ['unknown'],
  uninstalled: ['uninstalled'],
  stopped: ['stopped'],
  starting: ['starting'],
  stopping: ['stopping'],
  failing: ['failing'],
  up: ['running.up', 'running.replicating', 'running.routed'],
  replicating: ['running.replicating', 'running.routed'],
  routed: ['running.routed'],
} as const satisfies Record<ServiceState, readonly string[]>;

const ACTION_WORDS = {
  waiting: ['waiting'],
  claiming: ['claiming'],
  dispatching: ['dispatching'],
  'backing-off': ['backing-off'],
  failed: ['failed'],
  done: ['done'],
  expired: ['expired'],
  cancelled: ['cancelled'],
} as const satisfies Record<ActionStatus, readonly string[]>;

const WORDS = new Set(Object.keys({ ...INSTANCE_WORDS, ...SERVICE_WORDS, ...ACTION_WORDS }));

/** All transitions that a state has or inherits. */
const rowsAround = (state: AnyStateNode) => upwards(state).flatMap((outer) => rowsOf(outer));

/** Every state that some history leads into. */
function reached(machine: AnyStateMachine): ReadonlySet<AnyStateNode> {
  const found = new Set<AnyStateNode>(entered(machine.root));
  for (const state of found)
    for (const { target } of rowsOf(state))
      for (const next of target ? [...entered(target), ...upwards(target)] : []) found.add(next);
  return found;
}

const leavesWithTag = (machine: AnyStateMachine, tag: string): readonly string[] =>
  statesOf(machine)
    .filter((state) => isLeaf(state) && tagsOf(state).includes(tag))
    .map((state) => state.path.join('.'));

const sorted = (names: Iterable<string>): readonly string[] => [...new Set(names)].sort();

describe.each(EACH)('the %s chart', (id, machine) => {
  const states = statesOf(machine);

  test('has its name as id, a description, and a bound on eventless transitions', () => {
    expect(machine.config.id).toBe(id);
    expect(machine.config.description).toMatch(/\.$/);
    expect(machine.options.maxIterations).toBe(100);
  });

  test('begins somewhere in every state that has states', () => {
    const nowhere = states.filter((state) => state.type === 'compound' && !state.initial.target?.[0]);
    expect(nowhere.map((state) => state.id)).toEqual([]);
  });

  test('resolves every target', () => {
    const resolved = states.flatMap((state) => rowsOf(state)).flatMap(({ target }) => (target ? [target] : []));
    expect(resolved.filter((target) => !states.includes(target)).map((target) => target.id)).toEqual([]);
  });

  test('reaches every state', () => {
    const found = reached(machine);
    expect(states.filter((state) => !found.has(state)).map((state) => state.id)).toEqual([]);
  });

  test('has a way out of every state that is not final', () => {
    const stuck = states.filter(
      (state) =>
        state.type === 'atomic' &&
        !rowsAround(state).some(({ target }) => target && !entered(target).every((next) => next === state)),
    );
    expect(stuck.map((state) => state.id)).toEqual([]);
  });

  test('lets go of what is final for good', () => {
    const final = states.filter((state) => state.type === 'final');
    expect(final.flatMap((state) => rowsOf(state))).toEqual([]);
  });

  test('leaves a state that invokes an effect when that is done and when that fails', () => {
    for (const state of states)
      for (const { src } of state.invoke) {
        const ends = [`${src} done`, `${src} error`];
        const last = ends.map((end) => rowsOf(state).findLast(({ event }) => event === end));
        expect(
          last.map((row) => row?.target != null && row.guard === null),
          state.id,
        ).toEqual([true, true]);
      }
  });

  test('names every guard, chart action and effect that it uses, and uses all that it names', () => {
    const rows = states.flatMap((state) => rowsOf(state));
    expect(sorted(rows.flatMap(({ guard }) => (guard ? [guard.name] : [])))).toEqual(
      sorted(Object.keys(machine.implementations.guards)),
    );
    expect(sorted(rows.flatMap(({ actions }) => actions.map(({ name }) => name)))).toEqual(
      sorted(Object.keys(machine.implementations.actions)),
    );
    expect(sorted(states.flatMap((state) => state.invoke.map(({ src }) => String(src))))).toEqual(
      sorted(Object.keys(machine.implementations.actors)),
    );
  });

  test('has no timer, no entry or exit action, nothing that its tables do not show', () => {
    const more = states.flatMap((state) =>
      Object.keys(state.config)
        .filter((key) => !(state.parent ? KEYS : ROOT_KEYS).has(key))
        .map((key) => `${state.id}: ${key}`),
    );
    expect(more).toEqual([]);
    expect(machine.implementations.delays).toEqual({});
  });

  test('explains every state that is neither a word of the wire nor a phase of a step that is explained', () => {
    const isPhase = ({ key, parent }: AnyStateNode) =>
      (key === 'calling' || key === 'settling') && parent?.parent?.key === 'busy' && parent.description !== undefined;
    const unexplained = states.filter((state) => state.description === undefined && !WORDS.has(state.key) && !isPhase(state));
    expect(unexplained.map((state) => state.id)).toEqual([]);
  });

  test('tries the goal before the deadline and the trigger before the expiry', () => {
    const order = [
      'isClaimedElsewhere',
      'isTriggered',
      'isAtGoal',
      'rungHolds',
      'lowerRungIsLost',
      'needsAreMet',
      'isExpired',
      'isDueToClimb',
      'isDue',
      'isOverdue',
    ];
    for (const state of states) {
      const guards = rowsOf(state).flatMap(({ event, guard }) => (event === 'heartbeat' && guard ? [guard.name] : []));
      const known = guards.filter((guard) => order.includes(guard));
      expect(known, state.id).toEqual(known.toSorted((a, b) => order.indexOf(a) - order.indexOf(b)));
    }
  });
});

describe('time', () => {
  test.each([
    ['instance', instanceMachine, []],
    ['service', serviceMachine, ['busy.climbing']],
  ] as const)('leads out of every busy state of the %s chart that an actor may rest in', (_, chart, restless) => {
    const machine = chart as unknown as AnyStateMachine;
    const isPassed = ({ event, guard, target }: Row) =>
      event === 'heartbeat' && target !== null && (guard?.name === 'isOverdue' || guard?.name === 'isDue');
    const timeless = statesOf(machine).filter(
      (state) => isLeaf(state) && tagsOf(state).includes('busy') && !rowsOf(state).some(isPassed),
    );
    expect(timeless.map(({ path }) => path.slice(1).join('.'))).toEqual(restless);
  });

  test('leads out of the claim of an action; its dispatch ends with its operation, which has deadlines of its own', () => {
    const timed = Object.values(actionMachine.root.states).filter((state) =>
      rowsOf(state).some(({ event, target }) => event === 'heartbeat' && target),
    );
    expect(timed.map(({ key }) => key)).toEqual(['waiting', 'claiming', 'backing-off']);
  });

  test('does not pass in the beat itself: its read has a deadline of its own', () => {
    const events = Object.values(heartbeatMachine.root.states).flatMap((state) => rowsOf(state).map(({ event }) => event));
    expect(sorted(events)).toEqual(['always', 'apply done', 'apply error', 'beat', 'observe done', 'observe error']);
  });
});

describe('the words of the wire', () => {
  test.each(Object.entries(INSTANCE_WORDS))(
    'the tag %s is on exactly the states of an instance in which it holds',
    (word, paths) => {
      expect(leavesWithTag(instanceMachine as unknown as AnyStateMachine, word)).toEqual(paths.map((path) => `observed.${path}`));
    },
  );

  test.each(Object.entries(SERVICE_WORDS))(
    'the tag %s is on exactly the states of a service in which it holds',
    (word, paths) => {
      expect(leavesWithTag(serviceMachine as unknown as AnyStateMachine, word)).toEqual(paths.map((path) => `observed.${path}`));
    },
  );

  test('a state of an observed region is a word of the wire, or the running that its rungs share', () => {
    const strangers = [instanceMachine, serviceMachine].flatMap((machine) =>
      statesOf(machine as unknown as AnyStateMachine).filter(
        ({ path, key }) => path[0] === 'observed' && path.length > 1 && key !== 'running' && !WORDS.has(key),
      ),
    );
    expect(strangers.map((state) => state.id)).toEqual([]);
  });

  test('what runs is stable, what is on its way is transient, what nobody can rely on is neither', () => {
    const instance = instanceMachine as unknown as AnyStateMachine;
    const service = serviceMachine as unknown as AnyStateMachine;
    const keys = (machine: AnyStateMachine, tag: string) => leavesWithTag(machine, tag).map((path) => path.split('.').at(-1));
    expect(keys(instance, 'running')).toEqual(['ssh-up', 'bootstrapped', 'managed']);
    expect(keys(instance, 'stable')).toEqual(['absent', 'stopped', 'terminated', 'ssh-up', 'bootstrapped', 'managed']);
    expect(keys(instance, 'transient')).toEqual(['pending', 'stopping', 'shutting-down']);
    expect(keys(service, 'running')).toEqual(['up', 'replicating', 'routed']);
    expect(keys(service, 'stable')).toEqual(['uninstalled', 'stopped', 'up', 'replicating', 'routed']);
    expect(keys(service, 'transient')).toEqual(['starting', 'stopping']);
  });

  test('the states of an action are the statuses of its record', () => {
    expect(sorted(Object.keys(actionMachine.root.states))).toEqual(sorted(Object.keys(ACTION_WORDS)));
  });

  test('a service has a step for every rung of every ladder', () => {
    const lacking = statesOf(serviceMachine as unknown as AnyStateMachine)
      .flatMap((state) => rowsOf(state))
      .flatMap(({ guard }) => (guard?.name === 'lacks' ? [guard.params] : []));
    expect(lacking).toEqual([...SERVICE_RUNGS]);
  });
});

test('an entity chart that nobody gave an input, as one that is merely looked at, begins all the same', () => {
  for (const machine of [instanceMachine, serviceMachine, heartbeatMachine])
    expect(createActor(machine as unknown as AnyStateMachine).getSnapshot().status).toBe('active');
});
