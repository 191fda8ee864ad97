import { randomInt } from 'node:crypto';

const block = `127.${randomInt(1, 255)}.${randomInt(0, 256)}`;

/**
 * An address that is this machine's own without any set-up, as all of 127.0.0.0/8 is on Linux: "the instance with the ip …".
 * Each test file has a random /24 block of it, so that files may run side by side.
 */
export function loopback(host: number): string {
  if (!Number.isInteger(host) || host < 1 || host > 254) throw new RangeError(`no host ${host} in ${block}.0/24`);
  return `${block}.${host}`;
}
