import type { Ip } from './identity.ts';

/** Who may own an ip. `reported` is false where the ip is only remembered, as of a stopped instance that reports none. */
export interface Tenant {
  /** The ip it is booked under. */
  ip: Ip | null;
  reported: boolean;
}

/** Ips to their tenants: one, or several where two report the same one. */
export interface AddressBook<T extends Tenant> {
  at(ip: Ip): T | 'none' | 'conflict';
  /** Everybody at an ip. */
  tenants(ip: Ip): readonly T[];
  /**
   * Books `tenant` under what it reports now. A remembered address is kept until another tenant reports it.
   * @returns tenants that this made lose a remembered ip
   */
  book(tenant: T, reported: Ip | null): readonly T[];
  /** Takes `tenant` out: a terminated instance owns no ip. */
  strike(tenant: T): void;
}

const NOBODY = [] as const;

export function createAddressBook<T extends Tenant>(): AddressBook<T> {
  const byIp = new Map<Ip, T | readonly T[]>();

  const tenantsOf = (ip: Ip): readonly T[] => {
    const found = byIp.get(ip);
    if (found === undefined) return [];
    return isShared(found) ? found : [found];
  };
  const put = (ip: Ip, tenants: readonly T[]): void => {
    const [first] = tenants;
    if (first === undefined) byIp.delete(ip);
    else byIp.set(ip, tenants.length === 1 ? first : tenants);
  };
  const leave = (tenant: T): void => {
    if (tenant.ip === null) return;
    put(
      tenant.ip,
      tenantsOf(tenant.ip).filter((other) => other !== tenant),
    );
    tenant.ip = null;
  };

  return {
    at(ip) {
      const found = byIp.get(ip);
      if (found === undefined) return 'none';
      return isShared(found) ? 'conflict' : found;
    },
    tenants: tenantsOf,
    book(tenant, reported) {
      if (reported === null) {
        tenant.reported = false;
        if (tenant.ip !== null && tenantsOf(tenant.ip).some((other) => other.reported)) leave(tenant);
        return NOBODY;
      }
      if (tenant.ip === reported && tenant.reported && byIp.get(reported) === tenant) return NOBODY;
      leave(tenant);
      tenant.ip = reported;
      tenant.reported = true;
      const others = tenantsOf(reported);
      const displaced = others.filter((other) => !other.reported);
      for (const other of displaced) other.ip = null;
      const rivals = others.filter((other) => other.reported);
      put(reported, [...rivals, tenant]);
      return displaced;
    },
    strike: leave,
  };
}

const isShared = <T>(found: T | readonly T[]): found is readonly T[] => Array.isArray(found);
