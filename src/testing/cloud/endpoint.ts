import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FleetError } from '../../errors.ts';
import type { Ec2Action } from './actions.ts';
import { ANSWERS } from './answers.ts';
import type { Ec2Api } from './api.ts';
import { type Form, isAction, REQUESTS, readForm } from './form.ts';
import { Ec2Refusal } from './refusal.ts';
import { element, type XmlValue } from './xml.ts';

export interface EndpointOptions {
  /** A loopback address. Default `127.0.0.1`. */
  readonly host?: string;
  /** Default: any that is free. */
  readonly port?: number;
  /** The only access key that is let in; others are answered with `AuthFailure`. Default: any. */
  readonly accessKeyId?: string;
}

/** The simulated EC2 as an HTTP server. */
export interface CloudEndpoint extends AsyncDisposable {
  /** What a client takes as its `endpoint`, such as `http://127.0.0.1:40000`. */
  readonly url: string;
  /** Ends it at once, with every connection. */
  close(): Promise<void>;
}

const MOST_BYTES = 1024 * 1024;

/** EC2's Query API over HTTP: forms in, XML out. @throws FleetError ER0224 for a host that others could reach */
export async function listenOn(api: Ec2Api, options: EndpointOptions): Promise<CloudEndpoint> {
  const { host = '127.0.0.1', port = 0 } = options;
  if (!/^127(?:\.\d{1,3}){3}$/.test(host) && host !== '::1')
    throw new FleetError('ER0224', `a simulated cloud listens on a loopback address only, found '${host}'`);
  let requests = 0;

  const server = createServer((request, response) => {
    const id = `simulated-${String(++requests).padStart(8, '0')}`;
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    answer(request, gone.signal).then(
      ({ status, body }) => send(response, status, id, body(id)),
      // Whoever asked does not wait any more, or is not to hear anything.
      () => response.destroy(),
    );
  });

  async function answer(request: IncomingMessage, signal: AbortSignal): Promise<Answer> {
    try {
      const form = readForm(request.method === 'GET' ? (request.url ?? '').replace(/^[^?]*\?/, '') : await bodyOf(request));
      admit(request.headers.authorization, options.accessKeyId);
      const action = form.get('Action');
      if (!isAction(action)) throw new Ec2Refusal('InvalidAction', `The action ${action} is not valid for this web service.`);
      return await perform(action, form, signal);
    } catch (error) {
      if (!(error instanceof Ec2Refusal)) throw error;
      const { code, message, status } = error;
      return {
        status,
        body: (id) => element('Response', { Errors: { Error: { Code: code, Message: message } }, RequestID: id }),
      };
    }
  }

  async function perform<A extends Ec2Action>(action: A, form: Form, signal: AbortSignal): Promise<Answer> {
    const xml = ANSWERS[action](await api.send(action, REQUESTS[action](form), signal));
    return { status: 200, body: (requestId) => element(`${action}Response`, { requestId, ...xml } as XmlValue, NAMESPACE) };
  }

  server.listen(port, host);
  await once(server, 'listening');
  const { address, family, port: given } = server.address() as AddressInfo;

  async function close(): Promise<void> {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${given}`,
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface Answer {
  readonly status: number;
  readonly body: (requestId: string) => string;
}

const NAMESPACE = ' xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"';

function send(response: ServerResponse, status: number, id: string, xml: string): void {
  response.writeHead(status, { 'content-type': 'text/xml;charset=UTF-8', 'x-amzn-requestid': id });
  response.end(`<?xml version="1.0" encoding="UTF-8"?>\n${xml}`);
}

/** Signatures are not checked, only who signs. */
function admit(authorization: string | undefined, accessKeyId: string | undefined): void {
  const key = /^AWS4-HMAC-SHA256 Credential=([^/]{1,128})\//.exec(authorization ?? '')?.[1];
  if (key === undefined || (accessKeyId !== undefined && key !== accessKeyId))
    throw new Ec2Refusal('AuthFailure', 'AWS was not able to validate the provided access credentials');
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Ec2Refusal('InvalidParameterValue', `The request is longer than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
