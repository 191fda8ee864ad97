import type { Heartbeat } from '../domain/heartbeat.ts';
import { type Ip, parseIp } from '../domain/identity.ts';
import type { HostBody } from './document.ts';

const isLoopback = (ip: Ip): boolean => ip.startsWith('127.') || ip === '::1' || ip.startsWith('::ffff:7f');

/** The addresses by which others reach a host, in the order of its interfaces. */
export function ipsOf(host: HostBody): readonly Ip[] {
  const ips = host.interfaces
    .flatMap((nics) => Object.values(nics))
    .map((nic) => parseIp(nic.IP))
    .filter((ip) => ip !== null)
    .filter((ip) => !isLoopback(ip));
  return [...new Set(ips)];
}

export const hostOf = (host: HostBody): NonNullable<Heartbeat['host']> => ({
  ips: ipsOf(host),
  ...(host.ram !== undefined && { ram: host.ram }),
});
