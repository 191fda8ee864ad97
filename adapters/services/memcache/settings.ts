import { posix } from 'node:path';
import type { Service } from '../../../src/domain/service.ts';
import { FleetError } from '../../../src/errors.ts';

export interface MemcacheSettings {
  /** Default 11211. */
  readonly port: number;
  /** Memory for items, in MiB. Default 64. */
  readonly memoryMb: number;
  /** Holds the marker of the installation and the pid file; deleted by `remove`. Default `/var/lib/fleetbeat/<name>`. */
  readonly dataDir: string | null;
  /** Who it runs as where root starts it. Default `nobody`. */
  readonly user: string;
  /** A program of the host's PATH, or an absolute path. Default `memcached`. */
  readonly binary: string;
}

export const dataDirOf = ({ name, settings }: Service<MemcacheSettings>): string =>
  settings.dataDir ?? `/var/lib/fleetbeat/${name}`;

const isWithin =
  (low: number, high: number) =>
  (value: unknown): value is number =>
    typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high;

const isText =
  (pattern: RegExp) =>
  (value: unknown): value is string =>
    typeof value === 'string' && pattern.test(value);

/** Not a directory of the root directory: those are never one service's own. */
const isOwnDirectory = (value: unknown): value is string =>
  isText(/^\/[^/\p{Cc}]+\/[^\p{Cc}]*[^/\p{Cc}]$/u)(value) && posix.normalize(value) === value;

/** @throws FleetError ER0230 that says what was found and what is allowed */
export function readSettings(raw: unknown): MemcacheSettings {
  if (raw !== undefined && (typeof raw !== 'object' || raw === null || Array.isArray(raw))) throw refusal('are an object', raw);
  const given = new Map<string, unknown>(Object.entries(raw ?? {}));

  const take = <T>(key: string, fallback: T, isAllowed: (value: unknown) => value is T, allowed: string): T => {
    const value = given.get(key);
    given.delete(key);
    if (value === undefined) return fallback;
    if (!isAllowed(value)) throw refusal(`have as '${key}' ${allowed}`, value);
    return value;
  };

  const settings: MemcacheSettings = {
    port: take('port', 11_211, isWithin(1, 65_535), 'a number from 1 to 65535'),
    memoryMb: take('memoryMb', 64, isWithin(1, 1_048_576), 'a number of MiB from 1 to 1048576'),
    dataDir: take<string | null>('dataDir', null, isOwnDirectory, 'an absolute path of two steps or more, without . and ..'),
    user: take('user', 'nobody', isText(/^[a-z_][a-z0-9_-]{0,31}$/), 'the name of a user'),
    binary: take('binary', 'memcached', isText(/^[A-Za-z0-9_/][A-Za-z0-9._/+-]*$/), 'a program by name or absolute path'),
  };
  const [stranger] = given.keys();
  if (stranger !== undefined) throw refusal(`are ${Object.keys(settings).join(', ')}`, stranger);
  return settings;
}

const refusal = (allowed: string, found: unknown): FleetError =>
  new FleetError('ER0230', `the settings of a memcache ${allowed}, found ${JSON.stringify(found)}`);
