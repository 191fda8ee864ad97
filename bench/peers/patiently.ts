import { setTimeout as pause } from 'node:timers/promises';

/** Tries again what is throttled or lost: the SDK's own retries give up once its quota for them is spent. */
export async function patiently<T>(send: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof Error) || !PASSING.has(error.name)) throw error;
      await pause(1000 + Math.random() * 1000 * Math.min(8, attempt + 1));
    }
  }
}

const PASSING: ReadonlySet<string> = new Set(['RequestLimitExceeded', 'TimeoutError']);
