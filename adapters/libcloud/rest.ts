import type { Agent } from 'node:http';
import type { Readable } from 'node:stream';
import axios, { type AxiosAdapter, AxiosError, getAdapter } from 'axios';
import axiosRetry from 'axios-retry';
import type { ApiCall, Caller } from '../../src/contracts.ts';
import { FleetError } from '../../src/errors.ts';
import { type AddressPolicy, addressPolicy } from '../http/address-policy.ts';
import { failureOf, GUARDED, GUARDED_HEADERS, textOf } from '../http/exchange.ts';
import { reveal, type Scrubber, type Secret, scrubber } from '../http/secret.ts';
import { type Format, JSON_FORMAT } from './format.ts';
import { delayMs, isWorthRepeating } from './repeating.ts';
import { type Route, urlOf, verbOf } from './route.ts';

/** How a cloud is spoken to; every number has a default. */
export interface RestOptions {
  /** Hosts that may be called although they are this machine, or without TLS: `['127.0.0.1:5000']`. */
  readonly allow?: readonly string[];
  /** Certificates to trust instead of those of Node, in PEM: for a cloud with a certificate authority of its own. */
  readonly ca?: string;
  /** How long one request may take, with its retries. Default 8000. */
  readonly deadlineMs?: number;
  /** Retries of a request that is safe to repeat, or was not processed. Default 3. */
  readonly retries?: number;
  /** The first wait before a retry; it doubles, with jitter. Default 200. */
  readonly retryMs?: number;
  /** A `Retry-After` beyond this ends the request instead. Default 5000. */
  readonly retryAfterMostMs?: number;
  /** Default 16777216. */
  readonly mostBytes?: number;
}

/** For whom a request is made, and how. */
export interface Asking {
  readonly caller: Caller;
  readonly signal: AbortSignal;
  /** Whether it may be sent again where nobody knows what became of it. */
  readonly isRepeatable: boolean;
  /** Whether the whole request repeats an earlier one. */
  readonly isRetry?: boolean;
}

export interface Answer {
  readonly status: number;
  /** As the format reads it; undefined where there is none, or none that can be read. */
  readonly body: unknown;
  /** Whether there is a body that cannot be read. */
  readonly isMalformed: boolean;
  readonly header: (name: string) => string | undefined;
  /** How often it was sent. */
  readonly tries: number;
}

/** Sends single requests, without a session. */
export interface Rest {
  readonly scrubber: Scrubber;
  readonly deadlineMs: number;
  /**
   * Resolves with any answer but a redirect.
   *
   * @throws FleetError ER0018 where it was not sent, ER0220 where nobody knows, ER0212 past the deadline, ER0217 where the caller
   * gave up, ER0223 for an endless answer, ER0224 for a redirect or a forbidden address
   */
  send(base: string, route: Route, asking: Asking, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  onCall(listener: (call: ApiCall) => void): () => void;
}

/** @throws FleetError ER0230 for a url that may not be called, or an allowed address that is none */
export function createRest(
  driver: string,
  url: string,
  options: RestOptions & { readonly secrets: readonly Secret[]; readonly format?: Format },
): Rest {
  const { deadlineMs = 8000, mostBytes = 16 * 1024 * 1024, format = JSON_FORMAT } = options;
  const policy = addressPolicy({ loopback: 'listed', http: 'listed', ...(options.allow && { allow: options.allow }) });
  checkUrl(driver, url, policy);
  const clean = scrubber(options.secrets.map(reveal));
  const listeners = new Set<(call: ApiCall) => void>();
  const agents = agentsOf(policy, options.ca);
  const http = getAdapter('http');

  /** One try: sent, read to its end and told of, before anybody decides whether there is another. */
  const tryOnce =
    (verb: string, what: string, asking: Asking, tries: { count: number }): AxiosAdapter =>
    async (config) => {
      const isRetry = asking.isRetry === true || tries.count > 0;
      tries.count += 1;
      const report = (outcome: ApiCall['outcome']) => {
        for (const listener of listeners) listener({ driver, verb, caller: asking.caller, outcome, isRetry });
      };
      try {
        const response = await http(config);
        const stream = response.data as Readable;
        const data = await textOf(stream, what, mostBytes).finally(() => stream.destroy());
        report(outcomeOf(response.status));
        if (isNotNow(response.status)) throw new AxiosError('not now', 'ERR_NOT_NOW', config, null, { ...response, data });
        return { ...response, data };
      } catch (error) {
        if (error instanceof AxiosError && error.response) throw error;
        report('failed');
        throw failureOf(error).kind === 'refused' ? error : AxiosError.from(asError(error), undefined, config);
      }
    };

  const client = axios.create();
  axiosRetry(client, { retries: options.retries ?? 3, retryDelay: (count, error) => delayMs(count, error, options) });

  return {
    scrubber: clean,
    deadlineMs,
    onCall(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },

    async send(base, route, asking, headers = {}) {
      const url = urlOf(base, route);
      const what = `${verbOf(route)} at ${url.host}`;
      const refusal = policy.refusalOf(url);
      if (refusal !== null) throw new FleetError('ER0224', `the url of ${what} is ${refusal}`);
      asking.signal.throwIfAborted();
      const agent = agents(url, asking.isRepeatable);
      const late = AbortSignal.timeout(deadlineMs);
      const tries = { count: 0 };
      try {
        const response = await client.request<string>({
          ...GUARDED,
          adapter: tryOnce(verbOf(route), what, asking, tries),
          method: route.method,
          url: url.href,
          headers: {
            accept: format.accept,
            ...(route.body !== undefined && { 'content-type': format.type }),
            ...headers,
            ...route.headers,
            ...GUARDED_HEADERS,
          },
          ...(route.body !== undefined && { data: format.write(route.body) }),
          signal: AbortSignal.any([asking.signal, late]),
          httpAgent: agent,
          httpsAgent: agent,
          'axios-retry': { retryCondition: (error) => isWorthRepeating(error, asking.isRepeatable, options) },
        });
        return answerOf(response, what, tries.count);
      } catch (thrown) {
        // What was answered in the end, be it a 503, is an answer.
        if (thrown instanceof AxiosError && thrown.response) return answerOf(thrown.response, what, tries.count);
        throw errorOf(thrown, what, asking.signal, late);
      }
    },
  };

  function answerOf(
    { status, data, headers }: { readonly status: number; readonly data: string; readonly headers: object },
    what: string,
    tries: number,
  ): Answer {
    if (status >= 300 && status < 400)
      throw new FleetError('ER0224', `${what} was answered by a redirect, which is not followed`);
    const text = clean.scrub(data);
    const read = text.trim() === '' ? { body: undefined, isMalformed: false } : format.read(text);
    const header = (name: string) => {
      const value: unknown = Object.hasOwn(headers, name) ? (headers as Record<string, unknown>)[name] : undefined;
      return typeof value === 'string' ? value : undefined;
    };
    return { status, ...read, header, tries };
  }

  function errorOf(thrown: unknown, what: string, signal: AbortSignal, late: AbortSignal): FleetError {
    const failure = failureOf(thrown);
    if (failure.kind === 'refused') return failure.error;
    if (signal.aborted) {
      return new FleetError('ER0217', `${what} was ended by its caller`, { retryable: true, cause: signal.reason });
    }
    if (late.aborted) return new FleetError('ER0212', `${what} was not done within ${deadlineMs} ms`, { retryable: true });
    const cause = new Error(failure.reason);
    return failure.wasSent
      ? new FleetError('ER0220', `${what} was sent, and its connection broke: ${failure.reason}`, { retryable: true, cause })
      : new FleetError('ER0018', `${what} could not be sent: ${failure.reason}`, { retryable: true, cause });
  }
}

function checkUrl(driver: string, text: string, policy: AddressPolicy): void {
  const refusal = URL.canParse(text) ? policy.refusalOf(new URL(text)) : 'none';
  if (refusal === null) return;
  throw new FleetError('ER0230', `the url of ${driver} is ${refusal}; allowed is https, and what \`allow\` lists`);
}

const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));

const isNotNow = (status: number): boolean => status === 429 || status >= 500;

const outcomeOf = (status: number): ApiCall['outcome'] =>
  status < 300 ? 'ok' : status === 429 ? 'throttled' : status < 500 ? 'refused' : 'failed';

const MOST_ORIGINS = 8;

/**
 * The agents of each origin. What must not be sent twice goes over a connection of its own: a kept one may have been closed by the
 * server the moment before, and then nobody knows whether the request was read.
 */
function agentsOf(policy: AddressPolicy, ca: string | undefined): (url: URL, keepAlive: boolean) => Agent {
  const known = new Map<string, Agent>();
  return (url, keepAlive) => {
    const key = `${url.origin} ${keepAlive}`;
    const agent = known.get(key) ?? policy.agentFor(url, { keepAlive, ...(ca !== undefined && { ca }) });
    known.set(key, agent);
    for (const oldest of known.keys()) {
      if (known.size <= MOST_ORIGINS) break;
      known.delete(oldest);
    }
    return agent;
  };
}
