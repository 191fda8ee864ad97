import type { Store } from '../contracts.ts';
import type { Instant } from '../domain/identity.ts';
import type { Policy } from '../domain/policy.ts';

/** What stands at a place of the log: a text, nothing for good, or nothing yet. */
export type Entry = { readonly is: 'text'; readonly text: string } | { readonly is: 'nothing' } | { readonly is: 'pending' };

/** Texts in the order in which they were appended. Several processes may append. */
export interface Log {
  /** Resolves once the text is in the store. */
  append(text: string): Promise<void>;
  /** The places that may hold a text. */
  bounds(): Promise<{ readonly first: number; readonly last: number }>;
  read(place: number, now: Instant): Promise<Entry>;
  /** Removes everything before a place. */
  forget(before: number): Promise<void>;
  /** Keeps a text that this version cannot read where it is not forgotten. @returns the key of the store */
  setAside(place: number, text: string): Promise<string>;
}

const LAST = 'd:last';
const FORGOTTEN = 'd:forgotten';
const textKey = (place: number): string => `d:${place}`;
/** Put at a place that nobody fills. Whoever took it, and was only slow, cannot fill it any more and takes another. */
const GIVEN_UP = '';

export function createLog(store: Store, policy: Pick<Policy, 'graceMs' | 'historyMs'>): Log {
  /** Since when we have been waiting for the text of a place. */
  const pending = new Map<number, Instant>();

  const numberAt = async (key: string): Promise<number> => Number((await store.get(key)) ?? 0);

  /** A store that has lost its counter counts from 1 again: then nothing is forgotten yet. */
  async function bounds(): Promise<{ readonly first: number; readonly last: number }> {
    const [forgotten, last] = await Promise.all([numberAt(FORGOTTEN), numberAt(LAST)]);
    return { first: forgotten <= last ? forgotten + 1 : 1, last };
  }

  async function giveUp(place: number, now: Instant): Promise<boolean> {
    const since = pending.get(place) ?? now;
    pending.set(place, since);
    return now - since >= policy.graceMs && store.add(textKey(place), GIVEN_UP, policy.historyMs);
  }

  return {
    async append(text) {
      while (!(await store.add(textKey(await store.increment(LAST)), text)));
    },
    bounds,
    async read(place, now) {
      const text = await store.get(textKey(place));
      if (text === null && !(await giveUp(place, now))) return { is: 'pending' };
      pending.delete(place);
      return text === null || text === GIVEN_UP ? { is: 'nothing' } : { is: 'text', text };
    },
    async forget(before) {
      const { first } = await bounds();
      for (let place = first; place < before; place++) {
        if ((await store.get(textKey(place))) !== GIVEN_UP) await store.delete(textKey(place));
      }
      if (before > first) await store.set(FORGOTTEN, String(before - 1));
    },
    async setAside(place, text) {
      const key = `d:aside:${place}`;
      await store.set(key, text);
      return key;
    },
  };
}
