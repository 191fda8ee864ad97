import { reveal } from '../../http/secret.ts';
import { passwordHash } from './password.ts';
import { type Credentials, escaped, type Mariadb } from './service.ts';

/** Of what follows, nothing goes into the binary log: it is about this server, and would be a transaction that its master does not have. */
const UNLOGGED = 'SET SESSION sql_log_bin = 0';

/** A text in SQL, where `sql_mode` is what {@link PLAIN} makes it. */
const literal = (text: string): string => `'${escaped(text)}'`;
const PLAIN = "SET SESSION sql_mode = ''";

/**
 * The users of a server, each with no more than it needs. They are made on every server by itself, so that a replica can be probed
 * before it follows anybody.
 */
export function usersStatements({ settings }: Mariadb): readonly string[] {
  const user = ({ user: name, password }: Credentials, privilege: string) => {
    const account = `${literal(name)}@${literal(settings.clientHosts)}`;
    const identified = `${account} IDENTIFIED BY PASSWORD ${literal(passwordHash(password))}`;
    return [`CREATE USER IF NOT EXISTS ${identified}`, `ALTER USER ${identified}`, `GRANT ${privilege} ON *.* TO ${account}`];
  };
  const checkUser =
    settings.checkUser === null
      ? []
      : [`CREATE USER IF NOT EXISTS ${literal(settings.checkUser)}@${literal(settings.clientHosts)}`];
  return [
    PLAIN,
    UNLOGGED,
    ...user(settings.monitor, 'SLAVE MONITOR'),
    ...user(settings.replication, 'REPLICATION SLAVE'),
    ...checkUser,
  ];
}

/** Whoever copies all data of a master, for as long as that takes. One for each replica; what an earlier copy has left is replaced. */
export const copierStatements = (user: string, from: Mariadb, hash: string): readonly string[] => {
  const account = `${literal(user)}@${literal(from.settings.clientHosts)}`;
  return [
    PLAIN,
    UNLOGGED,
    `CREATE OR REPLACE USER ${account} IDENTIFIED BY PASSWORD ${literal(hash)}`,
    `GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES, RELOAD, BINLOG MONITOR ON *.* TO ${account}`,
  ];
};

export const noCopierStatements = (user: string, from: Mariadb): readonly string[] => [
  PLAIN,
  UNLOGGED,
  `DROP USER IF EXISTS ${literal(user)}@${literal(from.settings.clientHosts)}`,
];

/** Makes a server follow a master by GTID from wherever it is now. */
export const followStatements = (of: Mariadb, master: Mariadb): readonly string[] => {
  const { port, replication } = master.settings;
  const target = {
    MASTER_HOST: literal(master.ip),
    MASTER_PORT: port,
    MASTER_USER: literal(replication.user),
    MASTER_PASSWORD: literal(reveal(replication.password)),
    MASTER_USE_GTID: 'slave_pos',
    MASTER_CONNECT_RETRY: 2,
  };
  return [
    PLAIN,
    ...readOnly(of),
    'STOP SLAVE',
    `CHANGE MASTER TO ${Object.entries(target)
      .map(([name, value]) => `${name} = ${value}`)
      .join(', ')}`,
    'START SLAVE',
  ];
};

/** What a server has written itself as a master is where it goes on as a replica. */
export const ADOPT_POSITION = 'SET GLOBAL gtid_slave_pos = @@gtid_current_pos';

/** It takes no writes any more, and as a replica waits for nobody to have what it replays. */
export const readOnly = ({ settings }: Mariadb): readonly string[] => [
  'SET GLOBAL read_only = 1',
  ...(settings.semiSync ? ['SET GLOBAL rpl_semi_sync_master_enabled = 0'] : []),
];

export const writable = ({ settings }: Mariadb): readonly string[] => [
  ...(settings.semiSync ? ['SET GLOBAL rpl_semi_sync_master_enabled = 1'] : []),
  'SET GLOBAL read_only = 0',
];

/** How many tables there are that are not the server's own. */
export const COUNT_TABLES = `SELECT COUNT(*) FROM information_schema.TABLES
  WHERE TABLE_SCHEMA NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')`;
