import type { ClaimOutput } from '../machines/index.ts';
import type { Store } from './contracts.ts';
import { type Action, isEnded } from './domain/action.ts';
import type { ActionId } from './domain/identity.ts';
import type { Lease } from './lease.ts';

/** Claims on actions: leases in the store, each with the fence of its holder. */
export interface Claims {
  /** Claims one arming of an action; a later one with the same id is another. */
  claim(of: Pick<Action, 'id' | 'token'>): Promise<ClaimOutput>;
  /** Renews what is held; called on each beat. */
  renew(): Promise<void>;
  release(id: ActionId): Promise<void>;
}

export function createClaims(
  store: Store,
  fleet: {
    readonly owner: string;
    readonly lease: Lease;
    readonly claimMs: number;
    readonly reread: (id: ActionId) => Promise<Action | null>;
  },
): Claims {
  const held = new Map<ActionId, string>();
  const keyOf = (id: ActionId): string => `c:${id}`;
  const textOf = (fence: number): string => `${fence} ${fleet.owner}`;
  /** Whether the term of a fence is still ours: a lease may be lost, and won again, while the store answers. */
  const isTerm = (fence: number): boolean => fleet.lease.held() && fleet.lease.fence === fence;

  async function take(id: ActionId, fence: number): Promise<boolean> {
    const text = textOf(fence);
    if (await store.add(keyOf(id), text, fleet.claimMs)) return true;
    const found = await store.get(keyOf(id));
    if (found === text) return true;
    if (!isTerm(fence)) return false;
    if (found === null) return store.add(keyOf(id), text, fleet.claimMs);
    if (fenceOf(found) >= fence) return false;
    return store.swap(keyOf(id), found, text, fleet.claimMs);
  }

  return {
    async claim({ id, token }) {
      const { fence } = fleet.lease;
      const action = await fleet.reread(id);
      if (!action) return { outcome: 'unknown' };
      if (isEnded(action)) return { outcome: action.status as 'done' | 'expired' | 'cancelled' };
      if (action.token !== token) return { outcome: 'cancelled' };
      if (!isTerm(fence) || !(await take(id, fence))) return { outcome: 'lost' };
      held.set(id, textOf(fence));
      return { outcome: 'won', fence };
    },
    async renew() {
      await Promise.all(
        [...held].map(async ([id, text]) => {
          if (!(await store.swap(keyOf(id), text, text, fleet.claimMs))) held.delete(id);
        }),
      );
    },
    async release(id) {
      const text = held.get(id);
      if (text === undefined) return;
      held.delete(id);
      await store.swap(keyOf(id), text, null);
    },
  };
}

/** The fence of a claim. Only the leader claims, so a lower fence than ours is of a leader that was deposed. */
const fenceOf = (text: string): number => {
  const fence = Number.parseInt(text, 10);
  return Number.isNaN(fence) ? -1 : fence;
};
