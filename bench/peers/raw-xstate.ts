import type { InstanceFacts, Reading } from 'fleetbeat';
import { type Actor, assign, createActor, setup } from 'xstate';

interface Context {
  readonly id: string;
  readonly facts: InstanceFacts | null;
  readonly wasUp: boolean;
  readonly sshMisses: number;
}

type State =
  | 'unknown'
  | 'pending'
  | 'unreachable'
  | 'stopping'
  | 'stopped'
  | 'shutting-down'
  | 'terminated'
  | 'ssh-up'
  | 'bootstrapped'
  | 'managed';

interface Heartbeat {
  readonly type: 'heartbeat';
  readonly facts: InstanceFacts;
}

const TOLERANCE = 2;

/**
 * The states of the library's instance chart, driven by facts alone. Unchanged facts take the first branch: the state is not left,
 * but the facts are recorded, since how fresh it is must be known, and a chart has nowhere else to keep that.
 */
const instance = setup({
  types: { context: {} as Context, events: {} as Heartbeat, input: {} as { readonly id: string } },
  guards: {
    isUnchanged: ({ context: { facts, sshMisses }, event }) => facts !== null && sshMisses === 0 && isSame(facts, event.facts),
    isDoubted: ({ context, event: { facts } }) =>
      facts.power?.state === 'running' && facts.ssh !== 'up' && context.wasUp && context.sshMisses + 1 < TOLERANCE,
    reports: ({ context, event }, state: State) => stateOf(event.facts, context.wasUp) === state,
  },
  actions: {
    record: assign({
      facts: ({ event }) => event.facts,
      wasUp: ({ context, event: { facts } }) => facts.ssh === 'up' || (facts.power?.state === 'running' && context.wasUp),
      sshMisses: ({ context, event: { facts } }) =>
        facts.power?.state === 'running' && facts.ssh !== 'up' ? context.sshMisses + 1 : 0,
    }),
  },
}).createMachine({
  id: 'instance',
  context: ({ input }) => ({ id: input.id, facts: null, wasUp: false, sshMisses: 0 }),
  initial: 'unknown',
  on: {
    heartbeat: [
      { guard: 'isUnchanged', actions: 'record' },
      { guard: 'isDoubted', actions: 'record' },
      { guard: { type: 'reports', params: 'managed' }, target: '.running.managed', actions: 'record' },
      { guard: { type: 'reports', params: 'bootstrapped' }, target: '.running.bootstrapped', actions: 'record' },
      { guard: { type: 'reports', params: 'ssh-up' }, target: '.running.ssh-up', actions: 'record' },
      { guard: { type: 'reports', params: 'stopped' }, target: '.stopped', actions: 'record' },
      { guard: { type: 'reports', params: 'pending' }, target: '.pending', actions: 'record' },
      { guard: { type: 'reports', params: 'unreachable' }, target: '.unreachable', actions: 'record' },
      { guard: { type: 'reports', params: 'stopping' }, target: '.stopping', actions: 'record' },
      { guard: { type: 'reports', params: 'shutting-down' }, target: '.shutting-down', actions: 'record' },
      { guard: { type: 'reports', params: 'terminated' }, target: '.terminated', actions: 'record' },
      { target: '.unknown', actions: 'record' },
    ],
  },
  states: {
    unknown: {},
    pending: { tags: 'transient' },
    unreachable: {},
    stopping: { tags: 'transient' },
    stopped: { tags: 'stable' },
    'shutting-down': { tags: 'transient' },
    terminated: { tags: 'stable' },
    running: {
      initial: 'ssh-up',
      tags: 'running',
      states: { 'ssh-up': {}, bootstrapped: {}, managed: { tags: 'stable' } },
    },
  },
});

/** XState as its tutorials have it: one root actor per instance, every observation sent to every actor. */
export interface RawXState {
  beat(reading: Reading<InstanceFacts>): void;
  stop(): void;
}

export function createRawXState(): RawXState {
  const actors = new Map<string, Actor<typeof instance>>();
  return {
    beat(reading) {
      for (const facts of reading.items) {
        const id = facts.id ?? '';
        let actor = actors.get(id);
        if (actor === undefined) {
          actor = createActor(instance, { input: { id } });
          actors.set(id, actor);
          actor.start();
        }
        actor.send({ type: 'heartbeat', facts });
      }
    },
    stop() {
      for (const actor of actors.values()) actor.stop();
      actors.clear();
    },
  };
}

const isSame = (a: InstanceFacts, b: InstanceFacts): boolean =>
  a.ip === b.ip &&
  a.power?.state === b.power?.state &&
  a.ssh === b.ssh &&
  a.binaries === b.binaries &&
  a.agent === b.agent &&
  a.bootId === b.bootId;

function stateOf(facts: InstanceFacts, wasUp: boolean): State {
  const power = facts.power?.state ?? 'unknown';
  if (power !== 'running') return power;
  if (facts.ssh !== 'up') return wasUp ? 'unreachable' : 'pending';
  if (facts.binaries == null) return 'ssh-up';
  return facts.agent === true ? 'managed' : 'bootstrapped';
}
