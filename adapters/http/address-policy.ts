import { type LookupAddress, type LookupOptions, lookup as resolve } from 'node:dns';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { FleetError } from '../../src/errors.ts';

type Subnet = readonly [address: string, bits: number];

const blockOf = (...subnets: readonly Subnet[]): BlockList => {
  const list = new BlockList();
  for (const [address, bits] of subnets.flatMap((subnet) => [subnet, ...insideOf(subnet)]))
    list.addSubnet(address, bits, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  return list;
};

/** Whatever goes to an IPv6 address of these ends at the IPv4 one inside: SIIT, NAT64, 6to4. Mapped ones the list knows itself. */
function insideOf([address, bits]: Subnet): readonly Subnet[] {
  if (isIP(address) === 6) return [];
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  const to4 = `2002:${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}::`;
  return [...['::ffff:0:', '64:ff9b::', '64:ff9b:1::'].map((prefix) => [prefix + address, 96 + bits] as const), [to4, 16 + bits]];
}

const LOOPBACK = blockOf(['127.0.0.0', 8], ['::1', 128]);

/**
 * Nobody's API: this network, link-local with its metadata services, theirs elsewhere, multicast, broadcast, and the IPv6 addresses
 * that once held an IPv4 one behind zeros.
 */
const FORBIDDEN = blockOf(
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['100.100.100.200', 32],
  ['192.0.0.192', 32],
  ['168.63.129.16', 32],
  ['224.0.0.0', 4],
  ['255.255.255.255', 32],
  ['::', 96],
  ['fe80::', 10],
  ['fd00:ec2::', 32],
  ['fd20:ce::', 32],
  ['ff00::', 8],
);

const isIn = (list: BlockList, address: string): boolean => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** Where requests may go. Link-local, metadata and group addresses are refused under every rule. */
export interface AddressRules {
  /** Whether this machine may be called at all times, or only where `allow` lists it. */
  readonly loopback: 'always' | 'listed';
  /** Where http without TLS may go. */
  readonly http: 'anywhere' | 'loopback' | 'listed';
  /** Hosts or addresses, each with a port or with all of its ports: `127.0.0.1:5000`, `[::1]:5000`, `keystone.lab`. */
  readonly allow?: readonly string[];
}

export interface AddressPolicy {
  /** What forbids the url, as the end of "the url is …"; null where nothing does so far. Names are judged once they are resolved. */
  refusalOf(url: URL): string | null;
  /**
   * An agent whose connections go to the very addresses that were judged, whatever the name resolves to a moment later.
   * Connecting fails with a FleetError ER0224 where one of them is forbidden.
   */
  agentFor(url: URL, options?: AgentOptions): HttpAgent | HttpsAgent;
}

export interface AgentOptions {
  /** Whether connections are kept for the next request. False unless said. */
  readonly keepAlive?: boolean;
  /** Certificates to trust instead of those of Node, in PEM. */
  readonly ca?: string;
}

/** @throws FleetError ER0230 for an entry of `allow` that is no host and port */
export function addressPolicy(rules: AddressRules): AddressPolicy {
  const listed = (rules.allow ?? []).map(readEntry);

  const isListed = (port: string, ...hosts: readonly string[]): boolean =>
    listed.some((entry) => hosts.includes(entry.host) && (entry.port === null || entry.port === port));

  /** What forbids an address, reached by a url under a name. */
  function refusalOfAddress(address: string, url: URL): string | null {
    const isHere = isIn(LOOPBACK, address);
    if (!isHere && isIn(FORBIDDEN, address)) return `${address}, a link-local, metadata or group address`;
    const mayPass = isListed(portOf(url), hostOf(url), address);
    if (isHere && rules.loopback === 'listed' && !mayPass) return `${address}, which is this machine and not listed as allowed`;
    if (url.protocol === 'https:' || rules.http === 'anywhere' || mayPass) return null;
    if (rules.http === 'listed') return `${address}; http is allowed to listed hosts only`;
    return isHere ? null : `${address}; http is allowed to this machine only`;
  }

  function refusalOfAll(url: URL, addresses: readonly LookupAddress[]): FleetError | null {
    for (const { address } of addresses) {
      const refusal = refusalOfAddress(address, url);
      if (refusal !== null) return new FleetError('ER0224', `${url.hostname} resolves to ${refusal}`);
    }
    return null;
  }

  return {
    refusalOf(url) {
      if (url.protocol !== 'https:' && url.protocol !== 'http:') return `one of ${url.protocol}`;
      if (url.username !== '' || url.password !== '') return 'one with a user or a password in it';
      const host = hostOf(url);
      if (isIP(host) === 0) {
        const mayBePlain = url.protocol === 'https:' || rules.http !== 'listed' || isListed(portOf(url), host);
        return mayBePlain ? null : `http to ${host}, which is not listed as allowed`;
      }
      const refusal = refusalOfAddress(host, url);
      return refusal === null ? null : `one of ${refusal}`;
    },

    agentFor(url, { keepAlive = false, ca } = {}) {
      const lookup: LookupFunction = (hostname, options, callback) => {
        resolve(hostname, { ...options, all: true } as LookupOptions & { all: true }, (error, addresses) => {
          const refusal = error ?? refusalOfAll(url, addresses);
          const [first] = addresses ?? [];
          if (refusal || !first) callback(refusal ?? new Error('no address'), '', 0);
          else if (options.all) callback(null, addresses);
          else callback(null, first.address, first.family);
        });
      };
      const options = { lookup, keepAlive };
      return url.protocol === 'http:' ? new HttpAgent(options) : new HttpsAgent({ ...options, ...(ca !== undefined && { ca }) });
    },
  };
}

/** The host as an address would be written elsewhere: without the brackets of IPv6. */
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '');

const portOf = ({ port, protocol }: URL): string => port || (protocol === 'https:' ? '443' : '80');

const ENTRY = /^(\[[0-9A-Fa-f:.]+\]|[^\s:/@[\]]+)(?::(\d{1,5}))?$/;

function readEntry(text: string): { readonly host: string; readonly port: string | null } {
  const [, host = '', port] = ENTRY.exec(text) ?? [];
  if (host === '' || !URL.canParse(`http://${host}`)) {
    const found = JSON.stringify(text);
    throw new FleetError('ER0230', `an allowed address is a host or host:port, with IPv6 in brackets; found ${found}`);
  }
  return { host: hostOf(new URL(`http://${host}`)), port: port ?? null };
}
