import type { ServerResponse } from 'node:http';
import fc from 'fast-check';
import type { ApiReply, ApiRequest, Intercepting } from './api-server.ts';

/** What can be wrong with an answer. */
export type BadAnswer =
  | { readonly kind: 'truncated'; readonly part: number }
  | { readonly kind: 'cut off'; readonly part: number }
  | { readonly kind: 'other types'; readonly at: number; readonly value: unknown }
  | { readonly kind: 'anything'; readonly status: number; readonly text: string }
  | { readonly kind: 'echo'; readonly status: number }
  | { readonly kind: 'html'; readonly status: number }
  | { readonly kind: 'error body' }
  | { readonly kind: 'redirect'; readonly status: number; readonly location: string }
  | { readonly kind: 'endless' | 'slow' | 'silent' | 'hung up' | 'inflated' | 'no token' };

const status = fc.constantFrom(200, 201, 202, 204, 400, 401, 403, 404, 409, 413, 422, 423, 429, 500, 502, 503);
const of = <K extends BadAnswer['kind']>(kind: K) => fc.constant({ kind } as Extract<BadAnswer, { readonly kind: K }>);

const json = fc.jsonValue().map((value) => JSON.stringify(value));
const traps = fc.constantFrom(
  '{"__proto__":{"servers":[],"droplets":[]},"constructor":{"prototype":{}}}',
  `${'['.repeat(20_000)}`,
  `${'<a>'.repeat(20_000)}`,
  '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>',
  '{"servers":{"length":3},"droplets":"none","QueryResultRecords":[]}',
  '{"servers":[null,1,[],{"id":"../../x"},{"id":".."},{"id":"__proto__"}],"droplets":[null,{"id":1e99}]}',
  '<QueryResultRecords total="9999999" pageSize="1"/>',
  '<QueryResultRecords><VMRecord href="/vApp/vm-.."/><VMRecord status="&#x41;"/></QueryResultRecords>',
);

/** Those that take as long as the deadline are the rarest. */
export const badAnswers: fc.Arbitrary<BadAnswer> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('truncated'), part: fc.nat(999) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cut off'), part: fc.nat(999) }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('other types'), at: fc.nat(999), value: fc.jsonValue({ maxDepth: 2 }) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('anything'), status, text: fc.oneof(json, fc.string(), traps) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('echo'), status }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('html'), status }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('redirect'),
      status: fc.constantFrom(300, 301, 302, 303, 304, 307, 308),
      location: fc.constantFrom('http://169.254.169.254/latest/meta-data', 'file:///etc/passwd', '//[fd00:ec2::254]/', 'nowhere'),
    }),
  },
  { weight: 2, arbitrary: of('error body') },
  { weight: 2, arbitrary: of('hung up') },
  { weight: 2, arbitrary: of('no token') },
  { weight: 1, arbitrary: of('inflated') },
  { weight: 1, arbitrary: of('endless') },
  { weight: 1, arbitrary: of('slow') },
  { weight: 1, arbitrary: of('silent') },
) as fc.Arbitrary<BadAnswer>;

const HTML = '<!DOCTYPE html><html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>';

/** Answers the requests that are meant with what is bad, and the others as ever. */
export const answeringBadly =
  (bad: BadAnswer, isMeant: (request: ApiRequest) => boolean): Intercepting =>
  (request, response, answer) =>
    isMeant(request) ? badly(bad, request, response, answer) : null;

function badly(
  bad: BadAnswer,
  request: ApiRequest,
  response: ServerResponse,
  answer: () => ApiReply | undefined,
): ApiReply | undefined {
  const good = answer() ?? {};
  const text = typeof good.body === 'string' ? good.body : JSON.stringify(good.body ?? {});
  const partOf = (part: number) => text.slice(0, Math.floor((text.length * part) / 1000));
  switch (bad.kind) {
    case 'truncated':
      return { ...good, body: partOf(bad.part) };
    case 'cut off':
      response.writeHead(good.status ?? 200, { ...good.headers, 'content-length': String(text.length + 1) });
      response.write(partOf(bad.part), () => response.destroy());
      return undefined;
    case 'other types':
      return { ...good, body: withOther(text, bad.at, JSON.stringify(bad.value)) };
    case 'anything':
      return { status: bad.status, body: bad.text };
    case 'echo':
      return {
        status: bad.status,
        body: {
          error: { code: 'x', message: echoOf(request) },
          message: echoOf(request),
          servers: [{ id: echoOf(request), status: echoOf(request) }],
        },
      };
    case 'html':
      return { status: bad.status, headers: { 'content-type': 'text/html' }, body: HTML };
    case 'error body':
      return { body: { error: { code: 500, message: 'out of order' }, id: 'server_error', message: 'out of order' } };
    case 'redirect':
      return { status: bad.status, headers: { location: bad.location } };
    case 'no token':
      return { ...good, headers: {} };
    case 'inflated':
      return { ...good, headers: { ...good.headers, 'content-encoding': 'gzip' } };
    case 'hung up':
      response.destroy();
      return undefined;
    case 'silent':
      return undefined;
    case 'endless':
      response.writeHead(200, good.headers);
      pour(response);
      return undefined;
    case 'slow':
      response.writeHead(200, good.headers);
      drip(response, text);
      return undefined;
  }
}

const echoOf = ({ headers, body }: ApiRequest): string => `${JSON.stringify(headers)} ${body}`;

/** One value of a JSON text, or one attribute or text of an XML one, is another. */
function withOther(text: string, at: number, value: string): string {
  const values = [...text.matchAll(/(?<=:)(?:"[^"]*"|[\d.]+|null|true|false)|(?<==")[^"]*(?=")|(?<=>)[^<>]+(?=<)/g)];
  const chosen = values[at % Math.max(values.length, 1)];
  return chosen ? text.slice(0, chosen.index) + value + text.slice(chosen.index + chosen[0].length) : value;
}

const CHUNK = ' '.repeat(16_384);

function pour(response: ServerResponse): void {
  if (response.destroyed) return;
  response.write(CHUNK, () => setImmediate(pour, response));
}

const DRIP_MS = 5;

function drip(response: ServerResponse, text: string): void {
  let at = 0;
  const timer = setInterval(() => {
    if (response.destroyed) clearInterval(timer);
    else response.write(text[at++ % text.length] ?? ' ');
  }, DRIP_MS);
}
