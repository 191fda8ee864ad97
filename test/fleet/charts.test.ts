import { asInstant, asToken, type EntityKey, type InstanceState, instanceKey, type View } from 'fleetbeat';
import { type InstanceContext, instanceMachine, type PerformInput, type PerformOutput } from 'fleetbeat/machines';
import { describe, expect, test } from 'vitest';
import type { AnyStateMachine } from 'xstate';
import { type Charts, createCharts } from '../../src/charts.ts';
import { signalOf } from '../../src/stop.ts';
import { instanceView, START } from '../machines/instance-stage.ts';
import { handmade, LIMITS, pathOf } from '../machines/stage.ts';
import { turns } from '../support/turns.ts';

const [A, B, C] = ['i-a', 'i-b', 'i-c'].map((id) => instanceKey('cloud', id)) as [EntityKey, EntityKey, EntityKey];

const heartbeat = (now: number, state: InstanceState, overrides: Partial<View> = {}) => ({
  type: 'heartbeat',
  now: asInstant(now),
  fresh: true,
  view: instanceView(state, { readAt: asInstant(now), ...overrides }),
});

const start = (now: number) => ({ type: 'start', now: asInstant(now), token: asToken('A'), do: START, begun: null });

/** A heartbeat that no chart can read: its guards throw. */
const UNREADABLE = { type: 'heartbeat', now: asInstant(0), fresh: true } as const;

const newContext = (key: EntityKey): InstanceContext => ({
  key,
  limits: LIMITS,
  observed: { state: 'unknown', bootId: null, gone: false, readAt: null },
  operation: null,
});

/** Charts of instances: rows, or as many actors as an inspector is to see. */
function stage(liveActors: number) {
  const perform = handmade<PerformInput, PerformOutput>();
  const steps: string[] = [];
  const faults: [EntityKey, string][] = [];
  const charts = createCharts<EntityKey>({
    machine: instanceMachine as unknown as AnyStateMachine,
    effects: { perform: ({ input, stop }) => perform.effect({ input, signal: signalOf(stop) }) },
    contextOf: newContext,
    liveActors,
    inspect: liveActors > 0 ? () => {} : undefined,
    onStep: (key, { before, after }) => steps.push(`${key}: ${pathOf(before?.value)} → ${pathOf(after.value)}`),
    onFault: (key, error) => faults.push([key, String(error)]),
  });
  return { charts, perform, steps, faults };
}

const standing = (charts: Charts<EntityKey>, key: EntityKey) => {
  const chart = charts.peek(key);
  return chart && { value: chart.value, context: chart.context };
};

const observedOf = (charts: Charts<EntityKey>, key: EntityKey): unknown =>
  (charts.peek(key)?.value as { readonly observed?: unknown } | undefined)?.observed;

describe('rows and actors', () => {
  test('come to the same by the same heartbeats, and tell of the same steps', () => {
    const beats: readonly (readonly [EntityKey, ReturnType<typeof heartbeat>])[] = [
      [A, heartbeat(1000, 'stopped', { mark: 'boot-1' })],
      [B, heartbeat(1000, 'managed')],
      [A, heartbeat(2000, 'pending')],
      [C, heartbeat(2000, 'unknown')],
      [B, heartbeat(3000, 'absent', { gone: true })],
      [A, heartbeat(3000, 'ssh-up', { mark: 'boot-2' })],
      [A, heartbeat(4000, 'bootstrapped', { mark: 'boot-2' })],
      [B, heartbeat(4000, 'managed')],
    ];
    const [rows, actors] = [stage(0), stage(1000)];
    for (const { charts } of [rows, actors]) for (const [key, beat] of beats) charts.deliver(key, beat);
    for (const key of [A, B, C]) expect(standing(rows.charts, key)).toEqual(standing(actors.charts, key));
    expect(observedOf(rows.charts, A)).toEqual({ running: 'bootstrapped' });
    expect(rows.steps).toEqual(actors.steps);
    expect(rows.steps).toHaveLength(8);
  });

  test('come to the same through a whole operation, settled after every event', async () => {
    const end = async (liveActors: number) => {
      const { charts, perform } = stage(liveActors);
      charts.deliver(A, heartbeat(1000, 'stopped'));
      charts.settle();
      const actor = charts.hold(A);
      const heard: string[] = [];
      actor.on('*', ({ type }: { readonly type: string }) => heard.push(type));
      actor.send(start(1000));
      charts.release(A);
      charts.settle();
      await perform.answer({ acceptedAt: asInstant(1500) });
      charts.settle();
      charts.deliver(A, heartbeat(2000, 'pending'));
      charts.settle();
      charts.deliver(A, heartbeat(3000, 'ssh-up'));
      charts.settle();
      charts.deliver(A, heartbeat(4000, 'managed'));
      return { ...standing(charts, A), heard };
    };
    const [rows, actors] = [await end(0), await end(1000)];
    expect(rows).toEqual(actors);
    expect(rows.heard).toEqual(['succeeded']);
  });

  test('are counted and known by their keys', () => {
    const { charts } = stage(1);
    for (const key of [A, B]) charts.deliver(key, heartbeat(1000, 'stopped'));
    expect(charts.size).toBe(2);
    expect([A, B, C].map((key) => charts.has(key))).toEqual([true, true, false]);
    expect(charts.peek(C)).toBeUndefined();
  });

  test('tell of nothing where an event changes nothing', () => {
    for (const liveActors of [0, 1000]) {
      const { charts, steps } = stage(liveActors);
      charts.deliver(A, { type: 'cancel' });
      expect(steps).toEqual([]);
    }
  });
});

describe('an actor that is held', () => {
  test('goes on from where its row stood', () => {
    const { charts } = stage(0);
    charts.deliver(A, heartbeat(1000, 'managed', { mark: 'boot-1' }));
    const snapshot = charts.hold(A).getSnapshot();
    expect(snapshot.value.observed).toEqual({ running: 'managed' });
    expect(snapshot.hasTag('running')).toBe(true);
    expect(snapshot.context.observed.bootId).toBe('boot-1');
  });

  test('is one actor for all who hold it, and hears what is delivered', () => {
    const { charts } = stage(0);
    const actor = charts.hold(A);
    expect(charts.hold(A)).toBe(actor);
    charts.deliver(A, heartbeat(1000, 'stopped'));
    expect(actor.getSnapshot().value.observed).toBe('stopped');
  });

  test('is there before anything was heard of it', () => {
    const { charts } = stage(1000);
    expect(charts.hold(A).getSnapshot().value.observed).toBe('unknown');
  });

  test('stays an actor until all have released it', () => {
    const { charts } = stage(0);
    const actor = charts.hold(A);
    charts.hold(A);
    charts.settle();
    charts.release(A);
    charts.settle();
    expect(charts.hold(A)).toBe(actor);
    charts.release(A);
    charts.release(A);
    charts.settle();
    expect(actor.getSnapshot().status).toBe('stopped');
  });
});

describe('settling', () => {
  test('makes rows of quiet actors only, and forgets nothing', async () => {
    const { charts, perform } = stage(0);
    const [quiet, busy] = [charts.hold(A), charts.hold(B)];
    for (const key of [A, B]) charts.deliver(key, heartbeat(1000, 'stopped'));
    busy.send(start(1000));
    for (const key of [A, B]) charts.release(key);
    charts.settle();
    expect([quiet, busy].map((actor) => actor.getSnapshot().status)).toEqual(['stopped', 'active']);
    expect(observedOf(charts, A)).toBe('stopped');
    await perform.refuse({ code: 'ER0205', message: 'no', retryable: false });
    charts.settle();
    expect(busy.getSnapshot().status).toBe('stopped');
    expect(charts.hold(B).getSnapshot().hasTag('attention')).toBe(true);
  });

  test('leaves all as they are where there are few', () => {
    const { charts } = stage(2);
    const actors = [A, B].map((key) => charts.hold(key));
    for (const key of [A, B]) charts.release(key);
    charts.settle();
    expect(actors.map((actor) => actor.getSnapshot().status)).toEqual(['active', 'active']);
  });
});

describe('who is busy', () => {
  test('is known from the first call to the goal, settled or not', async () => {
    const { charts, perform } = stage(0);
    charts.deliver(A, heartbeat(1000, 'stopped'));
    charts.deliver(B, heartbeat(1000, 'stopped'));
    charts.hold(A).send(start(1000));
    expect(charts.busy()).toEqual([A]);
    charts.release(A);
    charts.settle();
    await perform.answer({ acceptedAt: asInstant(1000) });
    expect(charts.busy()).toEqual([A]);
    charts.deliver(A, heartbeat(2000, 'ssh-up'));
    expect(charts.busy()).toEqual([]);
  });

  test('is known of a chart that is put back where it was busy', () => {
    const { charts } = stage(0);
    const operation = { open: { busy: 'backing-off' } };
    charts.restore(A, { observed: 'stopped', operation }, newContext(A));
    expect(charts.busy()).toEqual([A]);
    charts.drop(A);
    expect(charts.busy()).toEqual([]);
  });
});

describe('a calling state', () => {
  test('begins its effect, be it of a row or of an actor', async () => {
    for (const liveActors of [0, 1000]) {
      const { charts, perform } = stage(liveActors);
      charts.deliver(A, heartbeat(1000, 'stopped'));
      charts.deliver(A, start(1000));
      expect(perform.calls).toHaveLength(1);
      expect(charts.busy()).toEqual([A]);
      await perform.answer({ acceptedAt: asInstant(1000) });
      charts.deliver(A, heartbeat(2000, 'ssh-up'));
      expect(standing(charts, A)?.context).toMatchObject({ operation: null });
    }
  });

  test('that a chart is put back into begins its effect anew', () => {
    for (const liveActors of [0, 1000]) {
      const { charts, perform } = stage(liveActors);
      const operation = {
        do: START,
        tokens: [asToken('A')],
        token: asToken('A'),
        mark: null,
        failures: 1,
        seenAt: asInstant(1000),
        dueAt: asInstant(11_000),
        acceptedAt: null,
        failure: null,
      };
      const value = { observed: 'stopped', operation: { open: { busy: 'calling' } } };
      charts.restore(A, value, { ...newContext(A), operation } satisfies InstanceContext);
      expect(perform.latest().input).toEqual({ key: A, do: START, token: 'A', by: 'A', attempt: 2 });
    }
  });
});

describe('an effect that a row has begun', () => {
  /** A row that calls. */
  const calling = () => {
    const { charts, perform, ...rest } = stage(0);
    charts.deliver(A, heartbeat(1000, 'stopped'));
    charts.deliver(A, start(1000));
    return { charts, perform, ...rest };
  };

  test('goes on, called once, when the row becomes an actor', async () => {
    const { charts, perform } = calling();
    const actor = charts.hold(A);
    expect(perform.calls).toHaveLength(1);
    await perform.answer({ acceptedAt: asInstant(1000) });
    expect(pathOf(actor.getSnapshot().value.operation)).toBe('open.busy.settling');
  });

  test('ends with the actor that waits for it', () => {
    const { charts, perform } = calling();
    charts.hold(A);
    charts.drop(A);
    expect(perform.latest().signal.aborted).toBe(true);
  });

  test('ends when its state is left, and its answer counts for nothing then', async () => {
    const { charts, perform } = calling();
    charts.deliver(A, { type: 'cancel', now: asInstant(2000), token: asToken('A'), reason: 'ER0217' } as { type: string });
    expect(perform.latest().signal.aborted).toBe(true);
    await perform.answer({ acceptedAt: asInstant(1000) });
    expect(standing(charts, A)?.context).toMatchObject({ operation: null });
    expect(charts.busy()).toEqual([]);
  });

  test('that fails is what the chart hears', async () => {
    const { charts, perform } = calling();
    await perform.refuse({ code: 'ER0221', message: 'no', retryable: true });
    expect(standing(charts, A)?.context).toMatchObject({ operation: { failure: { code: 'ER0221' } } });
  });
});

describe('whoever listens to a chart', () => {
  test('hears what it emits and that it has moved, be it a row or an actor', async () => {
    for (const liveActors of [0, 1000]) {
      const { charts, perform } = stage(liveActors);
      const heard: string[] = [];
      charts.deliver(A, heartbeat(1000, 'stopped'));
      const end = charts.listen(A, { emitted: ({ type }) => heard.push(type), changed: () => heard.push('changed') });
      charts.deliver(A, start(1000));
      await perform.answer({ acceptedAt: asInstant(1500) });
      charts.deliver(A, heartbeat(2000, 'ssh-up'));
      end();
      charts.deliver(A, heartbeat(3000, 'managed'));
      expect(heard).toEqual(['changed', 'changed', 'succeeded', 'changed']);
    }
  });

  test('hears that it failed', () => {
    for (const liveActors of [0, 1000]) {
      const { charts } = stage(liveActors);
      const heard: string[] = [];
      charts.deliver(A, heartbeat(1000, 'stopped'));
      charts.listen(A, { failed: () => heard.push('failed') });
      charts.deliver(A, UNREADABLE);
      expect(heard).toEqual(['failed']);
    }
  });
});

test('a chart takes an event where it would do anything with it', () => {
  for (const liveActors of [0, 1000]) {
    const { charts } = stage(liveActors);
    charts.deliver(A, heartbeat(1000, 'stopped'));
    expect(charts.takes(A, start(1000))).toBe(true);
    expect(charts.takes(A, { type: 'cancel' })).toBe(false);
    charts.deliver(A, heartbeat(2000, 'absent', { gone: true }));
    expect(charts.takes(A, start(2000))).toBe(false);
  }
});

describe('another name', () => {
  test('means the same chart', () => {
    const { charts } = stage(0);
    charts.deliver(A, heartbeat(1000, 'stopped'));
    charts.alias(B, A);
    charts.settle();
    charts.deliver(B, heartbeat(2000, 'ssh-up'));
    expect(standing(charts, A)).toEqual(standing(charts, B));
    expect(observedOf(charts, A)).toEqual({ running: 'ssh-up' });
    expect(charts.hold(A)).toBe(charts.hold(B));
  });

  test('goes with its chart, whichever name is dropped', () => {
    for (const name of [A, B]) {
      const { charts } = stage(0);
      charts.alias(B, A);
      const actor = charts.hold(A);
      charts.drop(name);
      expect([charts.has(A), charts.has(B)]).toEqual([false, false]);
      expect(actor.getSnapshot().status).toBe('stopped');
    }
  });
});

describe('a chart that is dropped', () => {
  test('ends its effect and begins anew when next needed', () => {
    for (const liveActors of [0, 1000]) {
      const { charts, perform } = stage(liveActors);
      charts.deliver(A, heartbeat(1000, 'stopped'));
      charts.hold(A).send(start(1000));
      charts.drop(A);
      expect(perform.latest().signal.aborted).toBe(true);
      expect(charts.has(A)).toBe(false);
      charts.deliver(A, heartbeat(2000, 'pending'));
      expect(standing(charts, A)?.context).toMatchObject({ observed: { state: 'pending' }, operation: null });
    }
  });

  test('tells of no step any more', () => {
    const { charts, steps } = stage(1000);
    charts.hold(A).send(start(1000));
    const before = [...steps];
    charts.drop(A);
    expect(steps).toEqual(before);
  });
});

describe('a chart that faults', () => {
  test('is reported, and made anew when next needed', () => {
    for (const liveActors of [0, 1000]) {
      const { charts, faults } = stage(liveActors);
      for (const key of [A, B]) charts.deliver(key, heartbeat(1000, 'stopped'));
      charts.deliver(A, UNREADABLE);
      expect(faults).toEqual([[A, expect.stringMatching(/guard '?reports'?/)]]);
      expect(charts.has(A)).toBe(false);
      charts.deliver(A, heartbeat(2000, 'managed'));
      expect(observedOf(charts, A)).toEqual({ running: 'managed' });
    }
  });

  test('takes no other along', () => {
    const { charts } = stage(1000);
    for (const key of [A, B]) charts.deliver(key, heartbeat(1000, 'stopped'));
    charts.deliver(A, UNREADABLE);
    charts.deliver(B, heartbeat(2000, 'managed'));
    expect(observedOf(charts, B)).toEqual({ running: 'managed' });
  });

  test('is not busy any more, and its actor has failed', () => {
    const { charts } = stage(1000);
    const actor = charts.hold(A);
    actor.send(start(1000));
    charts.deliver(A, UNREADABLE);
    expect(charts.busy()).toEqual([]);
    expect(actor.getSnapshot().status).toBe('error');
    expect(charts.hold(A)).not.toBe(actor);
  });
});

test('a chart that is put back stands where it stood', () => {
  const { charts } = stage(0);
  const context = { ...newContext(A), observed: { state: 'managed', bootId: 'boot-1', gone: false, readAt: asInstant(1) } };
  charts.restore(A, { observed: { running: 'managed' }, operation: { open: { available: 'failed' } } }, context);
  expect(charts.hold(A).getSnapshot().hasTag('attention')).toBe(true);
  expect(standing(charts, A)?.context).toEqual(context);
});

test('charts that are stopped end every effect and are forgotten', async () => {
  const { charts, perform } = stage(1000);
  charts.hold(A).send(start(1000));
  charts.stop();
  await turns(1);
  expect(perform.latest().signal.aborted).toBe(true);
  expect([charts.size, charts.busy()]).toEqual([0, []]);
});
