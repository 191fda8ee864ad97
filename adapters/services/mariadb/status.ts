import { FleetError } from '../../../src/errors.ts';
import type { Answer, Row, Servers } from './connection.ts';
import { type Gtid, parseGtids } from './gtid.ts';
import type { Mariadb } from './service.ts';

/** What a server says of itself. */
export interface ServerStatus {
  readonly runId: string;
  /** What told its options from others when it was started; null where that was not noted. */
  readonly startedWith: string | null;
  readonly serverId: number;
  readonly isReadOnly: boolean;
  readonly hasLog: boolean;
  /** Of every server that has written to this log, its last transaction. */
  readonly logged: readonly Gtid[];
  /** Where it is as a replica. */
  readonly replayed: readonly Gtid[];
  /** Where it is: as a replica, or past that by what it has written itself. */
  readonly current: readonly Gtid[];
  /** Null where it follows nobody. */
  readonly replica: ReplicaStatus | null;
}

export interface ReplicaStatus {
  readonly master: { readonly host: string; readonly port: number };
  readonly usesGtid: boolean;
  /** The thread that fetches: `Yes`, `Connecting`, `No`, `Preparing`. */
  readonly fetching: string;
  /** The thread that replays. */
  readonly replaying: string;
  readonly lagMs: number | null;
  /** How far it has fetched, replayed or not. */
  readonly received: readonly Gtid[];
  readonly fetchError: ReplicaError | null;
  readonly replayError: ReplicaError | null;
}

export interface ReplicaError {
  readonly number: number;
  readonly message: string;
}

/** The difference of the two times is when it started, by its own clock; its pid file bears the run's own name. */
const SERVER = `SELECT CONCAT(
    UNIX_TIMESTAMP() - CAST((SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME') AS UNSIGNED),
    ' ', @@pid_file) AS run, @@server_id AS serverId, @@read_only AS readOnly, @@log_bin AS logBin,
  @@gtid_binlog_state AS logged, @@gtid_slave_pos AS replayed, @@gtid_current_pos AS \`current\``;
const REPLICA = 'SHOW SLAVE STATUS';

export type StatusAnswer = Exclude<Answer, { kind: 'sound' }> | { readonly kind: 'sound'; readonly status: ServerStatus };

export async function readStatus(from: Servers, of: Mariadb, signal: AbortSignal): Promise<StatusAnswer> {
  const answer = await from.ask(of, [SERVER, REPLICA], of.settings.answerMs, signal);
  if (answer.kind !== 'sound') return answer;
  const [[server] = [], [replica] = []] = answer.results;
  if (!server) return { kind: 'unsound', reason: `${of.ip}:${of.settings.port} answered without a row`, isThere: true };
  return { kind: 'sound', status: statusOf(server, replica) };
}

/** @throws FleetError ER0003 where there is no such status */
export async function mustReadStatus(from: Servers, of: Mariadb, signal: AbortSignal): Promise<ServerStatus> {
  const answer = await readStatus(from, of, signal);
  if (answer.kind === 'sound') return answer.status;
  const reason = answer.kind === 'refused' ? `${of.ip}:${of.settings.port} refuses connections` : answer.reason;
  throw new FleetError('ER0003', `${of.name}: ${reason}`, { retryable: true });
}

function statusOf(server: Row, replica: Row | undefined): ServerStatus {
  const [started, pidFile = ''] = String(server.run).split(/ (.*)/s);
  const run = pidFile.replace(/^.*\//s, '').replace(/\.pid$/, '');
  return {
    runId: `${started}-${run}`,
    startedWith: /-([0-9a-f]{12})$/.exec(run)?.[1] ?? null,
    serverId: Number(server.serverId),
    isReadOnly: Number(server.readOnly) !== 0,
    hasLog: Number(server.logBin) !== 0,
    logged: parseGtids(String(server.logged ?? '')),
    replayed: parseGtids(String(server.replayed ?? '')),
    current: parseGtids(String(server.current ?? '')),
    replica: replica ? replicaOf(replica) : null,
  };
}

const replicaOf = (row: Row): ReplicaStatus => ({
  master: { host: String(row.Master_Host), port: Number(row.Master_Port) },
  usesGtid: row.Using_Gtid !== 'No',
  fetching: String(row.Slave_IO_Running),
  replaying: String(row.Slave_SQL_Running),
  lagMs: row.Seconds_Behind_Master == null ? null : Number(row.Seconds_Behind_Master) * 1000,
  received: parseGtids(String(row.Gtid_IO_Pos ?? '')),
  fetchError: errorOf(row.Last_IO_Errno, row.Last_IO_Error),
  replayError: errorOf(row.Last_SQL_Errno, row.Last_SQL_Error),
});

const errorOf = (number: unknown, message: unknown): ReplicaError | null =>
  Number(number) === 0 ? null : { number: Number(number), message: String(message) };
