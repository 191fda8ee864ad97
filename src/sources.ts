import { createActor, fromPromise, type InspectionEvent, waitFor } from 'xstate';
import { heartbeatMachine, type ObserveInput } from '../machines/index.ts';
import type { Driver } from './contracts.ts';
import type { Heartbeat, Reading } from './domain/heartbeat.ts';
import type { Instant, Level } from './domain/identity.ts';
import type { InstanceFacts } from './domain/instance.ts';
import type { ServiceFacts } from './domain/service.ts';
import { FleetError } from './errors.ts';

/** One of our own drivers with its beat. */
export interface Source {
  readonly name: string;
  /** Reads the driver and applies what it says. Resolves when it rests again, blind or not. */
  beat(now: Instant): Promise<void>;
  stop(): void;
}

export function createSource(
  driver: Driver<InstanceFacts> | Driver<ServiceFacts>,
  level: Level,
  fleet: {
    readonly epoch: string;
    readonly observeMs: number;
    /** How old a remembered answer may be: little while somebody waits, else the driver's own interval. */
    readonly maxAgeMs: (driver: { readonly everyMs: number }) => number;
    readonly apply: (beat: Heartbeat, own: { readonly everyMs: number }) => Promise<void>;
    readonly onBlind: (source: string, failure: { readonly code: string; readonly message: string }) => void;
    readonly inspect: ((event: InspectionEvent) => void) | undefined;
  },
): Source {
  let seq = 0;

  const observe = fromPromise<Heartbeat, ObserveInput>(async ({ input, signal }) => {
    const want = { now: input.now, maxAgeMs: fleet.maxAgeMs(driver) };
    const reading = await within(
      fleet.observeMs,
      `${driver.name} was not read`,
      signal,
      (stop): Promise<Reading<InstanceFacts> | Reading<ServiceFacts>> => driver.observe(want, stop),
    );
    const beat = { source: driver.name, epoch: fleet.epoch, seq: ++seq };
    return level === 'instances'
      ? { ...beat, instances: reading as Reading<InstanceFacts> }
      : { ...beat, services: reading as Reading<ServiceFacts> };
  });
  const apply = fromPromise<void, { readonly reading: unknown }>(({ input }) => fleet.apply(input.reading as Heartbeat, driver));
  const actor = createActor(heartbeatMachine.provide({ actors: { observe, apply } }), {
    id: `sources/${driver.name}`,
    input: { source: driver.name },
    ...(fleet.inspect ? { inspect: fleet.inspect } : {}),
  });
  actor.subscribe({ error: (error) => fleet.onBlind(driver.name, { code: 'ER0214', message: String(error) }) });
  actor.start();

  return {
    name: driver.name,
    async beat(now) {
      actor.send({ type: 'beat', now });
      const { context, value } = await waitFor(actor, (snapshot) => snapshot.hasTag('at-rest'));
      if (value === 'blind') fleet.onBlind(driver.name, context.failure ?? { code: 'ER0235', message: 'no reading' });
    },
    stop: () => actor.stop(),
  };
}

/** Runs `work` for at most `ms`, even where it ignores its signal. */
async function within<T>(ms: number, what: string, signal: AbortSignal, work: (stop: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const abort = () => stop.abort(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new FleetError('ER0212', `${what} within ${ms} ms`, { retryable: true });
      stop.abort(error);
      reject(error);
    }, ms);
  });
  try {
    return await Promise.race([work(stop.signal), late]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}
