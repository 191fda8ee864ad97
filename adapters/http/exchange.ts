import type { Readable } from 'node:stream';
import type { AxiosRequestConfig } from 'axios';
import { FleetError, isFleetError } from '../../src/errors.ts';

/**
 * How every adapter of ours speaks HTTP: redirects are answers and not followed, proxies of the environment are not used, nothing
 * is inflated (so that what is counted is what is kept), and bodies come as streams that {@link textOf} reads up to a limit.
 */
export const GUARDED = {
  adapter: 'http',
  proxy: false,
  maxRedirects: 0,
  decompress: false,
  responseType: 'stream',
  transformRequest: [(data: unknown) => data],
  transformResponse: [],
  validateStatus: () => true,
} as const satisfies AxiosRequestConfig;

/** Sent with every request. */
export const GUARDED_HEADERS = { 'accept-encoding': 'identity', 'user-agent': 'fleetbeat' } as const;

/**
 * Reads a body to its end.
 *
 * @param what the request, for messages
 * @throws FleetError ER0223 where it is over `mostBytes`; the rest is not read
 */
export async function textOf(stream: Readable, what: string, mostBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw new FleetError('ER0223', `${what} was answered by more than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Why a request failed before it was answered. */
export type Failure =
  /** What we ourselves have refused. */
  | { readonly kind: 'refused'; readonly error: FleetError }
  /** `wasSent` is false where it cannot have reached anybody: no address, no connection, no proof of who is there. */
  | { readonly kind: 'broken'; readonly reason: string; readonly wasSent: boolean };

/** What axios throws holds the request with its headers: none of it may go further. */
export function failureOf(thrown: unknown): Failure {
  if (isFleetError(thrown)) return { kind: 'refused', error: thrown };
  if (!(thrown instanceof Error)) return { kind: 'broken', reason: 'no reason', wasSent: true };
  if (isFleetError(thrown.cause)) return { kind: 'refused', error: thrown.cause };
  const reason = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : 'no code';
  return { kind: 'broken', reason, wasSent: !(BEFORE_SENDING.has(syscallOf(thrown)) || isUnproven(reason)) };
}

const BEFORE_SENDING: ReadonlySet<unknown> = new Set(['getaddrinfo', 'connect']);

/** axios wraps the error of the socket, and keeps it as the cause. */
const syscallOf = (thrown: Error): unknown => {
  const inner = thrown.cause instanceof Error ? thrown.cause : thrown;
  return 'syscall' in inner ? inner.syscall : undefined;
};

/** The handshake has failed over the certificate: nothing of the request went out. */
const isUnproven = (code: string): boolean => /CERT|SELF_SIGNED|UNABLE_TO_|_CRL_|ISSUER|^ERR_TLS_|^ERR_SSL_/.test(code);
