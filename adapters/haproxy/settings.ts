import { type Ip, parseIp } from '../../src/domain/identity.ts';
import type { Service } from '../../src/domain/service.ts';
import {
  type Fields,
  isListOf,
  isOrNull,
  isOwnDirectory,
  isPort,
  isProgram,
  isText,
  isUserName,
  isWithin,
  OWN_DIRECTORY,
} from '../host/settings.ts';

/** What is the same for whatever is a haproxy. */
export interface ProgramSettings {
  /** Where writes are taken, for the master. Default 3306; null for nowhere. */
  readonly writes: number | null;
  /** Where reads are taken, for the replicas. Default 3307; null for nowhere. */
  readonly reads: number | null;
  /**
   * The addresses that it listens on, `*` for all. An address that is not its host's own, such as one that keepalived moves, is
   * taken before it is there. Default its own.
   */
  readonly addresses: readonly (Ip | '*')[] | null;
  /** The port of its own address that shows its statistics to a browser, to anyone. Default null: none. */
  readonly stats: number | null;
  /**
   * The user as whom databases are logged in to for a check: one without a password, and without rights. Without it, that they
   * greet has to do. Default null.
   */
  readonly checkUser: string | null;
  /** How often each backend is looked at, in milliseconds. Default 1000. */
  readonly checkMs: number;
  /** How long a connection may be silent, in milliseconds. Default 8 h, as long as a database allows. */
  readonly idleMs: number;
  /** How long connections that are open at a reload may stay, in milliseconds. Default 1 h. */
  readonly lingerMs: number;
  /** Holds its configuration, sockets and pid file; deleted by `remove`. Default `/var/lib/fleetbeat/<name>`. */
  readonly dataDir: string | null;
  /** Who it runs as, once it listens. Default `haproxy`. */
  readonly user: string;
  /** Default `haproxy`. */
  readonly group: string;
  /** A program of the host's PATH, or an absolute path. Default `haproxy`. */
  readonly binary: string;
}

/** What the kernel keeps of a socket's path, less what haproxy and we add to the directory's: `/haproxy.sock.<pid>.tmp`. */
const LONGEST_DIRECTORY = 75;

export const dataDirOf = ({ name, settings }: Service<{ readonly dataDir: string | null }>): string =>
  settings.dataDir ?? `/var/lib/fleetbeat/${name}`;

const isDataDir = (value: unknown): value is string => isOwnDirectory(value) && Buffer.byteLength(value) <= LONGEST_DIRECTORY;

const isAddress = (value: unknown): value is Ip | '*' => typeof value === 'string' && (value === '*' || parseIp(value) === value);

const isDuration = isWithin(100, 2 ** 31 - 1);
const DURATION = 'a number of milliseconds from 100 to 2147483647';
export const PORT_OR_NULL = 'a number from 1 to 65535, or null';

/** Whether there is a port, or none. */
export const isPortOrNull = isOrNull(isPort);

/** @throws FleetError ER0230 that says what was found and what is allowed */
export const programSettings = ({ take }: Fields): ProgramSettings => ({
  writes: take<number | null>('writes', 3306, isPortOrNull, PORT_OR_NULL),
  reads: take<number | null>('reads', 3307, isPortOrNull, PORT_OR_NULL),
  addresses: take<readonly (Ip | '*')[] | null>('addresses', null, isListOf(isAddress), 'a list of IPv4 or IPv6 addresses or *'),
  stats: take<number | null>('stats', null, isPortOrNull, PORT_OR_NULL),
  checkUser: take<string | null>('checkUser', null, isText(/^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/), 'the name of a user'),
  checkMs: take('checkMs', 1000, isDuration, DURATION),
  idleMs: take('idleMs', 8 * 3_600_000, isDuration, DURATION),
  lingerMs: take('lingerMs', 3_600_000, isDuration, DURATION),
  dataDir: take<string | null>('dataDir', null, isDataDir, `${OWN_DIRECTORY}, of at most ${LONGEST_DIRECTORY} bytes`),
  user: take('user', 'haproxy', isUserName, 'the name of a user'),
  group: take('group', 'haproxy', isUserName, 'the name of a group'),
  binary: take('binary', 'haproxy', isProgram, 'a program by name or absolute path'),
});
