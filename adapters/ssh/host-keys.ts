import { createHash } from 'node:crypto';
import type { ServerHostKeyAlgorithm } from 'ssh2';
import { type Ip, parseIp } from '../../src/domain/identity.ts';
import { FleetError } from '../../src/errors.ts';
import { hostName, keyType, knownHostLine, readKnownHosts } from './known-hosts.ts';

/** What there is to tell a host's true key by. */
export interface HostKeyOptions {
  /** The text of a known_hosts file. */
  readonly knownHosts?: string;
  /** By ip, the fingerprints as `ssh-keygen -l` writes them: `SHA256:…`. They go before the known hosts. */
  readonly fingerprints?: ReadonlyMap<string, string | readonly string[]> | Readonly<Record<string, string | readonly string[]>>;
  /** Accepts the first key of a host of which nothing is known. Whoever is between us and the host at that time is then believed. */
  readonly trustOnFirstUse?: {
    /** Keeps the line, which belongs into `knownHosts` from then on. Awaited before the connection is used. */
    readonly record: (ip: Ip, line: string) => void | Promise<void>;
  };
}

/** Whether a key is the host's own. `first` is one that may be trusted, once it is recorded. */
export type Verdict = 'trusted' | 'first' | 'unknown' | 'changed' | 'revoked';

export interface HostKeys {
  /**
   * The algorithms to ask a host for, in turn, until one brings a trusted key. Only those that we have keys of: a server with
   * several keys would else show one that we do not know.
   */
  offers(ip: Ip, port: number): readonly (readonly ServerHostKeyAlgorithm[])[];
  judge(ip: Ip, port: number, key: Buffer): Verdict;
  /** Takes a key that its host has proven to hold: a first one is recorded, and every one is asked for from then on. */
  accept(ip: Ip, port: number, key: Buffer): Promise<void>;
}

/** By the type of a key, how its host may sign with it: never by SHA-1. */
const ALGORITHMS: ReadonlyMap<string, readonly ServerHostKeyAlgorithm[]> = new Map([
  ['ssh-ed25519', ['ssh-ed25519']],
  ['ecdsa-sha2-nistp256', ['ecdsa-sha2-nistp256']],
  ['ecdsa-sha2-nistp384', ['ecdsa-sha2-nistp384']],
  ['ecdsa-sha2-nistp521', ['ecdsa-sha2-nistp521']],
  ['ssh-rsa', ['rsa-sha2-512', 'rsa-sha2-256']],
] as const);

const ANY = [...ALGORITHMS.values()].flat();

/** The fingerprint of a public key, as OpenSSH writes it. */
export const fingerprintOf = (key: Buffer): string =>
  `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;

/** @throws FleetError ER0230 where there is no way to tell a true key, or a line or fingerprint cannot be read */
export function hostKeys(options: HostKeyOptions): HostKeys {
  const known = readKnownHosts(options.knownHosts ?? '');
  const pins = readPins(options.fingerprints ?? new Map());
  const first = options.trustOnFirstUse;
  if (known.length === 0 && pins.size === 0 && !first) {
    throw new FleetError(
      'ER0230',
      'ssh has no way to know a host by its key: give `knownHosts`, `fingerprints` or `trustOnFirstUse`; accepting any key is not possible',
    );
  }
  const accepted = new Map<string, Buffer>();

  const keysOf = (host: string): readonly Buffer[] => {
    const listed = known.filter((line) => !line.revoked && line.matches(host)).map((line) => line.key);
    const own = accepted.get(host);
    return own ? [...listed, own] : listed;
  };

  const judge = (ip: Ip, port: number, key: Buffer): Verdict => {
    const host = hostName(ip, port);
    if (known.some((line) => line.revoked && line.matches(host) && line.key.equals(key))) return 'revoked';
    const pinned = pins.get(ip);
    if (pinned) return pinned.has(fingerprintOf(key)) ? 'trusted' : 'changed';
    const keys = keysOf(host);
    if (keys.some((each) => each.equals(key))) return 'trusted';
    if (keys.length > 0) return 'changed';
    return first ? 'first' : 'unknown';
  };

  return {
    judge,
    offers(ip, port) {
      const host = hostName(ip, port);
      const keys = keysOf(host);
      // A fingerprint does not tell the type of its key, so each type has to be asked for until one fits.
      if (pins.has(ip) && !accepted.has(host)) return [...ALGORITHMS.values()];
      return [keys.length > 0 ? algorithmsOf(keys) : ANY];
    },
    async accept(ip, port, key) {
      if (judge(ip, port, key) === 'first') await first?.record(ip, knownHostLine(ip, port, key));
      accepted.set(hostName(ip, port), key);
    },
  };
}

const algorithmsOf = (keys: readonly Buffer[]): readonly ServerHostKeyAlgorithm[] => [
  ...new Set(keys.flatMap((key) => ALGORITHMS.get(keyType(key)) ?? [])),
];

const FINGERPRINT = /^SHA256:[A-Za-z0-9+/]{43}$/;

function readPins(given: NonNullable<HostKeyOptions['fingerprints']>): ReadonlyMap<string, ReadonlySet<string>> {
  const entries = given instanceof Map ? [...given] : Object.entries(given);
  return new Map(
    entries.map(([ip, value]) => {
      if (parseIp(ip) !== ip) throw new FleetError('ER0230', `a fingerprint belongs to an ip, found ${JSON.stringify(ip)}`);
      const texts: readonly string[] = typeof value === 'string' ? [value] : value;
      const wrong = texts.find((text) => !FINGERPRINT.test(text));
      if (wrong !== undefined || texts.length === 0) {
        throw new FleetError(
          'ER0230',
          `the fingerprint of ${ip} is written SHA256: and 43 characters, found ${JSON.stringify(wrong ?? texts)}`,
        );
      }
      return [ip, new Set(texts)] as const;
    }),
  );
}
