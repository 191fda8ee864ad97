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
  /** `wasSent` is false where it cannot have reached anybody; `isUnproven` says that the other side did not prove who it is. */
  | { readonly kind: 'broken'; readonly reason: string; readonly wasSent: boolean; readonly isUnproven: boolean };

/** What axios throws holds the request with its headers: none of it may go further. */
export function failureOf(thrown: unknown): Failure {
  const chain = chainOf(thrown);
  const refused = chain.find(isFleetError);
  if (refused) return { kind: 'refused', error: refused };
  const reason = chain.map(codeOf).find((code) => code !== null) ?? 'no code';
  // The handshake has failed over the certificate: nothing of the request went out.
  const isUnproven = /CERT|SELF_SIGNED|UNABLE_TO_|_CRL_|ISSUER|^ERR_TLS_|^ERR_SSL_/.test(reason);
  const wasSent = !isUnproven && !chain.some((one) => 'syscall' in one && BEFORE_SENDING.has(one.syscall));
  return { kind: 'broken', reason, wasSent, isUnproven };
}

const BEFORE_SENDING: ReadonlySet<unknown> = new Set(['getaddrinfo', 'connect']);

const DEEPEST = 8;

/** An error and its causes: axios wraps what the socket has said. */
function chainOf(thrown: unknown): readonly Error[] {
  const chain: Error[] = [];
  for (let one = thrown; one instanceof Error && chain.length < DEEPEST; one = one.cause) chain.push(one);
  return chain;
}

const codeOf = (error: Error): string | null => ('code' in error && typeof error.code === 'string' ? error.code : null);
