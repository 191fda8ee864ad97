import type { Code } from '../domain/codes.ts';
import type { InstanceRung } from '../domain/instance.ts';
import type { ServiceRung } from '../domain/service.ts';

/** A kind of service as the simulation needs it. */
export interface SimulatedKind {
  /** The instance rung that its steps stand on. */
  readonly host: InstanceRung;
  /** Its rungs, lowest first. */
  readonly ladder: readonly ServiceRung[];
  /** Whether it has a configuration on its host that can be brought in line by itself. Default false. */
  readonly isConfigured?: boolean;
  /** What its probe says of a server that runs but does not answer. Default ER0003, Database communication failure. */
  readonly failing?: Code;
}

const database: SimulatedKind = { host: 'managed', ladder: ['installed', 'up', 'replicating', 'routed'], isConfigured: true };
const server: SimulatedKind = { host: 'managed', ladder: ['installed', 'up'] };

/** The kinds that a simulated fleet knows unless told otherwise. */
export const DEFAULT_KINDS: Readonly<Record<string, SimulatedKind>> = {
  mariadb: database,
  mysql: database,
  memcache: { ...server, failing: 'ER0005' },
  'mysql-proxy': { ...server, isConfigured: true },
  haproxy: { ...server, isConfigured: true },
  keepalived: { ...server, isConfigured: true },
};
