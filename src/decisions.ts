import type { Actions } from './actions.ts';
import { type Action, begunBefore, isEnded, isLive, isSwitchoverBegun } from './domain/action.ts';
import type { ActionId, Instant } from './domain/identity.ts';
import { FleetError } from './errors.ts';
import { type Events, once } from './events.ts';
import type { Fleet, FleetEvents } from './face.ts';
import type { Gate } from './gate.ts';
import type { Lease } from './lease.ts';
import type { ActionPatch, ActionQueue } from './queue.ts';
import { stopOf } from './stop.ts';

/** What a person decides about an action, and waiting for its end. */
export function createDecisions(fleet: {
  readonly queue: ActionQueue;
  readonly actions: Actions;
  readonly lease: Lease;
  readonly gate: Pick<Gate, 'nextBeat'>;
  readonly events: Events<FleetEvents>;
  readonly now: () => Instant;
}): Pick<Fleet, 'cancel' | 'retry' | 'discard' | 'extend' | 'settled'> & {
  /** Ends an action in whatever way fits; one that has ended already is left alone. */
  end(id: ActionId): Promise<void>;
} {
  const { queue, actions, lease, gate, events, now } = fleet;

  async function found(id: ActionId): Promise<Action> {
    const action = await queue.find(id);
    if (!action) throw new FleetError('ER0225', `no action has the id ${JSON.stringify(id)}`);
    return action;
  }

  async function fitting(id: ActionId, decision: string, fits: (action: Action) => boolean): Promise<Action> {
    const action = await found(id);
    if (!fits(action)) throw new FleetError('ER0226', `action ${id} is ${action.status}, which ${decision} does not fit`);
    return action;
  }

  /** Through the chart where this fleet leads, else written for the leader to find. */
  async function decide(action: Action, decision: 'cancel' | 'discard' | 'retry', patch: ActionPatch): Promise<Action> {
    const { id } = action;
    if (!lease.held() || decision === 'retry') {
      const written = await queue.update(action, patch);
      actions.take(written, now());
      actions.evaluate(now(), written.lane);
      return written;
    }
    // It may have ended since it was looked up, and nobody is told twice.
    if (queue.get(id)?.token !== action.token) return found(id);
    const over = new AbortController();
    const isOver = stopOf(over.signal);
    const ended = once(events, 'action', (told) => told.id === id && isEnded(told), over.signal);
    actions.decide(id, decision, now());
    try {
      for (;;) {
        const told = await Promise.race([ended, gate.nextBeat(isOver)]);
        if (told) return told;
        // Whose lease has lapsed before its chart could write that down leaves it to the successor, as any other fleet would.
        if (!lease.held()) return await queue.update(action, patch);
      }
    } finally {
      ended.catch(() => {});
      over.abort();
    }
  }

  return {
    async cancel(id) {
      return decide(await fitting(id, 'cancel', isCancellable), 'cancel', { status: 'cancelled' });
    },
    async end(id) {
      const action = await queue.find(id);
      if (!action || isEnded(action)) return;
      await decide(action, isLive(action) ? 'cancel' : 'discard', { status: 'cancelled' });
    },
    async retry(id) {
      const action = await fitting(id, 'retry', isFailed);
      return decide(action, 'retry', { status: 'waiting', attempts: 0, begun: begunBefore(action) });
    },
    async discard(id) {
      return decide(await fitting(id, 'discard', isFailed), 'discard', { status: 'cancelled' });
    },
    async extend(id, byMs) {
      const action = await fitting(id, 'extend', isLive);
      const written = await queue.update(action, { expiresAt: ((action.expiresAt ?? now()) + byMs) as Instant });
      actions.take(written, now());
      return written;
    },
    async settled(id, signal) {
      const ended = new AbortController();
      const stop = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal;
      const seen = once(events, 'action', (action) => action.id === id && !isLive(action), stop);
      try {
        const action = await Promise.race([found(id), seen]);
        return isLive(action) ? await seen : action;
      } finally {
        seen.catch(() => {});
        ended.abort();
      }
    },
  };
}

const isFailed = (action: Action): boolean => action.status === 'failed';

/** A change of master that has begun comes to its own end: between its steps nobody takes writes. */
const isCancellable = (action: Action): boolean => isLive(action) && !isSwitchoverBegun(action);
