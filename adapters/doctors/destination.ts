import { type LookupAddress, type LookupOptions, lookup as resolve } from 'node:dns';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { FleetError } from '../../src/errors.ts';

const blockOf = (...subnets: readonly (readonly [address: string, bits: number])[]): BlockList => {
  const list = new BlockList();
  for (const [address, bits] of subnets) list.addSubnet(address, bits, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  return list;
};

const LOOPBACK = blockOf(['127.0.0.0', 8], ['::1', 128]);

/** Nobody's webhook: this network, link-local with its metadata services (also inside of IPv6), theirs elsewhere, multicast, broadcast. */
const FORBIDDEN = blockOf(
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  ['100.100.100.200', 32],
  ['192.0.0.192', 32],
  ['168.63.129.16', 32],
  ['224.0.0.0', 4],
  ['255.255.255.255', 32],
  ['::', 128],
  ['fe80::', 10],
  ['fd00:ec2::', 32],
  ['fd20:ce::', 32],
  ['64:ff9b::a9fe:0', 112],
  ['2002:a9fe::', 32],
  ['ff00::', 8],
);

const isIn = (list: BlockList, address: string): boolean => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** @throws FleetError ER0230 where it is no url that may be posted to */
export function checkedUrl(text: string, { doctor, allowHttp }: { readonly doctor: string; readonly allowHttp: boolean }): URL {
  const refuse = (found: string) =>
    new FleetError('ER0230', `the url of the doctor ${doctor} is ${found}; allowed is https, or http to this machine`);
  if (!URL.canParse(text)) throw refuse('none');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refuse(`one of ${url.protocol}`);
  if (url.username !== '' || url.password !== '') throw refuse('one with a user or a password in it, which belong into a header');
  const address = literalOf(url);
  if (address === null) return url;
  if (isIn(FORBIDDEN, address)) throw refuse(`one of ${address}, a link-local, metadata or group address`);
  if (url.protocol === 'http:' && !allowHttp && !isIn(LOOPBACK, address)) throw refuse(`http to ${address}`);
  return url;
}

/** The address that a url names, of which no name is looked up. */
function literalOf({ hostname }: URL): string | null {
  const address = hostname.replace(/^\[|\]$/g, '');
  return isIP(address) === 0 ? null : address;
}

/**
 * An agent whose connections go to the very addresses that were judged, whatever the name resolves to a moment later, and that
 * keeps none of them.
 */
export function agentFor(url: URL, { allowHttp }: { readonly allowHttp: boolean }): HttpAgent | HttpsAgent {
  const mustBeHere = url.protocol === 'http:' && !allowHttp;
  const lookup: LookupFunction = (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true } as LookupOptions & { all: true }, (error, addresses) => {
      const refusal = error ?? refusalOf(hostname, addresses, mustBeHere);
      const [first] = addresses ?? [];
      if (refusal || !first) callback(refusal ?? new Error('no address'), '', 0);
      else if (options.all) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
  return url.protocol === 'http:' ? new HttpAgent({ lookup }) : new HttpsAgent({ lookup });
}

function refusalOf(hostname: string, addresses: readonly LookupAddress[], mustBeHere: boolean): FleetError | null {
  for (const { address } of addresses) {
    if (isIn(FORBIDDEN, address))
      return new FleetError('ER0224', `${hostname} resolves to ${address}, a link-local, metadata or group address`);
    if (mustBeHere && !isIn(LOOPBACK, address))
      return new FleetError('ER0224', `${hostname} resolves to ${address}; http is allowed to this machine only`);
  }
  return null;
}
