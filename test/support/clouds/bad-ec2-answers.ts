import type { ServerResponse } from 'node:http';
import fc from 'fast-check';
import { answerOf, changesAnswer, describeAnswer, instanceXml, type QueryRequest, valuesOf } from '../aws-mock-scripted.ts';

/** What can be wrong with an answer. */
export type BadEc2Answer =
  | { readonly kind: 'truncated' | 'cut off'; readonly part: number }
  | { readonly kind: 'other text'; readonly at: number; readonly text: string }
  | { readonly kind: 'anything'; readonly status: number; readonly text: string }
  | { readonly kind: 'echo' | 'html'; readonly status: number }
  | { readonly kind: 'redirect'; readonly status: number; readonly location: string }
  | { readonly kind: 'error body' | 'echo within' | 'endless' | 'slow' | 'silent' | 'hung up' };

const status = fc.constantFrom(200, 201, 204, 400, 401, 403, 404, 413, 429, 500, 502, 503);
const traps = fc.constantFrom(
  '<__proto__><constructor>1</constructor></__proto__>',
  '<item><__proto__><instanceId>i-1</instanceId></__proto__></item>',
  '<item/>'.repeat(500),
  '<a>'.repeat(20_000),
  '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>',
  '&#0;&#x110000;&nbsp;',
  '<item><instanceId>../../x</instanceId></item>',
  '{"Reservations":[]}',
  '',
);
export const badEc2Answers: fc.Arbitrary<BadEc2Answer> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('truncated', 'cut off'), part: fc.nat(990) }) },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constant('other text'), at: fc.nat(99), text: fc.oneof(traps, fc.string()) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('anything'), status, text: fc.oneof(traps, fc.string()) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('echo', 'html'), status }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('redirect'),
      status: fc.constantFrom(300, 301, 302, 303, 307, 308),
      location: fc.constantFrom('http://169.254.169.254/latest/meta-data', 'file:///etc/passwd', '//[fd00:ec2::254]/'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('error body', 'echo within', 'hung up') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('endless', 'slow', 'silent') }) },
) as fc.Arbitrary<BadEc2Answer>;

export const HTML = '<!DOCTYPE html><html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>';
const ERROR = '<Response><Errors><Error><Code>InternalError</Code><Message>out of order</Message></Error></Errors></Response>';

const INSTANCES = [
  { id: 'i-1', ip: '10.0.0.1', state: 'stopped', clientToken: 'c-1' },
  { id: 'i-2', ip: '10.0.0.2', state: 'running' },
];

export function goodEc2Answer({ action, form }: QueryRequest): string {
  if (action === 'DescribeInstances') return describeAnswer(INSTANCES);
  if (action === 'RunInstances')
    return answerOf(action, `<instancesSet>${instanceXml({ id: 'i-5', ip: '10.0.0.5' })}</instancesSet>`);
  return changesAnswer(action, valuesOf(form, 'InstanceId'));
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const echoOf = ({ headers, form }: QueryRequest) =>
  escaped(`${JSON.stringify(headers)} ${form} ${form.get('UserData')} ${Buffer.from(form.get('UserData') ?? '', 'base64')}`);

/** @returns the body of the answer, or undefined where it writes one itself, or never answers */
export function answerBadly(bad: BadEc2Answer, request: QueryRequest, response: ServerResponse): string | undefined {
  const good = goodEc2Answer(request);
  const partOf = (part: number) => good.slice(0, Math.floor((good.length * part) / 1000));
  switch (bad.kind) {
    case 'truncated':
      return partOf(bad.part);
    case 'cut off':
      response.setHeader('content-length', good.length);
      response.write(partOf(bad.part) || '<', () => response.destroy());
      return undefined;
    case 'other text':
      return withOther(good, bad.at, bad.text);
    case 'anything':
      response.statusCode = bad.status;
      return bad.text;
    case 'html':
      response.statusCode = bad.status;
      return HTML;
    case 'echo':
      response.statusCode = bad.status;
      return ERROR.replace('out of order', () => echoOf(request)).replace('InternalError', () =>
        bad.status < 404 ? echoOf(request) : 'Echo',
      );
    case 'echo within':
      return good.replace('>stopped<', () => `>${echoOf(request)}<`).replace('>10.0.0.2<', () => `>${echoOf(request)}<`);
    case 'error body':
      return ERROR;
    case 'redirect':
      response.writeHead(bad.status, { location: bad.location });
      return '';
    case 'hung up':
      response.destroy();
      return undefined;
    case 'silent':
      return undefined;
    case 'endless':
      pourXml(response);
      return undefined;
    case 'slow':
      drip(response, good);
      return undefined;
  }
}

/** The content of one element is another. */
function withOther(text: string, at: number, other: string): string {
  const contents = [...text.matchAll(/(?<=<(\w+)[^<>]*>)[^<>]+(?=<\/\1>)/g)];
  const chosen = contents[at % contents.length];
  return chosen ? text.slice(0, chosen.index) + other + text.slice(chosen.index + chosen[0].length) : text;
}

const CHUNK = '<item>'.repeat(4096);

export function pourXml(response: ServerResponse): void {
  if (!response.destroyed) response.write(CHUNK, () => setImmediate(pourXml, response));
}

function drip(response: ServerResponse, text: string): void {
  let at = 0;
  const timer = setInterval(() => {
    if (response.destroyed) clearInterval(timer);
    else response.write(text[at++ % text.length] ?? ' ');
  }, 5);
}
