import type { AnyStateMachine, EventObject, InspectionEvent } from 'xstate';
import { type HeartbeatContext, heartbeatMachine, type ObserveInput } from '../machines/index.ts';
import { createCharts } from './charts.ts';
import type { Driver } from './contracts.ts';
import { withinDeadline } from './deadline.ts';
import type { Demand } from './domain/demand.ts';
import type { Heartbeat, Reading } from './domain/heartbeat.ts';
import type { Instant, Level } from './domain/identity.ts';
import type { InstanceFacts } from './domain/instance.ts';
import type { ServiceFacts } from './domain/service.ts';
import { type Stop, signalOf } from './stop.ts';
import { createCoalesced } from './turns.ts';

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
    readonly now: () => Instant;
    /** How long a reading waits for one subject that is slow; 0 as long as that takes. */
    readonly waitMs: () => number;
    /** What is wanted of it now. */
    readonly demand: () => Demand;
    readonly apply: (beat: Heartbeat, own: { readonly everyMs: number }) => Promise<void>;
    readonly onBlind: (source: string, failure: { readonly code: string; readonly message: string }) => void;
    readonly inspect: ((event: InspectionEvent) => void) | undefined;
  },
): Source {
  let seq = 0;

  async function observe({ input, stop }: { readonly input: ObserveInput; readonly stop: Stop }): Promise<Heartbeat> {
    const { keys, ...wanted } = fleet.demand();
    const waitMs = fleet.waitMs();
    const want = { now: input.now, ...wanted, ...(keys.length > 0 && { keys }), ...(waitMs > 0 && { waitMs }) };
    const read = (bounded: AbortSignal): Promise<Reading<InstanceFacts> | Reading<ServiceFacts>> => driver.observe(want, bounded);
    const reading = await withinDeadline(fleet.observeMs, `reading ${driver.name}`, signalOf(stop), read);
    const beat = { source: driver.name, epoch: fleet.epoch, seq: ++seq };
    return level === 'instances'
      ? { ...beat, instances: reading as Reading<InstanceFacts> }
      : { ...beat, services: reading as Reading<ServiceFacts> };
  }

  const apply = ({ input }: { readonly input: { readonly reading: unknown } }): Promise<void> =>
    fleet.apply(input.reading as Heartbeat, driver);

  const key = `sources/${driver.name}`;
  const charts = createCharts<typeof key>({
    machine: heartbeatMachine as unknown as AnyStateMachine,
    effects: { observe, apply },
    contextOf: () => ({ source: driver.name, askedAt: null, owed: false, failure: null }) satisfies HeartbeatContext,
    liveActors: 1,
    inspect: fleet.inspect,
    onFault: (_, error) => fleet.onBlind(driver.name, { code: 'ER0214', message: String(error) }),
  });
  /** Those who wait for the end of a beat; a fleet that stops does not wait for what its drivers are reading. */
  const waiting = new Set<() => void>();
  let isStopped = false;

  async function read(now: Instant): Promise<void> {
    charts.deliver(key, { type: 'beat', now } as EventObject);
    await rested();
  }

  /** A reading says when it began: whoever asks for one while another is under way is not dated before that ends. */
  const readNext = createCoalesced(async () => {
    while (!isStopped && !charts.hasTag(key, 'at-rest')) await rested();
    if (!isStopped) await read(fleet.now());
  });

  async function rested(): Promise<void> {
    while (!isStopped && !charts.hasTag(key, 'at-rest')) {
      await new Promise<void>((resolve) => {
        const end = charts.listen(key, { changed: () => go(), failed: () => go() });
        const go = () => {
          end();
          waiting.delete(go);
          resolve();
        };
        waiting.add(go);
      });
    }
  }

  return {
    name: driver.name,
    async beat(now) {
      if (isStopped) return;
      await (charts.hasTag(key, 'at-rest') ? read(now) : readNext());
      if (isStopped || !charts.hasTag(key, 'attention')) return;
      const context = charts.peek(key)?.context as HeartbeatContext | undefined;
      fleet.onBlind(driver.name, context?.failure ?? { code: 'ER0235', message: 'no reading' });
    },
    stop() {
      isStopped = true;
      charts.stop();
      for (const go of [...waiting]) go();
    },
  };
}
