import type { Action } from '../domain/action.ts';
import { type ActionId, asInstant, type Instant } from '../domain/identity.ts';
import { createFleet } from '../fleet.ts';
import type { Change, Fleet } from '../index.ts';
import { FAULTS, type SimulatedInstance, type SimulatedService, simulatedFleet, simulatedKinds } from '../testing/index.ts';

/** A simulated fleet on a clock that only beats move. */
export interface Simulation {
  readonly fleet: Pick<Fleet, 'views' | 'actions' | 'dispatch' | 'on' | 'stop'> & {
    /** Lets a second of the fleet's clock pass, then beats. */
    beat(): Promise<readonly Change[]>;
  };
  readonly latest: ReadonlyMap<ActionId, Action>;
  now(): Instant;
}

/** How much of the fleet's clock passes from one beat to the next. */
export const STEP_MS = 1000;

/** The same seed and the same command always come to the same history, however slow the machine. */
export async function simulation(
  world: { readonly instances: readonly SimulatedInstance[]; readonly services: readonly SimulatedService[] },
  { seed, faults }: { readonly seed: number; readonly faults: number },
): Promise<Simulation> {
  const { memory } = await import('../../adapters/memory.ts');
  let clock = Date.now();
  const now = () => asInstant(clock);
  const rates = Object.fromEntries(FAULTS.map((fault) => [fault, faults]));
  const simulated = simulatedFleet({ ...world, now, seed, faults: rates });
  const fleet = createFleet({
    drivers: { instances: [simulated.instances], services: [simulated.services] },
    kinds: simulatedKinds(),
    services: world.services.map(({ state: _, ...service }) => service),
    store: memory({ now }),
    now,
  });
  const latest = new Map<ActionId, Action>();
  fleet.on('action', (action) => latest.set(action.id, action));
  const { views, actions, dispatch, on, stop } = fleet;
  return {
    now,
    latest,
    fleet: {
      views,
      actions,
      dispatch,
      on,
      stop,
      beat() {
        clock += STEP_MS;
        return fleet.beat();
      },
    },
  };
}
