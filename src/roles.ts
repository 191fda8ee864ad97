import type { Store } from './contracts.ts';
import type { Instant } from './domain/identity.ts';
import { FleetError } from './errors.ts';
import { createSharedRecord } from './shared-record.ts';

/** Who is wanted as master of each cluster whose master was changed, for all who share the store. */
export interface Roles {
  /** Takes in what others have recorded: one read, on each beat. */
  refresh(): Promise<void>;
  /** Who is wanted as master in place of the configured one; null where the configuration holds, or has another master by now. */
  masterOf(cluster: string, configured: string): string | null;
  /**
   * Wants another master from now on.
   *
   * @throws FleetError ER0211 where a later leader has recorded one, ER0237 where a later version wrote the record
   */
  want(change: {
    readonly cluster: string;
    readonly master: string;
    readonly configured: string;
    readonly fence: number;
  }): Promise<void>;
}

interface RolesRecord {
  readonly clusters: Readonly<Record<string, Wanted>>;
}

interface Wanted {
  readonly master: string;
  /** Whom the configuration had: another one there is newer than this. */
  readonly configured: string;
  readonly fence: number;
  readonly at: Instant;
}

const KEY = 'roles';

export function createRoles(store: Store, now: () => Instant): Roles {
  const record = createSharedRecord<RolesRecord>(store, KEY, {
    none: { clusters: {} },
    isRecord: (body) => 'clusters' in body && typeof body.clusters === 'object' && body.clusters !== null,
  });

  const wantedIn = ({ clusters }: RolesRecord, cluster: string): Wanted | undefined =>
    Object.hasOwn(clusters, cluster) ? clusters[cluster] : undefined;

  return {
    refresh: record.refresh,
    masterOf(cluster, configured) {
      const wanted = record.value === null ? undefined : wantedIn(record.value, cluster);
      return wanted?.configured === configured ? wanted.master : null;
    },
    async want({ cluster, master, configured, fence }) {
      await record.change((stored) => {
        const known = wantedIn(stored, cluster);
        if (known && known.fence > fence)
          throw new FleetError('ER0211', `a later leader has recorded ${known.master} as master of ${cluster}`, {
            retryable: true,
          });
        if (known?.master === master && known.configured === configured && known.fence === fence) return null;
        return { clusters: { ...stored.clusters, [cluster]: { master, configured, fence, at: now() } } };
      });
    },
  };
}
