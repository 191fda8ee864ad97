import type { Store } from './contracts.ts';
import type { Instant } from './domain/identity.ts';

/** The leader's lease: one fleet acts. No time of another host is ever compared. */
export interface Lease {
  /** The fence of the term that this fleet holds, or held last. */
  readonly fence: number;
  /** Whether this fleet is the leader, by its own clock. */
  held(): boolean;
  /** Takes or renews the lease for `leaseMs`; called on each beat. @returns whether it is held now */
  renew(leaseMs: number): Promise<boolean>;
  /** Gives the lease back, so that a rival need not wait. */
  release(): Promise<void>;
}

interface Term {
  readonly owner: string;
  readonly fence: number;
  /** Grows with every renewal: a rival sees that the owner lives. */
  readonly n: number;
  readonly leaseMs: number;
}

const KEY = 'leader';
const FENCE_KEY = 'fence';
const FENCE_BASE_KEY = 'fence:base';
/** A term given back is free at once, and stays in the store: were it deleted, a slow rival could put an older fence there. */
const GIVEN_BACK = 0;

export function createLease(store: Store, options: { readonly owner: string; readonly now: () => Instant }): Lease {
  const { owner, now } = options;
  let mine: { readonly term: Term; readonly text: string; readonly since: Instant } | null = null;
  let watched: { readonly text: string; readonly since: Instant } | null = null;
  let fence = 0;

  const held = (): boolean => mine !== null && now() - mine.since < mine.term.leaseMs;

  async function renew(leaseMs: number): Promise<boolean> {
    const since = now();
    if (mine) {
      if (await prolong(mine.term, mine.text, since, leaseMs)) return held();
      mine = null;
    }
    const text = await store.get(KEY);
    const term = text === null ? null : readTerm(text);
    if (text !== null && term?.owner === owner && term.fence === fence)
      return (await prolong(term, text, since, leaseMs)) && held();
    if (text !== null && term !== null) {
      if (watched?.text !== text) watched = { text, since: now() };
      if (Math.max(0, since - watched.since) < term.leaseMs) return false;
    }
    return take(text, since, leaseMs);
  }

  /** A renewal whose answer was lost counts for nothing: when a rival has seen it, nobody here knows. */
  async function prolong(old: Term, found: string, since: Instant, leaseMs: number): Promise<boolean> {
    const term: Term = { ...old, n: old.n + 1, leaseMs };
    const text = JSON.stringify(term);
    if (!(await store.swap(KEY, found, text))) return false;
    mine = { term, text, since };
    return true;
  }

  async function take(found: string | null, since: Instant, leaseMs: number): Promise<boolean> {
    const term: Term = { owner, fence: await nextFence(since), n: 0, leaseMs };
    const text = JSON.stringify(term);
    const won = found === null ? await store.add(KEY, text) : await store.swap(KEY, found, text);
    if (!won) return false;
    mine = { term, text, since };
    watched = null;
    fence = term.fence;
    return held();
  }

  /**
   * Hosts remember the highest fence that they have seen. A store that has lost its count begins again above it: the count is
   * on top of the time at which it began.
   */
  async function nextFence(at: Instant): Promise<number> {
    const count = await store.increment(FENCE_KEY);
    await store.add(FENCE_BASE_KEY, String(Math.floor(at)));
    return Number((await store.get(FENCE_BASE_KEY)) ?? 0) + count;
  }

  return {
    get fence() {
      return fence;
    },
    held,
    renew,
    async release() {
      if (!mine) return;
      const { term, text } = mine;
      mine = null;
      await store.swap(KEY, text, JSON.stringify({ ...term, n: term.n + 1, leaseMs: GIVEN_BACK } satisfies Term));
    },
  };
}

/** A record that is no term of ours counts as abandoned. */
function readTerm(text: string): Term | null {
  try {
    const term: unknown = JSON.parse(text);
    if (typeof term !== 'object' || term === null) return null;
    const { owner, fence, n, leaseMs } = term as Partial<Record<keyof Term, unknown>>;
    if (typeof owner !== 'string' || typeof fence !== 'number' || typeof n !== 'number' || typeof leaseMs !== 'number')
      return null;
    return { owner, fence, n, leaseMs };
  } catch {
    return null;
  }
}
