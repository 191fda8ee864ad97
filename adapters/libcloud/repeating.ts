import type { AxiosError } from 'axios';
import { failureOf } from '../http/exchange.ts';

interface Waits {
  readonly retryMs?: number;
  readonly retryAfterMostMs?: number;
}

const RETRY_MS = 200;
const RETRY_AFTER_MOST_MS = 5000;

/**
 * The milliseconds of a `Retry-After`: seconds or a date; null where it is neither. A date is one of the server's clock, and counts
 * from what its own `Date` says, where it says so.
 */
function retryAfterMs({ response }: AxiosError): number | null {
  const { 'retry-after': value, date } = (response?.headers ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof value !== 'string') return null;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const until = instantOf(value);
  return until === null ? null : Math.max(0, until - (instantOf(date) ?? Date.now()));
}

/** A date of HTTP in any of its three forms, one of which does not say that it is GMT. */
function instantOf(text: unknown): number | null {
  if (typeof text !== 'string' || !/^[A-Z][a-z]{2}/.test(text)) return null;
  const ms = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
  return Number.isNaN(ms) ? null : ms;
}

/**
 * Whether a request may succeed when it is sent again, and may be sent again. A 429 was not processed, and what could not be sent
 * has not arrived; of anything else that fails only what is repeatable is repeated.
 */
export function isWorthRepeating(error: AxiosError, isRepeatable: boolean, waits: Waits): boolean {
  if (error.code === 'ERR_CANCELED') return false;
  const { response } = error;
  if (response) {
    if ((retryAfterMs(error) ?? 0) > (waits.retryAfterMostMs ?? RETRY_AFTER_MOST_MS)) return false;
    return response.status === 429 || (isRepeatable && response.status >= 500);
  }
  const failure = failureOf(error);
  if (failure.kind === 'refused' || failure.isUnproven) return false;
  return isRepeatable || !failure.wasSent;
}

/** The wait before retry `count` (from 1): what the server asks for, else doubling and spread over its upper half. */
export function delayMs(count: number, error: AxiosError, { retryMs = RETRY_MS }: Waits): number {
  const full = retryMs * 2 ** (count - 1);
  return Math.max(retryAfterMs(error) ?? 0, full / 2 + (full / 2) * Math.random());
}
