import type { Readable } from 'node:stream';
import axios from 'axios';
import { FleetError } from '../../src/errors.ts';
import { type AddressPolicy, addressPolicy } from '../http/address-policy.ts';
import { failureOf, GUARDED, GUARDED_HEADERS, textOf } from '../http/exchange.ts';

export interface Reply {
  /** The request, for messages: without what stands behind the host. */
  readonly what: string;
  readonly status: number;
  readonly retryAfter: string | undefined;
  /** Reads the body. Rejects with ER0223 where it is over 1 MiB. */
  text(): Promise<string>;
}

/** Posts one body, and lets `use` make of the reply what it needs. */
export type Post = <Result>(
  body: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
  use: (reply: Reply) => Promise<Result>,
) => Promise<Result>;

const MOST_SENT_BYTES = 8 * 1024 * 1024;
const MOST_READ_BYTES = 1024 * 1024;

/** @throws FleetError ER0230 where the url is none that may be posted to */
export function createPost(
  doctor: string,
  text: string,
  { deadlineMs, allowHttp }: { readonly deadlineMs: number; readonly allowHttp: boolean },
): Post {
  const policy = addressPolicy({ loopback: 'always', http: allowHttp ? 'anywhere' : 'loopback' });
  const url = checkedUrl(text, doctor, policy);
  const agent = policy.agentFor(url);
  const what = `POST to ${url.host}`;

  function errorOf(thrown: unknown, late: AbortSignal, signal: AbortSignal): FleetError {
    const failure = failureOf(thrown);
    if (failure.kind === 'refused') return failure.error;
    if (signal.aborted) return new FleetError('ER0217', `${what} was ended by its caller`, { retryable: true });
    if (late.aborted) return new FleetError('ER0212', `${what} was not done within ${deadlineMs} ms`, { retryable: true });
    return new FleetError('ER0018', `${what} failed: ${failure.reason}`, { retryable: true });
  }

  return async (body, headers, signal, use) => {
    const late = AbortSignal.timeout(deadlineMs);
    let stream: Readable | undefined;
    try {
      const response = await axios.request<Readable>({
        ...GUARDED,
        method: 'POST',
        url: url.href,
        data: body,
        headers: { ...headers, ...GUARDED_HEADERS },
        signal: AbortSignal.any([signal, late]),
        httpAgent: agent,
        httpsAgent: agent,
        maxBodyLength: MOST_SENT_BYTES,
      });
      const { data, status } = response;
      stream = data;
      const retryAfter: unknown = response.headers['retry-after'];
      return await use({
        what,
        status,
        retryAfter: typeof retryAfter === 'string' ? retryAfter : undefined,
        text: () => textOf(data, what, MOST_READ_BYTES),
      });
    } catch (error) {
      throw errorOf(error, late, signal);
    } finally {
      stream?.destroy();
    }
  };
}

/** @throws FleetError ER0230 where it is no url that may be posted to */
function checkedUrl(text: string, doctor: string, policy: AddressPolicy): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  const refusal = url === null ? 'none' : policy.refusalOf(url);
  if (url !== null && refusal === null) return url;
  throw new FleetError('ER0230', `the url of the doctor ${doctor} is ${refusal}; allowed is https, or http to this machine`);
}
