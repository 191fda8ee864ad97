import {
  type AnyActorRef,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  type EventObject,
  fromPromise,
  type InspectionEvent,
} from 'xstate';
import { compiled, type Move, type Standing } from './charts/compiled.ts';
import { createEffects, type EffectFunction, type Running } from './charts/effects.ts';
import { halt, stopOf } from './stop.ts';

/** A chart as a running XState actor. */
interface Live {
  readonly actor: AnyActorRef;
  /** How many hold on to it; a held actor is never made a row. */
  pins: number;
  snapshot: AnyMachineSnapshot;
}

/** Where a chart is and what it knows. */
export interface Place {
  readonly value: unknown;
  readonly context: unknown;
}

/** Where a chart was just before and is just after an event. */
export interface Step {
  readonly before: Place;
  readonly after: Place;
}

/** Whoever waits for a chart. */
export interface Listener {
  emitted?(event: EventObject): void;
  /** It has moved, or is another one now. */
  changed?(): void;
  /** It failed and is gone. */
  failed?(): void;
}

/**
 * One chart per key. It is a row of a table, and costs little, until somebody holds it as an actor or an inspector watches:
 * the same machine either way, with the same effects, which go on when a row becomes an actor.
 */
export interface Charts<K extends string> {
  readonly size: number;
  has(key: K): boolean;
  /** Sends an event; the chart is made where there is none. */
  deliver(key: K, event: EventObject): void;
  /** Whether the chart would take an event. */
  takes(key: K, event: EventObject): boolean;
  /** Whether the chart has come to its end. */
  isOver(key: K): boolean;
  hasTag(key: K, tag: string): boolean;
  /** @returns a function that ends this */
  listen(key: K, listener: Listener): () => void;
  /** The live actor of a key, held until the release. */
  hold(key: K): AnyActorRef;
  release(key: K): void;
  /** Where a chart stands, without making a row live. */
  peek(key: K): Place | undefined;
  /** Puts a chart where it stood in an earlier life. */
  restore(key: K, value: unknown, context: unknown): void;
  /** Makes `alias` another name of `key`. */
  alias(alias: K, key: K): void;
  /** Ends a chart and forgets it. */
  drop(key: K): void;
  /** The keys whose charts carry the tag `busy`. */
  busy(): readonly K[];
  /** Makes rows of actors that are quiet and that nobody holds. */
  settle(): void;
  stop(): void;
}

export function createCharts<K extends string>(options: {
  readonly machine: AnyStateMachine;
  /** What the machine invokes, by name. */
  readonly effects: Readonly<Record<string, EffectFunction<never, unknown>>>;
  /** The context of a new chart. */
  readonly contextOf: (key: K) => unknown;
  /** Where an inspector watches, so many charts are actors all the time. */
  readonly liveActors: number;
  readonly inspect: ((event: InspectionEvent) => void) | undefined;
  /** Told after every event that changed a chart. */
  readonly onStep?: (key: K, step: Step) => void;
  /** A chart failed; it is gone, and made anew when next needed. */
  readonly onFault: (key: K, error: unknown) => void;
}): Charts<K> {
  const chart = compiled(options.machine);
  const liveActors = options.inspect ? options.liveActors : 0;
  const charts = new Map<K, Standing | Live>();
  const lives = new Map<K, Live>();
  const aliases = new Map<K, K>();
  const busy = new Set<K>();
  const listeners = new Map<K, readonly Listener[]>();
  /** The rows that deal with an event, each within the one before it, and what has come to them meanwhile. */
  const dealing: { readonly key: K; readonly events: EventObject[] }[] = [];
  const effects = createEffects<K>(options.effects, (key, event) => send(key, event));
  /** What runs for the row that is being made an actor just now. */
  let handedOver: readonly Running[] = [];
  let machine: AnyStateMachine | undefined;

  const keyOf = (name: K): K => aliases.get(name) ?? name;

  function chartOf(key: K): Standing | Live {
    const known = charts.get(key);
    if (known) return known;
    const row: Standing = { configuration: chart.initial, context: options.contextOf(key) };
    if (charts.size < liveActors) return wake(key, row);
    charts.set(key, row);
    return row;
  }

  function send(key: K, event: EventObject): void {
    const found = chartOf(key);
    if (isLive(found)) {
      if (found.snapshot.status === 'active') found.actor.send(event);
      return;
    }
    const waiting = eventsFor(key);
    if (waiting) {
      waiting.push(event);
      return;
    }
    const events: EventObject[] = [];
    dealing.push({ key, events });
    try {
      moveRow(key, found, event);
      for (let next = events.shift(); next; next = events.shift()) {
        const row = chartOf(key);
        if (isLive(row)) row.actor.send(next);
        else moveRow(key, row, next);
      }
    } finally {
      dealing.pop();
    }
  }

  const eventsFor = (key: K): EventObject[] | undefined =>
    dealing.length === 0 ? undefined : dealing.find((each) => each.key === key)?.events;

  function moveRow(key: K, row: Standing, event: EventObject): void {
    let move: Move | null;
    try {
      move = chart.move(row, event);
    } catch (error) {
      fault(key, error);
      return;
    }
    if (!move) return;
    if (move.begun.length > 0 && options.inspect) {
      wake(key, row).actor.send(event);
      return;
    }
    const { to, stopped, emitted, begun } = move;
    charts.set(key, to);
    if (stopped.length > 0) for (const id of stopped) effects.stop(key, id);
    if (emitted.length > 0) for (const told of emitted) tell(key, (listener) => listener.emitted?.(told));
    if (charts.get(key) !== to) return;
    if (begun.length > 0) for (const effect of begun) effects.begin(key, effect);
    if (to.configuration.isOver) effects.stopAll(key);
    if (to.configuration !== row.configuration) noteBusy(key, to.configuration.tags.has('busy'));
    options.onStep?.(key, { before: placeOf(row), after: placeOf(to) });
    tell(key, hasChanged);
  }

  function noteBusy(key: K, isBusy: boolean): void {
    if (isBusy) busy.add(key);
    else busy.delete(key);
  }

  function tell(key: K, about: (listener: Listener) => void): void {
    listeners.get(key)?.forEach(about);
  }

  /** The machine for actors. What a row has begun already is not begun again, but waited for. */
  function machineOfActors(): AnyStateMachine {
    machine ??= options.machine.provide({
      actors: Object.fromEntries(
        Object.entries(options.effects).map(([src, effect]) => [
          src,
          fromPromise<unknown, never>(({ input, signal, self }) => {
            const run = handedOver.find(({ id }) => id === self.id);
            if (!run) return effect({ input, stop: stopOf(signal) });
            signal.addEventListener('abort', () => halt(run.stop), { once: true });
            return run.promise;
          }),
        ]),
      ),
    } as never) as AnyStateMachine;
    return machine;
  }

  function wake(key: K, row: Standing): Live {
    const { configuration, context } = row;
    const children = Object.fromEntries(
      chart.effectsOf(row).map(({ id, src, input }) => [id, { src, snapshot: { status: 'active', input } }]),
    );
    const status = configuration.isOver ? 'done' : 'active';
    const snapshot = { status, value: configuration.value, context, children, historyValue: {}, tags: [] };
    const actor = createActor(machineOfActors(), {
      id: key,
      snapshot: snapshot as never,
      ...(options.inspect ? { inspect: options.inspect } : {}),
    });
    const live: Live = { actor, pins: 0, snapshot: actor.getSnapshot() as AnyMachineSnapshot };
    actor.on('*', (told: EventObject) => tell(key, (listener) => listener.emitted?.(told)));
    actor.subscribe({
      next: (after) => step(key, live, after as AnyMachineSnapshot),
      error: (error) => {
        if (lives.get(key) === live) fault(key, error);
      },
    });
    charts.set(key, live);
    lives.set(key, live);
    if (live.snapshot.hasTag('busy')) busy.add(key);
    handedOver = effects.handOver(key);
    actor.start();
    handedOver = [];
    return live;
  }

  function step(key: K, live: Live, after: AnyMachineSnapshot): void {
    const before = live.snapshot;
    if (before === after) return;
    live.snapshot = after;
    if (lives.get(key) !== live) return;
    noteBusy(key, after.hasTag('busy'));
    options.onStep?.(key, { before, after });
    tell(key, hasChanged);
  }

  function fault(key: K, error: unknown): void {
    effects.stopAll(key);
    forget(key);
    options.onFault(key, error);
    tell(key, (listener) => listener.failed?.());
  }

  function forget(key: K): void {
    charts.delete(key);
    lives.delete(key);
    busy.delete(key);
    eventsFor(key)?.splice(0);
    if (aliases.size > 0) for (const [alias, of] of aliases) if (of === key) aliases.delete(alias);
  }

  return {
    get size() {
      return charts.size;
    },
    has: (name) => charts.has(keyOf(name)),
    deliver: (name, event) => send(keyOf(name), event),
    takes(name, event) {
      const found = chartOf(keyOf(name));
      return isLive(found) ? found.snapshot.status === 'active' && found.snapshot.can(event) : chart.takes(found, event);
    },
    isOver(name) {
      const found = chartOf(keyOf(name));
      return isLive(found) ? found.snapshot.status !== 'active' : found.configuration.isOver;
    },
    hasTag(name, tag) {
      const found = chartOf(keyOf(name));
      return isLive(found) ? found.snapshot.hasTag(tag) : found.configuration.tags.has(tag);
    },
    listen(name, listener) {
      const key = keyOf(name);
      listeners.set(key, [...(listeners.get(key) ?? []), listener]);
      return () => {
        const others = listeners.get(key)?.filter((other) => other !== listener) ?? [];
        if (others.length === 0) listeners.delete(key);
        else listeners.set(key, others);
      };
    },
    hold(name) {
      const key = keyOf(name);
      const found = chartOf(key);
      const live = isLive(found) ? found : wake(key, found);
      live.pins++;
      return live.actor;
    },
    release(name) {
      const live = lives.get(keyOf(name));
      if (live && live.pins > 0) live.pins--;
    },
    peek(name) {
      const found = charts.get(keyOf(name));
      return found && (isLive(found) ? found.snapshot : placeOf(found));
    },
    restore(name, value, context) {
      this.drop(name);
      const row: Standing = { configuration: chart.configurationOf(value), context };
      if (charts.size < liveActors) {
        wake(name, row);
        return;
      }
      charts.set(name, row);
      if (row.configuration.tags.has('busy')) busy.add(name);
      for (const effect of chart.effectsOf(row)) effects.begin(name, effect);
    },
    alias(alias, key) {
      chartOf(key);
      aliases.set(alias, key);
    },
    drop(name) {
      const key = keyOf(name);
      const found = charts.get(key);
      if (!found) return;
      forget(key);
      if (isLive(found)) found.actor.stop();
      else effects.stopAll(key);
      tell(key, hasChanged);
    },
    busy: () => [...busy],
    settle() {
      if (charts.size <= liveActors) return;
      for (const [key, { actor, pins, snapshot }] of lives) {
        const configuration = chart.configurationOf(snapshot.value);
        if (pins > 0 || configuration.tags.has('busy') || configuration.effects.length > 0) continue;
        lives.delete(key);
        charts.set(key, { configuration, context: snapshot.context });
        actor.stop();
      }
    },
    stop() {
      for (const { actor } of lives.values()) actor.stop();
      for (const key of charts.keys()) effects.stopAll(key);
      for (const all of [charts, lives, aliases, busy]) all.clear();
    },
  };
}

const hasChanged = (listener: Listener): void => listener.changed?.();

const isLive = (chart: Standing | Live): chart is Live => 'actor' in chart;

const placeOf = ({ configuration: { value }, context }: Standing): Place => ({ value, context });
