import type { Readable } from 'node:stream';
import axios from 'axios';
import { FleetError, isFleetError } from '../../src/errors.ts';
import { agentFor, checkedUrl } from './destination.ts';

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
  const url = checkedUrl(text, { doctor, allowHttp });
  const agent = agentFor(url, { allowHttp });
  const what = `POST to ${url.host}`;

  /** What axios throws holds the request with its headers: none of it may go further. */
  function failureOf(error: unknown, late: AbortSignal, signal: AbortSignal): FleetError {
    if (isFleetError(error)) return error;
    if (error instanceof Error && isFleetError(error.cause)) return error.cause;
    if (signal.aborted) return new FleetError('ER0217', `${what} was ended by its caller`, { retryable: true });
    if (late.aborted) return new FleetError('ER0212', `${what} was not done within ${deadlineMs} ms`, { retryable: true });
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'no code';
    return new FleetError('ER0018', `${what} failed: ${reason}`, { retryable: true });
  }

  return async (body, headers, signal, use) => {
    const late = AbortSignal.timeout(deadlineMs);
    let stream: Readable | undefined;
    try {
      const response = await axios.request<Readable>({
        method: 'POST',
        url: url.href,
        data: body,
        headers: { ...headers, 'accept-encoding': 'identity', 'user-agent': 'fleetbeat' },
        signal: AbortSignal.any([signal, late]),
        adapter: 'http',
        httpAgent: agent,
        httpsAgent: agent,
        proxy: false,
        maxRedirects: 0,
        maxBodyLength: MOST_SENT_BYTES,
        decompress: false,
        responseType: 'stream',
        transformRequest: [(data) => data],
        transformResponse: [],
        validateStatus: () => true,
      });
      const { data, status } = response;
      stream = data;
      const retryAfter: unknown = response.headers['retry-after'];
      return await use({
        what,
        status,
        retryAfter: typeof retryAfter === 'string' ? retryAfter : undefined,
        text: () => textOf(data, what),
      });
    } catch (error) {
      throw failureOf(error, late, signal);
    } finally {
      stream?.destroy();
    }
  };
}

async function textOf(stream: Readable, what: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_READ_BYTES) throw new FleetError('ER0223', `${what} was answered by more than ${MOST_READ_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
