import type { Doctor, DoctorWire } from '../../src/contracts.ts';
import { FleetError } from '../../src/errors.ts';
import { createPost, type Reply } from './post.ts';
import { signer } from './signature.ts';

export interface WebhookDoctorOptions {
  readonly name: string;
  /** https, or http to this very machine. What stands behind the host may be a secret: no error shows it. */
  readonly url: string;
  /** How batches and answers are written: `doctorWire()` of `fleetbeat/wire`. */
  readonly wire: DoctorWire;
  /** Signs what is sent. At least 16 characters; after `whsec_` the key is in base64. Unsigned without it. */
  readonly secret?: string;
  /** Whether the body of its answer acts: commands, one a line, or a list of actions. False unless said. */
  readonly answers?: boolean;
  /** How long one request may take. Default 10000. */
  readonly deadlineMs?: number;
  /** Sent with each request, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Allows http to other machines. False unless said. */
  readonly allowHttp?: boolean;
  /** The clock of the signature, in milliseconds. Default `Date.now`. */
  readonly now?: () => number;
}

/** Answers that say: not now. Also all from 500 on. */
const NOT_NOW: ReadonlySet<number> = new Set([408, 425, 429]);

/**
 * A doctor that is a URL: each batch is a POST of `{"events":[…]}`, and any 2xx says that it is dealt with. `webhook-id` has the
 * batch's id, `webhook-timestamp` the time in seconds, and `webhook-signature` the `v1,` HMAC-SHA256 in base64 of
 * `<id>.<timestamp>.<body>`, as Standard Webhooks has it, so that any of its libraries can verify it.
 *
 * It repeats nothing by itself: `deliver` rejects, retryable, with ER0212 (past the deadline), ER0217 (ended by its caller) and
 * ER0018 (no connection, 408, 425, 429, 5xx; with `Retry-After` as `retryAfterMs`), and for good with ER0224 (a redirect, a
 * forbidden address), ER0221 (any other answer), ER0223 (an answer over 1 MiB) and what `wire.read` refuses. Redirects are not
 * followed, proxies of the environment are not used, link-local addresses and those of metadata services are not connected to,
 * whatever the name resolves to.
 *
 * @throws FleetError ER0230 where the url or the secret cannot be used
 * @example
 * ```ts
 * webhookDoctor({ name: 'ops', url: 'https://ops.example.com/fleet', secret: process.env.OPS_SECRET, wire: doctorWire({ cloud: 'ec2' }) });
 * ```
 */
export function webhookDoctor(options: WebhookDoctorOptions): Doctor {
  const { name, wire, answers = false, deadlineMs = 10_000, allowHttp = false, now = Date.now } = options;
  const sign = signer(name, options.secret);
  const post = createPost(name, options.url, { deadlineMs, allowHttp });

  function headersOf(id: string, body: string): Record<string, string> {
    const timestamp = String(Math.floor(now() / 1000));
    const signature = sign?.(`${id}.${timestamp}.${body}`);
    return {
      ...options.headers,
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      ...(signature !== undefined && { 'webhook-signature': signature }),
    };
  }

  function refuseUnlessTaken({ what, status, retryAfter }: Reply): void {
    if (status >= 200 && status < 300) return;
    const refuse = (code: 'ER0221' | 'ER0224') => new FleetError(code, `${what} was answered by ${status}; allowed is 2xx`);
    if (status < 400) throw refuse('ER0224');
    if (status < 500 && !NOT_NOW.has(status)) throw refuse('ER0221');
    const error = new FleetError('ER0018', `${what} was answered by ${status}`, { retryable: true });
    throw Object.assign(error, { retryAfterMs: waitOf(retryAfter, now()) });
  }

  return {
    name,
    async deliver(batch, signal) {
      const body = wire.write(batch);
      return post(body, headersOf(batch.id, body), signal, async (reply) => {
        refuseUnlessTaken(reply);
        return answers ? wire.read(await reply.text()) : undefined;
      });
    },
  };
}

/** The milliseconds of a `Retry-After`: seconds or a date; 0 where it is neither. */
function waitOf(retryAfter: string | undefined, now: number): number {
  if (retryAfter === undefined) return 0;
  const ms = /^\d{1,9}$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - now;
  return Math.max(ms || 0, 0);
}
