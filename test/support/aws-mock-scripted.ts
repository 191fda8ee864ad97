import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Ec2Options, ec2, secret } from 'fleetbeat/adapters/ec2';
import type { ApiCall, PermittedCall } from '../../src/contracts.ts';
import { asInstant, asToken, instanceKey, parseIp } from '../../src/domain/identity.ts';
import type { InstanceVerb } from '../../src/domain/instance.ts';
import { loopback } from './loopback.ts';

/** One request of EC2's Query API. */
export interface QueryRequest {
  readonly action: string;
  readonly form: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** An EC2 that answers what a test says, and remembers what it was asked. */
export interface ScriptedEc2 {
  readonly endpoint: string;
  readonly requests: readonly QueryRequest[];
  /** The ids of each request of an action. */
  ids(action: string): readonly (readonly string[])[];
  /** Forgets what it was asked so far. */
  forget(): void;
  close(): Promise<void>;
}

export type Script = (request: QueryRequest, response: ServerResponse) => string | undefined;

/** @param script the body of the answer, or undefined where it writes one itself, or never answers */
export async function scriptedEc2(script: Script): Promise<ScriptedEc2> {
  const requests: QueryRequest[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const form = new URLSearchParams(body);
    const one = { action: form.get('Action') ?? '', form, headers: request.headers };
    requests.push(one);
    const answer = script(one, response);
    if (answer !== undefined) response.end(answer);
  });
  const host = loopback(66);
  server.listen(0, host);
  await once(server, 'listening');
  return {
    endpoint: `http://${host}:${(server.address() as AddressInfo).port}`,
    requests,
    ids: (action) => requests.filter((one) => one.action === action).map(({ form }) => valuesOf(form, 'InstanceId')),
    forget: () => void requests.splice(0),
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** The values of a list in a form: `InstanceId.1`, `InstanceId.2`, … */
export function valuesOf(form: URLSearchParams, name: string): string[] {
  const values: string[] = [];
  for (let i = 1; form.has(`${name}.${i}`); i++) values.push(form.get(`${name}.${i}`) ?? '');
  return values;
}

/** The values of a filter, or none where it is not asked for. */
export function filterOf(form: URLSearchParams, name: string): string[] | undefined {
  for (let i = 1; form.has(`Filter.${i}.Name`); i++)
    if (form.get(`Filter.${i}.Name`) === name) return valuesOf(form, `Filter.${i}.Value`);
  return undefined;
}

/** An answer of EC2 around its content. */
export const answerOf = (action: string, content: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<${action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId>${content}</${action}Response>`;

export interface ScriptedInstance {
  readonly id: string;
  readonly ip?: string;
  readonly state?: string;
  readonly clientToken?: string;
}

export const instanceXml = ({ id, ip, state = 'running', clientToken }: ScriptedInstance): string =>
  [
    `<item><instanceId>${id}</instanceId>`,
    ip === undefined ? '' : `<privateIpAddress>${ip}</privateIpAddress>`,
    clientToken === undefined ? '' : `<clientToken>${clientToken}</clientToken>`,
    `<instanceState><code>16</code><name>${state}</name></instanceState></item>`,
  ].join('');

export const describeAnswer = (instances: readonly ScriptedInstance[], nextToken?: string): string =>
  answerOf(
    'DescribeInstances',
    `<reservationSet><item><reservationId>r-1</reservationId><instancesSet>${instances.map(instanceXml).join('')}</instancesSet></item></reservationSet>${nextToken === undefined ? '' : `<nextToken>${nextToken}</nextToken>`}`,
  );

/** The answer to StartInstances and its like, about these ids. */
export const changesAnswer = (action: string, ids: readonly string[]): string =>
  answerOf(action, `<instancesSet>${ids.map((id) => `<item><instanceId>${id}</instanceId></item>`).join('')}</instancesSet>`);

/** Answers with an error of EC2. */
export function refuse(response: ServerResponse, code: string, message: string, status = 400): string {
  response.statusCode = status;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors><RequestID>r-1</RequestID></Response>`;
}

export const KEY_ID = 'AKIAIOSFODNN7EXAMPLE';
export const SECRET_KEY = 'wJalrXUtnFEMI-canary-secret-key-bPxRfiCY';

/** A driver for an EC2 of this machine, with every request that it reports. */
export function driverFor({ endpoint }: Pick<ScriptedEc2, 'endpoint'>, options: Partial<Ec2Options> = {}) {
  const driver = ec2({
    region: 'us-east-1',
    endpoint,
    allow: [new URL(endpoint).host],
    credentials: { accessKeyId: KEY_ID, secretAccessKey: secret(SECRET_KEY) },
    ...options,
  });
  const calls: ApiCall[] = [];
  driver.onCall((call) => calls.push(call));
  return Object.assign(driver, { calls });
}

export interface CallOptions {
  readonly token?: string;
  readonly valid?: () => boolean;
  readonly isRepeated?: true;
}

/** A call about an ip, or about an instance by its id. */
export function callTo(subject: string, verb: InstanceVerb, options: CallOptions = {}): PermittedCall {
  const { token = `t-${verb}-${subject}`, valid = () => true, isRepeated } = options;
  const ip = parseIp(subject);
  return {
    call: { do: { level: 'instances', subject: ip ? { ip } : { key: instanceKey('ec2', subject) }, verb } },
    permit: { token: asToken(token), fence: 1, valid, ...(isRepeated && { isRepeated }) },
  };
}

export const want = { now: asInstant(1000), maxAgeMs: 0 };

/** Time that passes only when somebody sleeps, and then at once. */
export function virtualClock() {
  let now = 0;
  return {
    now: () => now,
    sleep: async (ms: number, signal: AbortSignal) => {
      signal.throwIfAborted();
      now += ms;
    },
  };
}
