import type { Service } from '../../../src/domain/service.ts';
import { fieldsOf, isOwnDirectory, isPort, isProgram, isUserName, isWithin, OWN_DIRECTORY } from '../../host/settings.ts';

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

/** @throws FleetError ER0230 that says what was found and what is allowed */
export function readSettings(raw: unknown): MemcacheSettings {
  const { take, end } = fieldsOf(raw, 'memcache');
  const settings: MemcacheSettings = {
    port: take('port', 11_211, isPort, 'a number from 1 to 65535'),
    memoryMb: take('memoryMb', 64, isWithin(1, 1_048_576), 'a number of MiB from 1 to 1048576'),
    dataDir: take<string | null>('dataDir', null, isOwnDirectory, OWN_DIRECTORY),
    user: take('user', 'nobody', isUserName, 'the name of a user'),
    binary: take('binary', 'memcached', isProgram, 'a program by name or absolute path'),
  };
  end();
  return settings;
}
