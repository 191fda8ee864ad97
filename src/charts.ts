import {
  type ActorLogicFrom,
  type AnyActorRef,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  type InspectionEvent,
} from 'xstate';

/** A chart that nobody watches and that does nothing: enough to go on from. */
interface Row {
  readonly value: unknown;
  readonly context: unknown;
}

/** A chart as a running XState actor. */
interface Live {
  readonly actor: AnyActorRef;
  /** How many hold on to it; a held actor is never made a row. */
  pins: number;
  snapshot: AnyMachineSnapshot;
  /** Its key, and the keys that mean it too. */
  readonly names: string[];
}

/** What a chart was just before and just after an event. */
export interface Step {
  readonly before: AnyMachineSnapshot | null;
  readonly after: AnyMachineSnapshot;
}

/** One chart per key: an actor while it is busy or watched, in large fleets a row while it is quiet. */
export interface Charts<K extends string> {
  readonly size: number;
  has(key: K): boolean;
  /** Sends an event; the chart is made where there is none. */
  deliver(key: K, event: { readonly type: string }): void;
  /** The live actor of a key, held until the release. */
  hold(key: K): AnyActorRef;
  release(key: K): void;
  /** The last snapshot, without making a row live. */
  peek(key: K): { readonly value: unknown; readonly context: unknown } | undefined;
  /** Puts a chart where it stood in an earlier life. */
  restore(key: K, value: unknown, context: unknown): void;
  /** Makes `alias` another name of `key`. */
  alias(alias: K, key: K): void;
  /** Ends a chart and forgets it. */
  drop(key: K): void;
  /** The keys whose actors carry the tag `busy`. */
  busy(): readonly K[];
  /** Makes rows of quiet actors where there are too many. */
  settle(): void;
  stop(): void;
}

export function createCharts<K extends string>(options: {
  readonly machine: AnyStateMachine;
  /** Any input that the machine takes; only the initial state is read from it. */
  readonly sampleInput: unknown;
  /** The context of a new chart. */
  readonly contextOf: (key: K) => unknown;
  /** Beyond so many charts, quiet ones are rows. */
  readonly liveActors: number;
  readonly inspect: ((event: InspectionEvent) => void) | undefined;
  /** Told after every event that changed a chart. */
  readonly onStep?: (key: K, step: Step) => void;
  /** A chart failed; it is gone, and made anew when next needed. */
  readonly onFault: (key: K, error: unknown) => void;
}): Charts<K> {
  const { machine } = options;
  const charts = new Map<K, Row | Live>();
  const lives = new Set<Live>();
  const busy = new Set<K>();
  const inert = createActor(machine as ActorLogicFrom<AnyStateMachine>, { input: options.sampleInput as never });
  const initial = inert.getSnapshot() as AnyMachineSnapshot;
  const scope = inertScope(inert);
  /** One snapshot per value: a row needs no more than that and its context. */
  const templates = new Map<string, AnyMachineSnapshot>();

  function snapshotOf(row: Row): AnyMachineSnapshot {
    const text = JSON.stringify(row.value);
    let template = templates.get(text);
    if (!template) {
      template = machine.resolveState({ value: row.value as never, context: {} }) as AnyMachineSnapshot;
      templates.set(text, template);
    }
    return { ...template, context: row.context } as AnyMachineSnapshot;
  }

  function rowOf(snapshot: AnyMachineSnapshot): Row {
    const text = JSON.stringify(snapshot.value);
    if (!templates.has(text))
      templates.set(text, machine.resolveState({ value: snapshot.value, context: {} }) as AnyMachineSnapshot);
    return { value: templates.get(text)?.value, context: snapshot.context };
  }

  function wake(key: K, row: Row): Live {
    const children = effectsOf(snapshotOf(row), inert);
    const snapshot = { status: 'active', value: row.value, context: row.context, children, historyValue: {}, tags: [] };
    const actor = createActor(machine as ActorLogicFrom<AnyStateMachine>, {
      id: key,
      snapshot: snapshot as never,
      ...(options.inspect ? { inspect: options.inspect } : {}),
    });
    const live: Live = { actor, pins: 0, snapshot: actor.getSnapshot() as AnyMachineSnapshot, names: [key] };
    actor.subscribe({
      next: (after) => step(live, after as AnyMachineSnapshot),
      error: (error) => fault(live, error),
    });
    charts.set(key, live);
    lives.add(live);
    if (live.snapshot.hasTag('busy')) busy.add(key);
    actor.start();
    return live;
  }

  function step(live: Live, after: AnyMachineSnapshot): void {
    const before = live.snapshot;
    if (before === after) return;
    live.snapshot = after;
    if (!lives.has(live)) return;
    const key = nameOf(live);
    if (after.hasTag('busy')) busy.add(key);
    else busy.delete(key);
    options.onStep?.(key, { before, after });
  }

  function fault(live: Live, error: unknown): void {
    if (!lives.has(live)) return;
    forget(live);
    options.onFault(nameOf(live), error);
  }

  function forget(live: Live): void {
    for (const name of live.names) charts.delete(name as K);
    lives.delete(live);
    busy.delete(nameOf(live));
  }

  const nameOf = (live: Live): K => live.names[0] as K;

  const isLive = (chart: Row | Live): chart is Live => 'actor' in chart;

  function chartOf(key: K): Row | Live {
    const known = charts.get(key);
    if (known) return known;
    const row: Row = { value: initial.value, context: options.contextOf(key) };
    if (charts.size < options.liveActors) return wake(key, row);
    charts.set(key, row);
    return row;
  }

  function awake(key: K): Live {
    const chart = chartOf(key);
    return isLive(chart) ? chart : wake(key, chart);
  }

  return {
    get size() {
      return charts.size;
    },
    has: (key) => charts.has(key),
    deliver(key, event) {
      const chart = chartOf(key);
      if (isLive(chart)) {
        if (chart.snapshot.status === 'active') chart.actor.send(event);
        return;
      }
      const before = snapshotOf(chart);
      try {
        const after = machine.transition(before, event, scope) as AnyMachineSnapshot;
        if (after === before) return;
        if (hasEffects(after)) {
          wake(key, chart).actor.send(event);
          return;
        }
        charts.set(key, rowOf(after));
        options.onStep?.(key, { before, after });
      } catch (error) {
        charts.delete(key);
        options.onFault(key, error);
      }
    },
    hold(key) {
      const live = awake(key);
      live.pins++;
      return live.actor;
    },
    release(key) {
      const chart = charts.get(key);
      if (chart && isLive(chart) && chart.pins > 0) chart.pins--;
    },
    peek(key) {
      const chart = charts.get(key);
      return chart && isLive(chart) ? chart.snapshot : chart;
    },
    restore(key, value, context) {
      this.drop(key);
      wake(key, { value, context });
    },
    alias(alias, key) {
      const live = awake(key);
      live.pins++;
      live.names.push(alias);
      charts.set(alias, live);
    },
    drop(key) {
      const chart = charts.get(key);
      charts.delete(key);
      if (!chart || !isLive(chart)) return;
      forget(chart);
      chart.actor.stop();
    },
    busy: () => [...busy],
    settle() {
      if (charts.size <= options.liveActors) return;
      for (const live of lives) {
        if (live.pins > 0 || live.snapshot.hasTag('busy')) continue;
        lives.delete(live);
        charts.set(nameOf(live), rowOf(live.snapshot));
        live.actor.stop();
      }
    },
    stop() {
      for (const live of lives) live.actor.stop();
      charts.clear();
      lives.clear();
      busy.clear();
    },
  };
}

/** A row has no actors: a chart that enters a state with an effect must be live. */
const hasEffects = ({ _nodes }: AnyMachineSnapshot): boolean => _nodes.some(({ invoke }) => invoke.length > 0);

/** The effects of a state, as a saved snapshot holds them: whoever goes on from there starts them again. */
function effectsOf(snapshot: AnyMachineSnapshot, self: AnyActorRef): Record<string, unknown> {
  const asked = { context: snapshot.context, event: { type: 'xstate.init' }, self };
  return Object.fromEntries(
    snapshot._nodes
      .flatMap(({ invoke }) => invoke)
      .map(({ id, src, input }) => [
        id,
        { src, snapshot: { status: 'active', input: typeof input === 'function' ? input(asked as never) : input } },
      ]),
  );
}

type Scope = Parameters<AnyStateMachine['transition']>[2];

/** The scope of a transition that runs no effect: what a quiet chart would emit is nobody's business. */
function inertScope(self: AnyActorRef): Scope {
  const nothing = () => {};
  const scope = { self, id: self.id, sessionId: self.sessionId, system: self.system, logger: nothing, defer: nothing };
  return { ...scope, emit: nothing, stopChild: nothing, actionExecutor: nothing } as unknown as Scope;
}
