import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { loopback } from './loopback.ts';

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** An HTTP server of this machine that writes down what it gets. */
export interface HttpServer {
  readonly url: string;
  readonly received: readonly Received[];
  close(): Promise<void>;
}

/** @param answer what it does about each request; one without an answer is left waiting */
export async function httpServer(answer: (request: Received, response: ServerResponse) => void): Promise<HttpServer> {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const one = { path: request.url ?? '', headers: request.headers, body };
    received.push(one);
    answer(one, response);
  });
  const host = loopback(80);
  server.listen(0, host);
  await once(server, 'listening');
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    received,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** Answers with each of these in turn, and with the last for ever. */
export function answering(...statuses: readonly number[]): (request: Received, response: ServerResponse) => void {
  let at = 0;
  return (_, response) => {
    response.statusCode = statuses[Math.min(at++, statuses.length - 1)] ?? 200;
    response.end();
  };
}
