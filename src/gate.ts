import type { PerformInput } from '../machines/index.ts';
import type { Permit } from './contracts.ts';
import type { Do } from './domain/command.ts';
import type { EntityKey, Instant, Token } from './domain/identity.ts';
import type { View } from './domain/view.ts';
import { FleetError } from './errors.ts';
import type { Lease } from './lease.ts';
import type { ActionQueue } from './queue.ts';
import { onStop, type Stop, throwIfStopped } from './stop.ts';

/** The only way to an effect. */
export interface Gate {
  /** Waits until `what` may be looked into: we lead, and everything that it touches has been read since the start. */
  ready(what: Do, stop: Stop): Promise<void>;
  /**
   * Waits until an effect may happen, and writes down that it is about to.
   * @throws ER0210 where the token is of no stored action
   */
  pass(effect: Pick<PerformInput, 'key' | 'do' | 'token' | 'by'>, stop: Stop): Promise<Permit>;
  /** Takes back that a call was begun: the driver has said that it was not accepted. */
  unbegin(by: Token, permit: Permit): Promise<void>;
  /** Waits until what is known may have changed: the next beat, or heartbeat that is pushed. */
  nextBeat(stop: Stop): Promise<void>;
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

  const nextBeat = (stop: Stop): Promise<void> =>
    new Promise((resolve, reject) => {
      throwIfStopped(stop);
      const wake = () => {
        waiting.delete(wake);
        unlisten();
        resolve();
      };
      const unlisten = onStop(stop, () => {
        waiting.delete(wake);
        reject(stop.reason);
      });
      waiting.add(wake);
    });

  const isReady = (what: Do): boolean => lease.held() && fleet.isWarm(what);

  async function ready(what: Do, stop: Stop): Promise<void> {
    while (!isReady(what)) await nextBeat(stop);
  }

  async function begin({ key, token, by }: Pick<PerformInput, 'key' | 'token' | 'by'>): Promise<void> {
    const action = queue.byToken(by);
    if (!action)
      throw new FleetError('ER0210', `${by} is of no action in the store; commands go through dispatch, steps through arm`);
    if (action.begun && action.status === 'dispatching') return;
    const begun = action.begun ?? {
      at: fleet.now(),
      mark: fleet.view(key)?.mark ?? null,
      ...(token !== by && { token }),
    };
    const written = await queue.update(action, { status: 'dispatching', begun }, 'leader');
    if (written.token !== by || written.status !== 'dispatching')
      throw new FleetError('ER0217', `action ${action.id} was ${written.status} meanwhile`);
  }

  return {
    ready,
    nextBeat,
    async pass(effect, stop) {
      const { key, do: what, token, by } = effect;
      for (;;) {
        if (!queue.byToken(by)) await begin(effect);
        if (!isReady(what)) await ready(what, stop);
        if (fleet.allow(what, fleet.view(key)) !== true) {
          await nextBeat(stop);
          continue;
        }
        const { fence } = lease;
        const isRepeated = token !== by || queue.byToken(by)?.begun != null;
        await begin(effect);
        throwIfStopped(stop);
        const valid = () => lease.held() && lease.fence === fence && !stop.isStopped;
        if (valid()) return { token, fence, valid, ...(isRepeated && { isRepeated }) };
      }
    },
    async unbegin(by, { valid }) {
      const action = queue.byToken(by);
      if (action?.begun && valid()) await queue.update(action, { begun: null }, 'leader');
    },
    reconsider() {
      for (const wake of [...waiting]) wake();
    },
  };
}
