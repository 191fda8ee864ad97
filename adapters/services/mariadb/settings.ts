import { posix } from 'node:path';
import { FleetError } from '../../../src/errors.ts';
import { credentialsReader, type ReadVariable } from './credentials.ts';
import { isOwnedOption } from './options.ts';
import { type ExtraOptions, type MariadbSettings, SOCKET } from './service.ts';

/** What the kernel keeps of a socket's path, but for the zero at its end. */
const SOCKET_PATH = 107;
const MONITOR_PASSWORD = { pattern: /^[^\p{Cc}]{1,256}$/u, allowed: 'at most 256 characters, none of them a control' };
/** A replica keeps its own in a file of lines, no longer than this, and only these come back out of it as they were. */
const REPLICATION_PASSWORD = { pattern: /^[ -~]{1,32}$/, allowed: 'at most 32 characters, all of them printable ASCII' };

const isWithin =
  (low: number, high: number) =>
  (value: unknown): value is number =>
    typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high;

const isText =
  (pattern: RegExp) =>
  (value: unknown): value is string =>
    typeof value === 'string' && pattern.test(value);

const isPath = (value: unknown): value is string =>
  isText(/^\/[^\p{Cc}]*[^/\p{Cc}]$/u)(value) && posix.normalize(value) === value;
/** Not a directory of the root directory: those are never one service's own. */
const isOwnDirectory = (value: unknown): value is string =>
  isPath(value) && value.lastIndexOf('/') > 0 && Buffer.byteLength(`${value}/run/${SOCKET}`) <= SOCKET_PATH;
const isSocket = (value: unknown): value is string => isPath(value) && Buffer.byteLength(value) <= SOCKET_PATH;
const isProgram = isText(/^[A-Za-z0-9_/][A-Za-z0-9._/+-]*$/);

const isOptions = (value: unknown): value is ExtraOptions =>
  isRecord(value) &&
  Object.entries(value).every(
    ([name, one]) =>
      /^[a-z][a-z0-9_]{0,63}$/.test(name) &&
      !isOwnedOption(name) &&
      (typeof one === 'boolean' || Number.isFinite(one) || isText(/^[^\p{Cc}]{0,1000}$/u)(one)),
  );

const isRecord = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);

/** @throws FleetError ER0230 that says what was found and what is allowed; what may be a secret is not shown */
export function readSettings(raw: unknown, mode: string, variable: ReadVariable): MariadbSettings {
  const { take, end } = fieldsOf(raw, (allowed, found) => refusal(mode, allowed, found));
  const binaries = fieldsOf(take('binaries', {}, isRecord, 'programs by what they do'), (allowed, found) =>
    refusal(mode, `have as 'binaries' what ${allowed}`, found),
  );
  const program = (key: string, fallback: string) =>
    binaries.take(key, fallback, isProgram, 'a program by name or absolute path');
  const credentials = credentialsReader(mode, variable);

  const settings: MariadbSettings = {
    port: take('port', 3306, isWithin(1, 65_535), 'a number from 1 to 65535'),
    dataDir: take<string | null>(
      'dataDir',
      null,
      isOwnDirectory,
      'an absolute path of two steps or more, without . and .., of at most 90 bytes',
    ),
    serverId: take<number | null>('serverId', null, isWithin(1, 2 ** 32 - 1), 'a number from 1 to 4294967295'),
    user: take('user', 'mysql', isText(/^[a-z_][a-z0-9_-]{0,31}$/), 'the name of a user'),
    binaries: {
      server: program('server', 'mariadbd'),
      client: program('client', 'mariadb'),
      install: program('install', 'mariadb-install-db'),
      dump: program('dump', 'mariadb-dump'),
    },
    memoryMb: take('memoryMb', 128, isWithin(8, 16_777_216), 'a number of MiB from 8 to 16777216'),
    options: take<ExtraOptions>(
      'options',
      {},
      isOptions,
      'numbers, texts and booleans by the names of options with _, none of them one that the kind sets itself',
    ),
    monitor: credentials('monitor', take('monitor', {}, isRecord, '{ user, password }'), 'fleetbeat_monitor', MONITOR_PASSWORD),
    replication: credentials(
      'replication',
      take('replication', {}, isRecord, '{ user, password }'),
      'fleetbeat_replica',
      REPLICATION_PASSWORD,
    ),
    clientHosts: take('clientHosts', '%', isText(/^[A-Za-z0-9.:%_/-]{1,255}$/), 'a host as MariaDB writes it, such as 10.0.0.%'),
    lagLimitMs: take('lagLimitMs', 10_000, isWithin(0, 86_400_000), 'a number of milliseconds up to 86400000'),
    socket: take<string | null>('socket', null, isSocket, 'an absolute path without . and .., of at most 107 bytes'),
    startMs: take('startMs', 60_000, isWithin(100, 86_400_000), 'a number of milliseconds from 100 to 86400000'),
    stopMs: take('stopMs', 60_000, isWithin(100, 86_400_000), 'a number of milliseconds from 100 to 86400000'),
  };
  binaries.end();
  end();
  if (settings.monitor.user === settings.replication.user)
    throw refusal(mode, 'have two users, since each may do only its own', settings.monitor.user);
  return settings;
}

/** Takes the fields of an object one by one; `end` refuses what is left. */
function fieldsOf(raw: unknown, refuse: (allowed: string, found: unknown) => FleetError) {
  if (raw !== undefined && !isRecord(raw)) throw refuse('are an object', raw);
  const given = new Map<string, unknown>(Object.entries(raw ?? {}));
  const known: string[] = [];
  return {
    take<T>(key: string, fallback: T, isAllowed: (value: unknown) => value is T, allowed: string): T {
      known.push(key);
      const value = given.get(key);
      given.delete(key);
      if (value === undefined) return fallback;
      if (!isAllowed(value)) throw refuse(`have as '${key}' ${allowed}`, value);
      return value;
    },
    end() {
      const [stranger] = given.keys();
      if (stranger !== undefined) throw refuse(`are ${known.join(', ')}`, stranger);
    },
  };
}

const refusal = (mode: string, allowed: string, found: unknown): FleetError =>
  new FleetError('ER0230', `the settings of a ${mode} ${allowed}, found ${shown(found)}`);

/** Options and users may hold what nobody is to see; their names tell enough. */
const shown = (found: unknown): string => (isRecord(found) ? `{ ${Object.keys(found).join(', ')} }` : JSON.stringify(found));
