import type { Fleet, FleetOptions, Instant } from 'fleetbeat';
import type { PreparedDriver } from './cloud.ts';
import type { Library } from './library.ts';

/** A fleet with the library's own defaults, on a clock that the bench moves. */
export interface Scene {
  readonly fleet: Fleet;
  /** Lets the time between two beats pass. @returns what the clock says then */
  passes(): number;
  /** Resolves when the fleet does nothing more in the background. */
  quiet(): Promise<void>;
}

/** From one beat to the next. */
export const BEAT_MS = 10_000;

export function createScene(
  { createFleet, memory }: Library,
  driver: PreparedDriver,
  options: Partial<Pick<FleetOptions, 'now' | 'store' | 'doctors'>> = {},
): Scene {
  let at = Date.now();
  let turns = 0;
  const now = options.now ?? (() => at as Instant);
  const yieldTurn = () => {
    turns++;
    return turn();
  };
  return {
    fleet: createFleet({ drivers: { instances: [driver] }, store: memory({ now }), ...options, now, yieldTurn }),
    passes: () => (at += BEAT_MS),
    async quiet() {
      for (let before = -1; before !== turns; ) {
        before = turns;
        for (let i = 0; i < QUIET_TURNS; i++) await turn();
      }
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** After so many turns in which the fleet has asked for none, it has nothing more to do. */
const QUIET_TURNS = 5;
