import { FleetError } from '../../src/errors.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
  /** As it is shown to people. */
  readonly text: string;
}

const ADDRESS = /^(?:\[(?<ipv6>[0-9A-Fa-f:.]+)\]|(?<name>[A-Za-z0-9._-]+))(?::(?<port>\d{1,5}))?$/;
const DEFAULT_PORT = 11211;

/** Reads `host`, `host:port` or `[ipv6]:port`. Never empty, for memjs would then look for servers in the environment. */
export function parseAddress(text: string): Address {
  if (text.includes(',')) {
    throw new FleetError('ER0230', 'the option servers of memcached names several, but leases are safe on exactly one');
  }
  const groups = ADDRESS.exec(text)?.groups;
  const host = groups?.ipv6 ?? groups?.name;
  const port = Number(groups?.port ?? DEFAULT_PORT);
  // What was found is not shown: it may be a URL with a password.
  if (host === undefined || port < 1 || port > 65_535) {
    throw new FleetError('ER0230', 'the option servers of memcached must be host, host:port or [ipv6]:port');
  }
  return { host, port, text: groups?.ipv6 === undefined ? `${host}:${port}` : `[${host}]:${port}` };
}
