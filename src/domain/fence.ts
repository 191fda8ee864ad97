import { serviceKey } from './identity.ts';
import type { Inventory } from './inventory.ts';
import type { Service } from './service.ts';

/**
 * Whether it is certain that a service takes no writes until it is started anew: its provider says that its instance is off, or its
 * own host that there is no such process.
 */
export function isFenced(
  { name, ip }: Service,
  { inventory }: { readonly inventory: Pick<Inventory, 'get' | 'atIp' | 'isBlind' | 'hasRead'> },
): boolean {
  const host = inventory.atIp(ip);
  if (host === 'none') return inventory.hasRead('instances');
  if (host === 'conflict' || inventory.isBlind(host)) return false;
  if (host.state === 'stopped' || host.state === 'terminated' || host.state === 'absent') return true;
  const view = inventory.get(serviceKey(name));
  return host.holds.has('running') && view !== undefined && !inventory.isBlind(view) && NO_PROCESS.has(view.state);
}

const NO_PROCESS: ReadonlySet<string> = new Set(['stopped', 'uninstalled']);
