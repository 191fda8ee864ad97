import { inParallel } from '../../../src/domain/in-parallel.ts';
import { isFleetError } from '../../../src/errors.ts';
import { at, listAt, textAt } from '../at.ts';
import type { Listed } from '../cloud.ts';
import type { Asking } from '../rest.ts';
import type { Ask } from '../session.ts';

/** What the query says of a machine, beside what any cloud lists. */
export interface VmListed extends Listed {
  readonly vApp: string | null;
}

const AT_ONCE = 4;
const REMEMBERED = 10_000;

/** The last part of a reference, such as `vm-…`; null where it is none. */
export const idIn = (href: unknown): string | null =>
  typeof href === 'string' ? (/\/((?:vm|vapp)-[A-Za-z0-9-]{1,80})\/?$/.exec(href)?.[1] ?? null) : null;

/**
 * The addresses of machines, which the query leaves out of older versions: from their vApps, each of which is read again only when
 * the state of one of its machines has changed.
 */
export function createAddresses(network: string | undefined) {
  const known = new Map<string, { readonly state: unknown; readonly ips: readonly unknown[] }>();

  const knownIps = ({ id, state }: VmListed): readonly unknown[] | null => {
    const found = typeof id === 'string' ? known.get(id) : undefined;
    return found && found.state === state ? found.ips : null;
  };

  async function read(vApp: string, ask: Ask, asking: Asking): Promise<{ readonly vms: unknown } | { readonly fault: string }> {
    try {
      const { status, body } = await ask({ method: 'GET', path: '/vApp/{vApp}', params: { vApp } }, asking);
      const vms = listAt(body, 'VApp', 'Children', 'Vm');
      if (status < 300 && vms) return { vms };
      return { fault: `its vApp was answered by ${status}: ${textAt(body, 'Error', '@message') ?? 'no machines'}` };
    } catch (error) {
      if (asking.signal.aborted || !isFleetError(error)) throw error;
      return { fault: `its vApp could not be read: ${error.detail}` };
    }
  }

  return async (items: readonly VmListed[], ask: Ask, asking: Asking): Promise<readonly Listed[]> => {
    const missing = items.filter((item) => item.ips.length === 0 && knownIps(item) === null);
    const faults = new Map<string, string>();
    const vApps = [...new Set(missing.flatMap(({ vApp }) => vApp ?? []))];
    await inParallel(vApps, AT_ONCE, async (vApp) => {
      const found = await read(vApp, ask, asking);
      if ('fault' in found) {
        faults.set(vApp, found.fault);
        return;
      }
      for (const vm of listAt(found, 'vms') ?? []) {
        const id = idIn(at(vm, '@href'));
        const item = missing.find((one) => one.id === id);
        if (id !== null && item) known.set(id, { state: item.state, ips: addressesOf(vm, network) });
      }
    });
    for (const oldest of known.keys()) {
      if (known.size <= REMEMBERED) break;
      known.delete(oldest);
    }
    return items.map((item) => {
      if (item.ips.length > 0) return item;
      const fault = item.vApp === null ? undefined : faults.get(item.vApp);
      return { ...item, ips: knownIps(item) ?? [], ...(fault !== undefined && { fault }) };
    });
  };
}

/** The primary connection first, or the one of the chosen network alone. */
function addressesOf(vm: unknown, network: string | undefined): readonly unknown[] {
  const section = at(vm, 'NetworkConnectionSection');
  const primary = at(section, 'PrimaryNetworkConnectionIndex');
  const connections = (listAt(section, 'NetworkConnection') ?? []).filter(
    (one) => network === undefined || at(one, '@network') === network,
  );
  const isPrimary = (one: unknown) => Number(at(one, 'NetworkConnectionIndex') === primary);
  return connections.toSorted((a, b) => isPrimary(b) - isPrimary(a)).map((one) => at(one, 'IpAddress'));
}
