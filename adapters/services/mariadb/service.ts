import { createHash } from 'node:crypto';
import type { Ip } from '../../../src/domain/identity.ts';
import type { Service } from '../../../src/domain/service.ts';
import { reveal, type Secret } from '../../http/secret.ts';

/** More options of a server, by name. */
export type ExtraOptions = Readonly<Record<string, string | number | boolean>>;

export interface Credentials {
  readonly user: string;
  readonly password: Secret;
}

/** The programs of a host, by name in its PATH or by absolute path. */
export interface MariadbBinaries {
  /** Default `mariadbd`. */
  readonly server: string;
  /** Default `mariadb`. */
  readonly client: string;
  /** Default `mariadb-install-db`. */
  readonly install: string;
  /** Default `mariadb-dump`. */
  readonly dump: string;
}

export interface MariadbSettings {
  /** Default 3306. */
  readonly port: number;
  /** Holds the data, the option file, the log and the marker of the installation; deleted by `remove`. Default `/var/lib/fleetbeat/<name>`. */
  readonly dataDir: string | null;
  /** Another one for each server of a cluster, from 1 to 4294967295. Default: made of the ip. */
  readonly serverId: number | null;
  /** Who it runs as where root starts it. Default `mysql`. */
  readonly user: string;
  readonly binaries: MariadbBinaries;
  /** The buffer pool of InnoDB, in MiB. Default 128. */
  readonly memoryMb: number;
  /** More options of the server, by name, such as `{ max_connections: 500 }`. Those that the kind itself sets are refused. */
  readonly options: ExtraOptions;
  /** Who probes: may see the state of replication, and nothing else. The user's name is `fleetbeat_monitor` by default. */
  readonly monitor: Credentials;
  /** Who replicas connect as: may read the binary log. `fleetbeat_replica` by default; its password has at most 32 characters of ASCII. */
  readonly replication: Credentials;
  /**
   * A user without a password and without rights, for balancers that log in to see whether it is there. Default null: none.
   */
  readonly checkUser: string | null;
  /** Where these users may come from, as MariaDB writes hosts. Default `%`. */
  readonly clientHosts: string;
  /** How far a replica may lag behind and still count as replicating. Default 10000. */
  readonly lagLimitMs: number;
  /**
   * How far a replica may be behind when it is to become the master, and how long it may take to catch up while nobody takes writes.
   * Default 5000.
   */
  readonly catchUpMs: number;
  /**
   * Whether a write is with a replica before it is acknowledged (semi-synchronous replication), so that a failover loses none; where no
   * replica answers for `rpl_semi_sync_master_timeout` milliseconds (an option, 10000 by default), writes go on without. Default false.
   */
  readonly semiSync: boolean;
  /** The unix socket through which it is administered. Default `mariadb.sock` in its own directory. */
  readonly socket: string | null;
  /** How long it may take to answer a probe; keep it under the probe's own deadline. Default 2000. */
  readonly answerMs: number;
  /** How long it may take to come up, recovery after a crash included. Default 60000. */
  readonly startMs: number;
  /** How long a clean stop may take. It is never killed. Default 60000. */
  readonly stopMs: number;
}

export type Mariadb = Service<MariadbSettings>;

export const dataDirOf = ({ name, settings }: Mariadb): string => settings.dataDir ?? `/var/lib/fleetbeat/${name}`;

export const socketOf = (of: Mariadb): string => of.settings.socket ?? `${dataDirOf(of)}/run/${SOCKET}`;

/** An IPv4 address is a number of 32 bits, as a server id is; of an IPv6 address it is a digest. */
export const serverIdOf = ({ ip, settings }: Mariadb): number => settings.serverId ?? idOfIp(ip);

function idOfIp(ip: Ip): number {
  if (!ip.includes(':')) return ip.split('.').reduce((id, part) => id * 256 + Number(part), 0) || 1;
  return createHash('sha256').update(ip).digest().readUInt32BE() || 1;
}

/** Every secret of a service's settings, also as SQL writes it, to be taken out of what strangers write. */
export const secretsOf = ({ settings }: Mariadb): readonly string[] =>
  [settings.monitor, settings.replication].map(({ password }) => reveal(password)).flatMap((text) => [text, escaped(text)]);

/** A text within the quotes of SQL, where a backslash means something. */
export const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll("'", "''");

export const SOCKET = 'mariadb.sock';
