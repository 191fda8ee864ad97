import { createHmac } from 'node:crypto';
import { reveal } from '../../http/secret.ts';
import { dataDirOf, type ExtraOptions, type Mariadb, serverIdOf, socketOf } from './service.ts';

/**
 * The options that make a server what the kind says it is. It always starts read-only, also a master: what returns from anywhere
 * accepts no write before the step `replicating` has found that it may.
 */
const OWN = {
  datadir: (of) => `${dataDirOf(of)}/data`,
  socket: socketOf,
  port: (of) => of.settings.port,
  bind_address: (of) => of.ip,
  server_id: serverIdOf,
  read_only: () => 1,
  log_bin: () => 'binlog',
  log_slave_updates: () => 1,
  binlog_format: () => 'ROW',
  sync_binlog: () => 1,
  innodb_flush_log_at_trx_commit: () => 1,
  relay_log: () => 'relay',
  relay_log_recovery: () => 1,
  gtid_strict_mode: () => 1,
  rpl_semi_sync_slave_enabled: (of) => Number(of.settings.semiSync),
  // Only who is let write waits for replicas: one that follows would wait for its own, and it has none.
  rpl_semi_sync_master_enabled: () => 0,
  report_host: (of) => of.ip,
  report_port: (of) => of.settings.port,
  skip_name_resolve: () => 1,
  local_infile: () => 0,
  innodb_buffer_pool_size: (of) => `${of.settings.memoryMb}M`,
} as const satisfies Readonly<Record<string, (of: Mariadb) => string | number>>;

/** Others that would undo what those say, take the server off the network, or let anyone in. */
const UNDOING = [
  'bootstrap',
  'chroot',
  'daemonize',
  'grant_tables',
  'gtid_domain_id',
  'init_connect',
  'init_file',
  'init_slave',
  'log_error',
  'networking',
  'pid_file',
  'secure_auth',
  'slave_skip_errors',
  'slave_start',
  'sql_log_bin',
  'unix_socket',
  'user',
] as const;

/** What an extra option may set to another value. */
const defaultsOf = (of: Mariadb): ExtraOptions => ({
  // A server that starts deletes what it takes for its own leftovers there: two must not share it.
  tmpdir: `${dataDirOf(of)}/tmp`,
  // A dead master is missed in so many seconds, and connecting to one that is gone takes as many: not the minute of the default.
  slave_net_timeout: 5,
  character_set_server: 'utf8mb4',
});

/** MariaDB takes any option with one of these in front. */
const PREFIX = /^(?:loose|skip|disable|enable|maximum|autoset)_/;

const withoutPrefixes = (name: string): string => (PREFIX.test(name) ? withoutPrefixes(name.replace(PREFIX, '')) : name);

const OWNED: readonly string[] = [...Object.keys(OWN), ...UNDOING].map(withoutPrefixes);

/** Whether an option, however it is written, may be one that the kind sets: MariaDB also takes the beginning of a name for the whole. */
export const isOwnedOption = (name: string): boolean => OWNED.some((owned) => owned.startsWith(withoutPrefixes(name)));

export const optionFilePath = (of: Mariadb): string => `${dataDirOf(of)}/my.cnf`;

/** The option file of a server. For people, texts among its extra options are masked: one may be a secret. */
export function optionFile(of: Mariadb, extra: 'shown' | 'masked'): string {
  const { options } = of.settings;
  const isMasked = (name: string) => extra === 'masked' && Object.hasOwn(options, name) && typeof options[name] === 'string';
  const given = Object.entries({ ...defaultsOf(of), ...options }).map(
    ([name, value]) => `${name}=${isMasked(name) ? '***' : written(value)}`,
  );
  const own = Object.entries(OWN).map(([name, valueOfOwn]) => `${name}=${written(valueOfOwn(of))}`);
  const comment = '# Written by fleetbeat: change the settings of the service instead.';
  return [comment, '[mariadbd]', ...given, ...own, ''].join('\n');
}

/**
 * What tells the options of one start from those of another, also to whoever asks the server. A secret among them cannot be guessed
 * from it, since the monitor's goes into it.
 */
export const optionsMark = (of: Mariadb): string =>
  createHmac('sha256', reveal(of.settings.monitor.password)).update(optionFile(of, 'shown')).digest('hex').slice(0, 12);

function written(value: string | number | boolean): string {
  if (typeof value === 'boolean') return value ? '1' : '0';
  return typeof value === 'number' ? String(value) : `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
