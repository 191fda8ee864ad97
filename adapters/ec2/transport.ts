import { type Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { type Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { FleetError } from '../../src/errors.ts';
import type { AddressPolicy } from '../http/address-policy.ts';
import { textOf } from '../http/exchange.ts';
import { scrubber } from '../http/secret.ts';

/** What the SDK wants sent. */
export interface TransportRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number | undefined;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface TransportResponse {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

/** The SDK's way out: what it takes for a `requestHandler`. */
export interface Transport {
  handle(
    request: TransportRequest,
    options?: { readonly abortSignal?: unknown },
  ): Promise<{ readonly response: TransportResponse }>;
  /** Whether a request under this signal has a connection, so that EC2 may have heard it. */
  mayHaveSent(signal: AbortSignal): boolean;
}

const MOST_ERROR_BYTES = 64 * 1024;

/**
 * The SDK's own handler reads an answer of any length for any time, from whatever address a name resolves to, and takes half a
 * document for a whole one. This one goes where the policy lets it, opens a connection for each request (one that was kept may
 * have died unnoticed: then nobody could tell whether a call arrived), and gives the SDK whole answers of EC2 only.
 */
export function createTransport(policy: AddressPolicy, mostBytes: number): Transport {
  const agents = new Map<string, HttpAgent | HttpsAgent>();
  const connected = new WeakSet<AbortSignal>();

  function agentOf(url: URL): HttpAgent | HttpsAgent {
    const refusal = policy.refusalOf(url);
    if (refusal !== null)
      throw new FleetError('ER0224', `the endpoint of EC2 is ${refusal}; allowed is https, and what \`allow\` lists`);
    const agent = agents.get(url.origin) ?? policy.agentFor(url);
    agents.set(url.origin, agent);
    return agent;
  }

  const open = (wanted: TransportRequest, url: URL, signal: AbortSignal | undefined): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const send = url.protocol === 'http:' ? httpRequest : httpsRequest;
      const request = send(url, {
        method: wanted.method,
        headers: { ...wanted.headers, 'accept-encoding': 'identity' },
        agent: agentOf(url),
        ...(signal && { signal }),
      });
      request.once('socket', (socket) => {
        socket.once(url.protocol === 'http:' ? 'connect' : 'secureConnect', () => signal && connected.add(signal));
      });
      request.once('response', resolve);
      // An answer that is broken off late has its own error; this one must not end the process.
      request.on('error', reject);
      request.end(typeof wanted.body === 'string' || wanted.body instanceof Uint8Array ? wanted.body : undefined);
    });

  return {
    mayHaveSent: (signal) => connected.has(signal),

    async handle(wanted, options) {
      const signal = options?.abortSignal instanceof AbortSignal ? options.abortSignal : undefined;
      const url = urlOf(wanted);
      const action = actionOf(wanted);
      const answer = await open(wanted, url, signal);
      try {
        const status = answer.statusCode ?? 0;
        if (status >= 300 && status < 400)
          throw new FleetError('ER0235', `${action} was answered by a redirect, which is not followed`);
        const isError = status >= 400;
        const text = await textOf(answer, action, isError ? Math.min(mostBytes, MOST_ERROR_BYTES) : mostBytes);
        if (!isError && !isAnswerTo(action, text))
          throw new FleetError('ER0235', `${action} was answered by something else than a whole ${action}Response`);
        const body = Buffer.from(scrubber(secretsIn(wanted)).scrub(text));
        return { response: { statusCode: status, headers: headersOf(answer), body } };
      } finally {
        answer.destroy();
      }
    },
  };
}

function urlOf({ protocol, hostname, port, path }: TransportRequest): URL {
  const url = new URL(`${protocol}//${hostname}`);
  if (port !== undefined) url.port = String(port);
  url.pathname = path;
  return url;
}

const actionOf = ({ body }: TransportRequest): string => (typeof body === 'string' && /^Action=(\w+)/.exec(body)?.[1]) || 'EC2';

/** An error with status 200, a page of a proxy and half a document are none: the first and the last tag say so. */
function isAnswerTo(action: string, text: string): boolean {
  const [, root = '', name] = /^\s*(?:<\?xml[^>]*\?>\s*)?<((?:[\w-]+:)?([\w-]+))[\s/>]/.exec(text) ?? [];
  return name === `${action}Response` && text.trimEnd().endsWith(`</${root}>`);
}

/** What must not come back in anything that is shown, though EC2's own answer to a wrong signature repeats what was signed. */
function secretsIn({ headers, body }: TransportRequest): string[] {
  const named = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const { authorization = '', 'x-amz-security-token': token = '' } = Object.fromEntries(named);
  const signed = authorization.split(/[\s,]+/).map((part) => part.replace(/^\w+=/, ''));
  const encoded = typeof body === 'string' ? (new URLSearchParams(body).get('UserData') ?? '') : '';
  const userData = Buffer.from(encoded, 'base64').toString();
  const inXml = userData.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return [authorization, ...signed, token, encoded, userData, inXml].filter((text) => text.length >= SHORTEST_SECRET);
}

/** Shorter ones, such as the name of the algorithm's version, are in every text. */
const SHORTEST_SECRET = 16;

const headersOf = ({ headers }: IncomingMessage): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
