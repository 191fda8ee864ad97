import type { Charts } from './charts.ts';
import { type Action, isLive } from './domain/action.ts';
import { type Budget, type Strain, strainOn } from './domain/budget.ts';
import { type Awaited, awaitedBy, type Demand, demandOf } from './domain/demand.ts';
import type { Problem } from './domain/heartbeat.ts';
import { type EntityKey, type Instant, type Level, levelOf } from './domain/identity.ts';
import type { Inventory } from './domain/inventory.ts';
import type { Policy } from './domain/policy.ts';
import type { Ledger } from './ledger.ts';
import type { ActionQueue } from './queue.ts';
import type { AnyDriver } from './routing.ts';

/** What is wanted of each source, by who waits for it and what its budget allows. */
export interface Demands {
  of(driver: AnyDriver, level: Level): Demand;
}

export function createDemands(fleet: {
  readonly queue: ActionQueue;
  readonly inventory: Inventory;
  readonly busy: Charts<EntityKey>['busy'];
  readonly ledger: Ledger;
  readonly budgets: Readonly<Record<string, Budget>>;
  /** The driver where what nobody has seen yet is launched. */
  readonly cloud: string | null;
  readonly policy: Policy;
  readonly now: () => Instant;
  readonly onProblem: (problem: Problem) => void;
}): Demands {
  const { queue, inventory, budgets, policy, now } = fleet;
  const strains = new Map<string, Strain>();

  /** Told once, when it changes, and to whom it matters: whoever waits is in the list of actions. */
  function strainedOf(name: string): Strain {
    const budget = Object.hasOwn(budgets, name) ? budgets[name] : undefined;
    if (!budget) return 'none';
    const { strain, text } = strainOn(budget, fleet.ledger.spent(name));
    if (strain !== (strains.get(name) ?? 'none') && strain !== 'none') {
      const waiting = queue.all().filter(isLive).length;
      const rest = strain === 'hard' ? 'only what is awaited is read' : 'it is read seldomer, what is stable first';
      fleet.onProblem({ subject: name, code: 'ER0245', message: `${name}: ${text}; ${rest}; ${waiting} actions wait` });
    }
    strains.set(name, strain);
    return strain;
  }

  const isOf = (name: string, { view }: Awaited): boolean => (view?.source ?? fleet.cloud) === name;

  return {
    of(driver, level) {
      if (level === 'services') {
        const isAwaited = queue.all().some(isLive);
        const isOld = isAwaited || !inventory.hasRead(level, driver.name);
        return { maxAgeMs: isOld ? 0 : driver.everyMs, caller: isAwaited ? 'waiting' : 'beat', keys: [] };
      }
      // What an earlier life has begun, or somebody has armed meanwhile, goes by what is and not by what was minutes ago.
      const isUrgent = !inventory.hasRead(level, driver.name) && queue.all().some((action) => isLive(action) && isNow(action));
      if (isUrgent) return { maxAgeMs: policy.readMovingMs, caller: 'waiting', keys: [] };
      const busy = fleet.busy().filter((key) => levelOf(key) === 'instances');
      const awaited = awaitedBy(queue.all(), busy, inventory).filter((one) => isOf(driver.name, one));
      return demandOf(awaited, { everyMs: driver.everyMs, strain: strainedOf(driver.name) }, { now: now(), policy });
    },
  };
}

const isNow = ({ when }: Action): boolean => when.on === 'now';
