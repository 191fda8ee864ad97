import { posix } from 'node:path';
import { FleetError } from '../../../src/errors.ts';
import { fieldsOf, isOrNull, isOwnDirectory, isPort, isProgram, isText, isUserName, isWithin } from '../../host/settings.ts';
import { reveal, type Secret } from '../../http/secret.ts';
import { isOwnedOption } from './options.ts';
import { type Credentials, type ExtraOptions, type MariadbBinaries, type MariadbSettings, SOCKET } from './service.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws FleetError ER0230 that says what was found and what is allowed; what may be a secret is not shown */
export function readSettings(raw: unknown, mode: string, env: Environment): MariadbSettings {
  const { take, end } = fieldsOf(raw, mode, env);
  const settings: MariadbSettings = {
    port: take('port', 3306, isPort, 'a number from 1 to 65535'),
    dataDir: take<string | null>('dataDir', null, isOrNull(isDataDir), DATA_DIR),
    serverId: take<number | null>('serverId', null, isOrNull(isWithin(1, 2 ** 32 - 1)), 'a number from 1 to 4294967295'),
    user: take('user', 'mysql', isUserName, 'the name of a user'),
    binaries: readBinaries(take('binaries', {}, isRecord, 'programs by what they do'), mode),
    memoryMb: take('memoryMb', 128, isWithin(8, 16_777_216), 'a number of MiB from 8 to 16777216'),
    options: take<ExtraOptions>('options', {}, isOptions, OPTIONS),
    monitor: readCredentials('monitor', take('monitor', {}, isRecord, CREDENTIALS), MONITOR, mode, env),
    replication: readCredentials('replication', take('replication', {}, isRecord, CREDENTIALS), REPLICATION, mode, env),
    checkUser: take<string | null>('checkUser', null, isOrNull(isAccount), ACCOUNT),
    clientHosts: take('clientHosts', '%', isText(/^[A-Za-z0-9.:%_/-]{1,255}$/), 'a host as MariaDB writes it, such as 10.0.0.%'),
    lagLimitMs: take('lagLimitMs', 10_000, isWithin(0, 86_400_000), 'a number of milliseconds up to 86400000'),
    catchUpMs: take('catchUpMs', 5000, isDuration, DURATION),
    semiSync: take('semiSync', false, isFlag, 'true or false'),
    socket: take<string | null>('socket', null, isOrNull(isSocket), `an absolute path of at most ${SOCKET_PATH} bytes`),
    answerMs: take('answerMs', 2000, isDuration, DURATION),
    startMs: take('startMs', 60_000, isDuration, DURATION),
    stopMs: take('stopMs', 60_000, isDuration, DURATION),
  };
  end();
  const users = [settings.monitor.user, settings.replication.user, settings.checkUser];
  if (new Set(users).size < users.length)
    throw new FleetError('ER0230', `the settings of a ${mode} have users that differ, since each may do only its own`);
  return settings;
}

function readBinaries(raw: object, mode: string): MariadbBinaries {
  const { take, end } = fieldsOf(raw, `${mode}'s binaries`);
  const program = (key: string, fallback: string) => take(key, fallback, isProgram, 'a program by name or absolute path');
  const binaries = {
    server: program('server', 'mariadbd'),
    client: program('client', 'mariadb'),
    install: program('install', 'mariadb-install-db'),
    dump: program('dump', 'mariadb-dump'),
  };
  end();
  return binaries;
}

interface UserRule {
  readonly user: string;
  readonly password: RegExp;
  readonly allowed: string;
}

const isFlag = (value: unknown): value is boolean => typeof value === 'boolean';

const CREDENTIALS = '{ user, password }';
const MONITOR: UserRule = {
  user: 'fleetbeat_monitor',
  password: /^[^\p{Cc}]{1,256}$/u,
  allowed: 'at most 256 characters, none of them a control',
};
/** A replica keeps its password in a file of lines, no longer than this, and only these characters come back as they were. */
const REPLICATION: UserRule = {
  user: 'fleetbeat_replica',
  password: /^[ -~]{1,32}$/,
  allowed: 'at most 32 characters, all of them printable ASCII',
};

function readCredentials(field: string, raw: object, rule: UserRule, mode: string, env: Environment): Credentials {
  const { take, takeSecret, end } = fieldsOf(raw, `${mode}'s ${field}`, env);
  const user = take('user', rule.user, isAccount, ACCOUNT);
  const password = takeSecret('password');
  end();
  return { user, password: sound(password, `the settings of a ${mode}'s ${field} have as 'password'`, rule) };
}

function sound(password: Secret | null, have: string, { password: pattern, allowed }: UserRule): Secret {
  if (password === null) throw new FleetError('ER0230', `${have} a secret, or { env: 'NAME' }, found none`);
  const text = reveal(password);
  if (pattern.test(text)) return password;
  throw new FleetError('ER0230', `${have} ${allowed}, found another one, of ${text.length} characters`);
}

/** A name that needs no care in SQL, in a file or in an argv, of a user whose rights are ours to give. */
const isAccount = (value: unknown): value is string => isText(/^[A-Za-z_][A-Za-z0-9_.-]{0,79}$/)(value) && !TAKEN.has(value);
const TAKEN: ReadonlySet<string> = new Set(['root', 'mysql', 'mariadb.sys', 'PUBLIC']);
const ACCOUNT = 'a name of letters, digits, _ . -, no administrator';

/** What the kernel keeps of a socket's path, but for the zero at its end. */
const SOCKET_PATH = 107;
const LONGEST_DIRECTORY = SOCKET_PATH - `/run/${SOCKET}`.length;
/** MariaDB takes what is parted by colons for several folders. */
const isDataDir = (value: unknown): value is string =>
  isOwnDirectory(value) && !value.includes(':') && Buffer.byteLength(value) <= LONGEST_DIRECTORY;
const DATA_DIR = `an absolute path of two steps or more, without . and .. and colons, of at most ${LONGEST_DIRECTORY} bytes`;
const isSocket = (value: unknown): value is string =>
  isText(/^\/[^\p{Cc}]*[^/\p{Cc}]$/u)(value) && posix.normalize(value) === value && Buffer.byteLength(value) <= SOCKET_PATH;

const isDuration = isWithin(100, 86_400_000);
const DURATION = 'a number of milliseconds from 100 to 86400000';

const isOptions = (value: unknown): value is ExtraOptions =>
  isRecord(value) && Object.entries(value).every(([name, one]) => isOption(name) && isOptionValue(one));
const isOption = (name: string): boolean => /^[a-z][a-z0-9_]{0,63}$/.test(name) && !isOwnedOption(name);
const isOptionValue = (value: unknown): boolean =>
  typeof value === 'boolean' || Number.isFinite(value) || isText(/^[^\p{Cc}]{0,1000}$/u)(value);
const OPTIONS = 'numbers, texts and booleans by the names of options with _, none of them one that the kind sets itself';

const isRecord = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);
