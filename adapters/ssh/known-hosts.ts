import { createHmac } from 'node:crypto';
import { FleetError } from '../../src/errors.ts';

/** One line of a known_hosts file that names a host and its key. */
export interface KnownHost {
  readonly revoked: boolean;
  /** Whether the line is about `host`, written as {@link hostName} writes it. */
  readonly matches: (host: string) => boolean;
  readonly key: Buffer;
}

const DEFAULT_PORT = 22;

/** How known_hosts names a host: the bare address on port 22, else `[address]:port`. */
export const hostName = (ip: string, port: number): string => (port === DEFAULT_PORT ? ip : `[${ip}]:${port}`);

/**
 * Reads the text of a known_hosts file: plain names with `*`, `?` and `!`, hashed names, `[host]:port`, `@revoked`.
 * Lines of certificate authorities are passed over, since certificates are not asked for.
 *
 * @throws FleetError ER0230 with the number of a line that cannot be read
 */
export function readKnownHosts(text: string): readonly KnownHost[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    const trimmed = line.trim();
    return trimmed === '' || trimmed.startsWith('#') ? [] : readLine(trimmed, index + 1);
  });
}

/** The line that makes this key known, without its line end. */
export const knownHostLine = (ip: string, port: number, key: Buffer): string =>
  `${hostName(ip, port)} ${keyType(key)} ${key.toString('base64')}`;

/** The key's own word for its type: the first string in it. Empty where the bytes are no key. */
export function keyType(key: Buffer): string {
  const length = key.length >= 4 ? key.readUInt32BE(0) : 0;
  return length < key.length ? key.toString('latin1', 4, 4 + length) : '';
}

function readLine(line: string, number: number): KnownHost[] {
  const words = line.split(/\s+/);
  const marker = words[0]?.startsWith('@') ? words.shift() : undefined;
  if (marker === '@cert-authority') return [];
  if (marker !== undefined && marker !== '@revoked') {
    throw unreadable(number, `found the marker ${JSON.stringify(marker)}, allowed are @revoked and @cert-authority`);
  }
  const [names, type, base64] = words;
  if (!names || !type || !base64) throw unreadable(number, 'a line has the hosts, the type of the key and the key');
  const key = Buffer.from(base64, 'base64');
  if (keyType(key) !== type) throw unreadable(number, `the key is not of the type ${JSON.stringify(type)} that stands before it`);
  return [{ revoked: marker === '@revoked', matches: namesMatch(names, number), key }];
}

function namesMatch(names: string, number: number): (host: string) => boolean {
  if (names.startsWith('|')) return hashedNameMatches(names, number);
  const patterns = names.split(',').map((name) => ({
    excludes: name.startsWith('!'),
    pattern: glob(name.replace(/^!/, '')),
  }));
  return (host) => {
    const hits = patterns.filter(({ pattern }) => pattern.test(host));
    return hits.length > 0 && hits.every(({ excludes }) => !excludes);
  };
}

function hashedNameMatches(name: string, number: number): (host: string) => boolean {
  const [, scheme, salt, hash] = name.split('|');
  if (scheme !== '1' || !salt || !hash) throw unreadable(number, 'a hashed name is written |1|salt|hash');
  const saltBytes = Buffer.from(salt, 'base64');
  const expected = Buffer.from(hash, 'base64');
  return (host) => createHmac('sha1', saltBytes).update(host).digest().equals(expected);
}

const glob = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
    'i',
  );

const unreadable = (number: number, detail: string): FleetError =>
  new FleetError('ER0230', `line ${number} of the known hosts cannot be read: ${detail}`);
