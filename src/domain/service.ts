import type { Code } from './codes.ts';
import type { Instant, Ip } from './identity.ts';

/** A service's role; the seed calls it `status`. */
export type Role = 'master' | 'slave' | 'standalone' | 'discard' | 'na';
export const ROLES = ['master', 'slave', 'standalone', 'discard', 'na'] as const satisfies readonly Role[];

/** Rungs 6 to 8 of the ladder, lowest first, with `up` between: the server answers its own protocol. */
export const SERVICE_RUNGS = ['installed', 'up', 'replicating', 'routed'] as const;
export type ServiceRung = (typeof SERVICE_RUNGS)[number];

export type ServiceState =
  | 'unknown'
  | 'uninstalled'
  | 'stopped'
  | 'starting'
  | 'stopping'
  | 'failing'
  | Exclude<ServiceRung, 'installed'>;

export const SERVICE_VERBS = ['install', 'start', 'stop', 'restart', 'remove', 'sync', 'bootstrap_config'] as const;
export type ServiceVerb = (typeof SERVICE_VERBS)[number];

/** What is done with a whole cluster: both make the service that they name the master, `failover` in the place of one that is lost. */
export type ClusterVerb = 'switch' | 'failover';
export const CLUSTER_VERBS = ['switch', 'failover'] as const satisfies readonly ClusterVerb[];
export const isClusterVerb = (verb: string): verb is ClusterVerb => (CLUSTER_VERBS as readonly string[]).includes(verb);

/**
 * The steps of a change of master, in their order: of a planned one `check`, `read-only` and `catch-up`, of a failover `confirm` and
 * `gather`, then of both the rest. `revert` takes the place of those that are left, where a planned one fails in time.
 */
export type SwitchoverStep =
  | 'check'
  | 'read-only'
  | 'catch-up'
  | 'confirm'
  | 'gather'
  | 'promote'
  | 'route'
  | 're-point'
  | 'revert';

/** What one source saw of one service. A missing rung in `holds` means "this source cannot know", never "no". */
export interface ServiceFacts {
  readonly name: string;
  readonly readAt: Instant;
  readonly code: Code;
  readonly holds: Readonly<Partial<Record<ServiceRung, boolean>>>;
  /**
   * Whether the configuration on its host is the wanted one, and one that runs has taken it. Missing where this source cannot know.
   */
  readonly configured?: boolean;
  /** Changes with every start of the server. */
  readonly runId?: string;
  readonly role?: Role;
  readonly lagMs?: number;
  /** Of one that follows the wanted master of its cluster. Missing where it cannot say. */
  readonly following?: Following;
  /**
   * Of a balancer or proxy: the services that it has as up backends right now, by name, as its own admin interface or a query
   * through it says. Missing where it could not be asked.
   */
  readonly routes?: readonly string[];
  /** Why the code is what it is, for a person. */
  readonly reason?: string;
  /** Where it runs, from sources that know services which the configuration does not. */
  readonly ip?: Ip;
  readonly mode?: string;
}

/** What one that follows a master says of that. */
export interface Following {
  /** Whether it hears its master; null while it is connecting, and cannot say yet. */
  readonly hears: boolean | null;
  /** Whether it could take its place, as far as it can be known from itself alone. */
  readonly isFit: boolean;
}

/** A configured service. */
export interface Service<T = unknown> {
  readonly name: string;
  readonly ip: Ip;
  readonly mode: string;
  readonly cluster?: string;
  readonly status: Role;
  readonly settings: T;
}

/** The sections that may stand for their modes in a command's `type`. */
export const SECTIONS = {
  db: ['mariadb', 'mysql'],
  nosql: ['memcache'],
  proxy: ['mysql-proxy'],
  lb: ['keepalived', 'haproxy'],
} as const satisfies Record<string, readonly string[]>;
export type Section = keyof typeof SECTIONS;

/** Whether `mode` is meant by `type`: `all`, the mode itself, or its section. */
export function isOfType(mode: string, type: string): boolean {
  if (type === 'all' || type === mode) return true;
  return Object.hasOwn(SECTIONS, type) && (SECTIONS[type as Section] as readonly string[]).includes(mode);
}
