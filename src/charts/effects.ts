import type { EventObject } from 'xstate';
import { createStop, halt, type Stop } from '../stop.ts';
import type { Begun } from './compiled.ts';

/** An effect of a chart: resolves with its output, for which nobody waits any more once it is stopped. */
export type EffectFunction<TInput, TOutput> = (asked: { readonly input: TInput; readonly stop: Stop }) => Promise<TOutput>;

/** An effect that runs. */
export interface Running {
  readonly id: string;
  readonly promise: Promise<unknown>;
  readonly stop: Stop;
}

/** The effects of charts that are no actors. */
export interface Effects<K> {
  begin(key: K, begun: Begun): void;
  stop(key: K, id: string): void;
  /** Gives up what runs for a chart, to somebody who waits for it from now on. */
  handOver(key: K): readonly Running[];
  stopAll(key: K): void;
}

/** @param ended told what an effect came to, as the event that XState has for it */
export function createEffects<K>(
  effects: Readonly<Record<string, EffectFunction<never, unknown>>>,
  ended: (key: K, event: EventObject) => void,
): Effects<K> {
  const running = new Map<K, Running[]>();

  function take(key: K, run: Running): boolean {
    const all = running.get(key);
    const at = all?.indexOf(run) ?? -1;
    if (!all || at < 0) return false;
    if (all.length === 1) running.delete(key);
    else all.splice(at, 1);
    return true;
  }

  function end(key: K, run: Running, event: EventObject): void {
    if (take(key, run)) ended(key, event);
  }

  const handOver = (key: K): readonly Running[] => {
    const all = running.get(key) ?? [];
    running.delete(key);
    return all;
  };

  return {
    begin(key, { id, src, input }) {
      const effect = effects[src] as EffectFunction<unknown, unknown> | undefined;
      if (!effect) throw new Error(`nobody provides the effect '${src}'`);
      const asked = { input, stop: createStop() };
      const run: Running = { id, promise: effect(asked), stop: asked.stop };
      const all = running.get(key);
      if (all) all.push(run);
      else running.set(key, [run]);
      run.promise.then(
        (output) => end(key, run, { type: `xstate.done.actor.${id}`, output, actorId: id } as EventObject),
        (error: unknown) => end(key, run, { type: `xstate.error.actor.${id}`, error, actorId: id } as EventObject),
      );
    },
    stop(key, id) {
      const run = running.get(key)?.find((other) => other.id === id);
      if (run && take(key, run)) halt(run.stop);
    },
    handOver,
    stopAll(key) {
      for (const run of handOver(key)) halt(run.stop);
    },
  };
}
