import { isIPv6 } from 'node:net';
import { type Ip, parseIp } from '../../../src/domain/identity.ts';
import type { Service } from '../../../src/domain/service.ts';
import { FleetError } from '../../../src/errors.ts';
import { fieldsOf, isListOf, isOrNull, isOwnDirectory, isProgram, isText, isWithin } from '../../host/settings.ts';

export interface KeepalivedSettings {
  /** The addresses that move, each with the length of its network: `10.0.0.100/24`. All of one family. */
  readonly addresses: readonly string[];
  /** The interface that they are put on. Default `eth0`. */
  readonly interface: string;
  /** Which group of hosts this is, among all in one network: from 1 to 255, the same for all of a cluster. Default 51. */
  readonly routerId: number;
  /** Whoever has the highest and is well has the addresses. Default 150 for a master, 100 for any other. */
  readonly priority: number | null;
  /** How often the one that has them says so, in milliseconds; three times that, and another takes over. Default 1000. */
  readonly advertMs: number;
  /** Whether one of higher priority takes them back when it returns. Default true. */
  readonly preempt: boolean;
  /**
   * Whether the addresses leave a host on which a balancer of the same cluster does not run. Default true.
   */
  readonly followsBalancers: boolean;
  /**
   * Holds its configuration and pid files; deleted by `remove`. Letters, digits and `. _ - /` only, since keepalived reads it.
   * Default `/var/lib/fleetbeat/<name>`.
   */
  readonly dataDir: string | null;
  /** A program of the host's PATH, or an absolute path. Default `keepalived`. */
  readonly binary: string;
}

export const dataDirOf = ({ name, settings }: Service<KeepalivedSettings>): string =>
  settings.dataDir ?? `/var/lib/fleetbeat/${name}`;

/** The address of one that moves, without its network. */
export const ipOf = (address: string): Ip => (parseIp(address.split('/')[0] ?? '') ?? address) as Ip;

function isMovingAddress(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  const [text = '', length = '', ...more] = value.split('/');
  if (more.length > 0 || parseIp(text) !== text || !/^[1-9]\d{0,2}$/.test(length)) return false;
  return Number(length) <= (isIPv6(text) ? 128 : 32);
}

const isAddressList = (value: unknown): value is readonly string[] =>
  isListOf(isMovingAddress)(value) && new Set(value.map((one) => one.includes(':'))).size === 1 && value.length <= 20;

const isPlainDirectory = (value: unknown): value is string => isOwnDirectory(value) && /^[A-Za-z0-9._/-]{1,200}$/.test(value);

const isFlag = (value: unknown): value is boolean => typeof value === 'boolean';

/** @throws FleetError ER0230 that says what was found and what is allowed */
export function readSettings(raw: unknown): KeepalivedSettings {
  const { take, end } = fieldsOf(raw, 'keepalived');
  const settings: KeepalivedSettings = {
    addresses: take('addresses', NO_ADDRESSES, isAddressList, ADDRESSES),
    interface: take('interface', 'eth0', isText(/^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/), 'the name of an interface'),
    routerId: take('routerId', 51, isWithin(1, 255), 'a number from 1 to 255'),
    priority: take<number | null>('priority', null, isOrNull(isWithin(1, 254)), 'a number from 1 to 254'),
    advertMs: take('advertMs', 1000, isWithin(10, 40_000), 'a number of milliseconds from 10 to 40000'),
    preempt: take('preempt', true, isFlag, 'true or false'),
    followsBalancers: take('followsBalancers', true, isFlag, 'true or false'),
    dataDir: take<string | null>(
      'dataDir',
      null,
      isPlainDirectory,
      'an absolute path of letters, digits and . _ - /, of two steps or more',
    ),
    binary: take('binary', 'keepalived', isProgram, 'a program by name or absolute path'),
  };
  end();
  if (settings.addresses.length === 0)
    throw new FleetError('ER0230', `the settings of a keepalived have as 'addresses' ${ADDRESSES}, found none`);
  return settings;
}

const ADDRESSES = 'a list of up to 20 addresses of one family, each with the length of its network, such as 10.0.0.100/24';
const NO_ADDRESSES: readonly string[] = [];
