import { FleetError } from '../errors.ts';
import { type Configuration, isMemory } from './config/check.ts';

/**
 * Refuses a store that ends with its process, for what only asks about what others have left in it.
 *
 * @throws FleetError ER0230 for memory
 */
export function refuseMemory({ store, origin }: Configuration, what: string, why: string): void {
  if (!isMemory(store)) return;
  const allowed = `a store that outlives its process, such as sqlite: with memory ${why}`;
  throw new FleetError('ER0230', `${origin.file}: store: found memory together with ${what}, allowed: ${allowed}`);
}
