import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { loopback } from '../loopback.ts';

export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface ApiReply {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A text as it is, anything else as JSON. */
  readonly body?: unknown;
}

/** Answers a request, or does with the response what it will. */
export type Answering = (request: ApiRequest, response: ServerResponse) => ApiReply | undefined;

export type Intercepting = (
  request: ApiRequest,
  response: ServerResponse,
  /** What the API itself makes of it. */
  answer: () => ApiReply | undefined,
) => ApiReply | undefined | null;

/** An API on a loopback address, over HTTP or HTTPS, that writes down what it is asked. */
export interface ApiServer {
  readonly url: string;
  /** `host:port`, as a list of allowed addresses has it. */
  readonly host: string;
  readonly received: ApiRequest[];
  /** Answers in place of the API; null leaves it to the API, nothing leaves the response as it was made. */
  intercept(instead: Intercepting | null): void;
  close(): Promise<void>;
}

export async function apiServer(answer: Answering, tls?: { readonly key: string; readonly cert: string }): Promise<ApiServer> {
  const received: ApiRequest[] = [];
  let instead: Intercepting | null = null;
  const listener: Parameters<typeof createServer>[1] = async (request, response) => {
    let body = '';
    // Whoever gave up in the middle needs no answer.
    request.on('error', () => {});
    for await (const chunk of request) body += chunk;
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://api');
    const one = { method: request.method ?? '', path: pathname, query: searchParams, headers: request.headers, body };
    received.push(one);
    const other = instead ? instead(one, response, () => answer(one, response)) : null;
    const reply = other === null ? answer(one, response) : other;
    if (reply === undefined) return;
    const text = typeof reply.body === 'string' ? reply.body : reply.body === undefined ? '' : JSON.stringify(reply.body);
    response.writeHead(reply.status ?? 200, reply.headers).end(text);
  };
  const server = tls ? createTlsServer(tls, listener) : createServer(listener);
  server.on('tlsClientError', () => {});
  const address = tls ? '127.0.0.1' : loopback(81);
  server.listen(0, address);
  await once(server, 'listening');
  const host = `${address}:${(server.address() as AddressInfo).port}`;
  return {
    url: `${tls ? 'https' : 'http'}://${host}`,
    host,
    received,
    intercept(next) {
      instead = next;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
