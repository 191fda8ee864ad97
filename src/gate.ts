import type { Permit } from './contracts.ts';
import type { Begun } from './domain/action.ts';
import type { Do } from './domain/command.ts';
import type { EntityKey, Instant, Token } from './domain/identity.ts';
import type { View } from './domain/view.ts';
import { FleetError } from './errors.ts';
import type { Lease } from './lease.ts';
import type { ActionQueue } from './queue.ts';

/** The only way to an effect. */
export interface Gate {
  /** Waits until `what` may be looked into: we lead, and everything that it touches has been read since the start. */
  ready(what: Do, signal: AbortSignal): Promise<void>;
  /**
   * Waits until an effect may happen, and writes down that it is about to.
   * @throws ER0210 where the token is of no stored action
   */
  pass(effect: { readonly key: EntityKey; readonly do: Do; readonly token: Token }, signal: AbortSignal): Promise<Permit>;
  /** Takes back that a call was begun: the driver has said that it was not accepted. */
  unbegin(permit: Permit): Promise<void>;
  /** Waits until what is known may have changed: the next beat, or heartbeat that is pushed. */
  nextBeat(signal: AbortSignal): Promise<void>;
  /** Lets those that wait look again; called after each beat. */
  reconsider(): void;
}

export function createGate(fleet: {
  readonly queue: ActionQueue;
  readonly lease: Lease;
  readonly now: () => Instant;
  readonly isWarm: (what: Do) => boolean;
  readonly view: (key: EntityKey) => View | undefined;
  readonly allow: (what: Do, view: View | undefined) => true | string;
}): Gate {
  const { queue, lease } = fleet;
  const waiting = new Set<() => void>();

  const nextBeat = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const wake = () => {
        waiting.delete(wake);
        signal.removeEventListener('abort', stop);
        resolve();
      };
      const stop = () => {
        waiting.delete(wake);
        reject(signal.reason);
      };
      signal.throwIfAborted();
      signal.addEventListener('abort', stop, { once: true });
      waiting.add(wake);
    });

  async function ready(what: Do, signal: AbortSignal): Promise<void> {
    while (!lease.held() || !fleet.isWarm(what)) await nextBeat(signal);
  }

  async function begin(token: Token, key: EntityKey): Promise<Begun> {
    const action = queue.byToken(token);
    if (!action)
      throw new FleetError('ER0210', `${token} is of no action in the store; commands go through dispatch, steps through arm`);
    if (action.begun && action.status === 'dispatching') return action.begun;
    const begun = action.begun ?? { at: fleet.now(), mark: fleet.view(key)?.mark ?? null };
    const written = await queue.update(action, { status: 'dispatching', begun }, 'leader');
    if (written.token !== token || written.status !== 'dispatching')
      throw new FleetError('ER0217', `action ${action.id} was ${written.status} meanwhile`);
    return begun;
  }

  return {
    ready,
    nextBeat,
    async pass({ key, do: what, token }, signal) {
      for (;;) {
        if (!queue.byToken(token)) await begin(token, key);
        await ready(what, signal);
        if (fleet.allow(what, fleet.view(key)) !== true) {
          await nextBeat(signal);
          continue;
        }
        const { fence } = lease;
        const isRepeated = queue.byToken(token)?.begun != null;
        await begin(token, key);
        signal.throwIfAborted();
        const valid = () => lease.held() && lease.fence === fence && !signal.aborted;
        if (valid()) return { token, fence, valid, ...(isRepeated && { isRepeated }) };
      }
    },
    async unbegin({ token, valid }) {
      const action = queue.byToken(token);
      if (action?.begun && valid()) await queue.update(action, { begun: null }, 'leader');
    },
    reconsider() {
      for (const wake of [...waiting]) wake();
    },
  };
}
