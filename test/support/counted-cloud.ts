import {
  type ApiCall,
  asInstant,
  cached,
  createFleet,
  type Driver,
  type Fleet,
  type FleetOptions,
  type InstanceFacts,
  type Store,
} from 'fleetbeat';
import { simulatedFleet } from 'fleetbeat/testing';
import { turns } from './turns.ts';

/** A cloud of two machines that counts how often it is read. */
export function counted() {
  let now = 1_000_000;
  const clock = () => asInstant(now);
  const simulated = simulatedFleet({
    now: clock,
    instances: [
      { id: 'i-1', ip: '10.0.0.1', state: 'running' },
      { id: 'i-2', ip: '10.0.0.2', state: 'stopped' },
    ],
    services: [],
  });
  const listeners = new Set<(call: ApiCall) => void>();
  const reads: { readonly caller: string | undefined; readonly at: number }[] = [];
  const driver: Driver<InstanceFacts> = {
    ...simulated.instances,
    async observe(want, signal) {
      reads.push({ caller: want.caller, at: want.now });
      for (const listener of listeners)
        listener({ driver: 'simulated', verb: 'List', caller: want.caller ?? 'beat', outcome: 'ok', isRetry: false });
      return simulated.instances.observe(want, signal);
    },
    onCall(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return {
    driver,
    reads,
    now: clock,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

export type World = ReturnType<typeof counted>;

/** A fleet that reads this cloud through what the store remembers. */
export const fleetOn = ({ driver, now }: World, store: Store, more: Partial<FleetOptions> = {}): Fleet =>
  createFleet({ drivers: { instances: [cached(driver, store)] }, store, now, ...more });

/** Lets time pass, a beat after each `everyMs`. */
export async function beats(fleet: Fleet, world: World, ms: number, everyMs: number): Promise<void> {
  for (let left = ms; left > 0; left -= everyMs) {
    world.pass(everyMs);
    await fleet.beat();
    await turns();
  }
}
