import type { Code } from './codes.ts';
import type { EntityKey, Instant, Ip, Level } from './identity.ts';
import { INSTANCE_RUNGS, type InstanceState } from './instance.ts';
import type { Following, Role, ServiceState } from './service.ts';

/** What the inventory believes of one entity, derived from all facts. */
export interface View {
  readonly key: EntityKey;
  readonly level: Level;
  readonly name: string;
  readonly ip: Ip | null;
  readonly code: Code;
  readonly state: InstanceState | ServiceState;
  /** The words that hold, cumulative: `managed` also holds `bootstrapped`, `ssh-up`, `running`. */
  readonly holds: ReadonlySet<string>;
  /** Since when each of them has held, for `forMs`. */
  readonly heldSince: ReadonlyMap<string, Instant>;
  /** The source that is believed for this entity's existence. */
  readonly source: string | null;
  readonly role?: Role;
  /** What one that follows the wanted master of its cluster says of it. */
  readonly following?: Following;
  /** The service's mode. */
  readonly mode?: string;
  /** The provider's own word. */
  readonly raw?: string;
  /** Why it is in this state, for a person. */
  readonly reason?: string;
  /** `bootId` or `runId`: it changes with every boot of the instance or start of the server. */
  readonly mark: string | null;
  /** What the next rung needs elsewhere and does not find. */
  readonly unmet: readonly string[];
  /** A service whose instance is known not to run. */
  readonly hostLost: boolean;
  readonly gone: boolean;
  /** Since when it has been in this state. */
  readonly since: Instant;
  /** When the read began that this view rests on. */
  readonly readAt: Instant;
  /** Since when its source has been seeing without a break. */
  readonly seenSince: Instant;
}

const RUNNING_INSTANCE: ReadonlySet<string> = new Set(INSTANCE_RUNGS);

/** Whether an instance in this state runs in the seed's sense: ssh answers. */
export const isRunning = (view: View): boolean => RUNNING_INSTANCE.has(view.state);

/** Whether a person may rely on this view: its entity has been observed and answers for itself. */
export const isKnown = (view: View): boolean => view.state !== 'unknown' && view.state !== 'unreachable';

/** A difference between two views of one entity; on the wire, the seed's `events`. */
export interface Change {
  /** `<epoch>:<seq>:<key>:<n>` */
  readonly id: string;
  readonly kind: 'appeared' | 'changed' | 'moved' | 'vanished' | 'silent' | 'conflict';
  readonly key: EntityKey;
  readonly at: Instant;
  readonly source: string;
  readonly from: View | null;
  readonly to: View;
}
