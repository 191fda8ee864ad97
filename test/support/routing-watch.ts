import { setTimeout as pause } from 'node:timers/promises';
import { haproxyStats } from './haproxy-stats.ts';
import type { Machine } from './machines.ts';

/** Looks all the time at what balancers let in, as they say themselves. */
export interface RoutingWatch {
  /**
   * When all balancers that say anything let a service in, first at or after `from`; null where they did not since. On the clock of
   * `performance.now()`.
   */
  letInAt(service: string, from: number): number | null;
  stop(): Promise<void>;
}

interface Balancer {
  readonly name: string;
  readonly machine: Machine;
}

interface Turn {
  readonly at: number;
  readonly isIn: boolean;
}

const EVERY_MS = 20;

/** Asks each balancer every 20 ms through its socket, which no network comes between. One that is off has no say. */
export function watchRouting(balancers: readonly Balancer[]): RoutingWatch {
  const turns = new Map<string, Turn[]>();
  let isStopping = false;

  async function watch(): Promise<void> {
    while (!isStopping) {
      const words = await Promise.all(balancers.map(wordOf));
      const said = words.filter((word) => word !== null);
      for (const service of new Set(said.flatMap((word) => [...word.keys()]))) {
        const those = turns.get(service) ?? [];
        turns.set(service, those);
        const isIn = said.every((word) => word.get(service) === true);
        if ((those.at(-1)?.isIn ?? false) !== isIn) those.push({ at: performance.now(), isIn });
      }
      await pause(EVERY_MS);
    }
  }

  const watching = watch();
  return {
    letInAt(service, from) {
      const those = turns.get(service) ?? [];
      if (those.findLast(({ at }) => at <= from)?.isIn) return from;
      return those.find(({ at, isIn }) => isIn && at > from)?.at ?? null;
    },
    async stop() {
      isStopping = true;
      await watching;
    },
  };
}

/** Which servers of a balancer are up wherever they stand, by a check that was made; null where it cannot be asked. */
async function wordOf({ name, machine }: Balancer): Promise<ReadonlyMap<string, boolean> | null> {
  const lines = machine.isOn ? await haproxyStats(machine.outside(`/var/lib/fleetbeat/${name}/haproxy.sock`)) : null;
  if (lines === null) return null;
  const up = new Map<string, boolean>();
  for (const { svname = '', status, check_status: check = '' } of lines) {
    const isUp = status?.startsWith('UP') === true && !['', 'INI'].includes(check);
    up.set(svname, isUp && up.get(svname) !== false);
  }
  return up;
}
