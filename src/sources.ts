import { createActor, fromPromise, type InspectionEvent, waitFor } from 'xstate';
import { heartbeatMachine, type ObserveInput } from '../machines/index.ts';
import type { Driver } from './contracts.ts';
import { withinDeadline } from './deadline.ts';
import type { Demand } from './domain/demand.ts';
import type { Heartbeat, Reading } from './domain/heartbeat.ts';
import type { Instant, Level } from './domain/identity.ts';
import type { InstanceFacts } from './domain/instance.ts';
import type { ServiceFacts } from './domain/service.ts';

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
    /** What is wanted of it now. */
    readonly demand: () => Demand;
    readonly apply: (beat: Heartbeat, own: { readonly everyMs: number }) => Promise<void>;
    readonly onBlind: (source: string, failure: { readonly code: string; readonly message: string }) => void;
    readonly inspect: ((event: InspectionEvent) => void) | undefined;
  },
): Source {
  let seq = 0;

  const observe = fromPromise<Heartbeat, ObserveInput>(async ({ input, signal }) => {
    const { keys, ...wanted } = fleet.demand();
    const want = { now: input.now, ...wanted, ...(keys.length > 0 && { keys }) };
    const read = (bounded: AbortSignal): Promise<Reading<InstanceFacts> | Reading<ServiceFacts>> => driver.observe(want, bounded);
    const reading = await withinDeadline(fleet.observeMs, `reading ${driver.name}`, signal, read);
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
  /** A fleet that stops does not wait for what its drivers are reading. */
  const isStopped = () => actor.getSnapshot().status === 'stopped';

  return {
    name: driver.name,
    async beat(now) {
      if (isStopped()) return;
      actor.send({ type: 'beat', now });
      const { context, value } = await waitFor(actor, (snapshot) => snapshot.hasTag('at-rest')).catch((error: unknown) => {
        if (isStopped()) return actor.getSnapshot();
        throw error;
      });
      if (value === 'blind' && !isStopped())
        fleet.onBlind(driver.name, context.failure ?? { code: 'ER0235', message: 'no reading' });
    },
    stop: () => actor.stop(),
  };
}
