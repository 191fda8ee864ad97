import type { EventObject } from 'xstate';
import type { DispatchInput, DispatchOutput, EntityEmitted, InstanceContext } from '../machines/index.ts';
import type { EffectFunction } from './charts/effects.ts';
import { type Action, isMarked, isSwitchoverBegun, type Step } from './domain/action.ts';
import { isRetryable, knownCode, OK } from './domain/codes.ts';
import { doText } from './domain/command.ts';
import type { EntityKey, Instant, Token } from './domain/identity.ts';
import { isFirstInLane } from './domain/lanes.ts';
import type { Outcome } from './domain/plan.ts';
import { triggerText, type Verdict } from './domain/trigger.ts';
import type { Entities } from './entities.ts';
import { FleetError } from './errors.ts';
import type { Gate } from './gate.ts';
import type { ActionQueue } from './queue.ts';
import { createStop, halt, onStop, type Stop, throwIfStopped } from './stop.ts';

/** The effect of an action that fires: plan again, then hand the verb to its entity and wait until the operation ends. */
export function createDispatch(fleet: {
  readonly gate: Gate;
  readonly queue: ActionQueue;
  readonly entities: Entities;
  readonly now: () => Instant;
  readonly keyOf: (action: Action) => EntityKey;
  readonly plan: (action: Action) => Outcome;
  readonly judge: (action: Action, when: Step['when']) => Verdict;
}): EffectFunction<DispatchInput, DispatchOutput> {
  const { entities } = fleet;

  return async ({ input, stop }) => {
    const { id } = input.action;
    await fleet.gate.ready(input.action.do, stop);
    for (;;) {
      throwIfStopped(stop);
      const output = await advance(fleet.queue.get(id) ?? input.action, stop);
      if (output) return output;
    }
  };

  /** Whether it is still its turn: nothing has come in front of it, nobody has given it more time. What has begun goes on. */
  function isNext(action: Action): boolean {
    return action.begun !== null || (isFirstInLane(action, fleet.queue.lane(action.lane)) && !waitsLonger(action));
  }

  function waitsLonger(action: Action): boolean {
    const { onExpire, expiresAt, when } = action;
    return onExpire === 'run' && expiresAt !== null && fleet.now() < expiresAt && !fleet.judge(action, when).holds;
  }

  function planned(action: Action): Outcome {
    return isPerhapsCalled(action) ? run(action) : fleet.plan(action);
  }

  /** Does what the action comes to now; null where that has changed while its entity was busy with something else. */
  async function advance(action: Action, stop: Stop): Promise<DispatchOutput | null> {
    if (!isNext(action)) return { outcome: 'deferred', action };
    const outcome = planned(action);
    if (outcome.is === 'satisfied') return { outcome: 'done', code: OK };
    if (outcome.is === 'rejected') {
      const { code, message } = outcome.problem;
      throw new FleetError(knownCode(code, 'ER0206'), message, { retryable: isRetryable(code) });
    }
    const front = outcome.steps.slice(0, -1);
    const last = outcome.steps.at(-1);
    if (!last) return { outcome: 'done', code: OK };
    if (front.length === 0 && last.when.on === 'now') return await perform(action, stop);
    if (front.length === 0 && fleet.judge(action, last.when).holds)
      throw new FleetError('ER0209', `${doText(action.do)} waits for ${triggerText(last.when)}, which holds`, {
        retryable: true,
      });
    await fleet.queue.arm(front, fleet.now, { before: action });
    return { outcome: 'deferred', action: { ...action, when: last.when } };
  }

  /** Waits until the chart takes the verb: another operation may be under way. False where it is not wanted any more. */
  async function isAvailable(action: Action, key: EntityKey, event: EventObject, stop: Stop): Promise<boolean> {
    while (!entities.isOver(key) && !entities.takes(key, event)) {
      if (!isNext(action) || !isDueNow(planned(action))) return false;
      throwIfStopped(stop);
      const either = createStop();
      const unlisten = onStop(stop, () => halt(either, stop.reason));
      try {
        await Promise.race([changed(key, either), fleet.gate.nextBeat(either)]);
      } finally {
        unlisten();
        halt(either);
      }
      throwIfStopped(stop);
    }
    return true;
  }

  async function perform(action: Action, stop: Stop): Promise<DispatchOutput | null> {
    const key = fleet.keyOf(action);
    const event = { type: action.do.verb, now: fleet.now(), token: action.token, do: action.do, begun: action.begun };
    entities.open(key);
    if (!entities.takes(key, event)) {
      if (!(await isAvailable(action, key, event, stop))) return null;
      // Another action that waited too may have been quicker, or its chart is over: what a chart does not take, it never answers.
      if (!entities.takes(key, event)) return null;
    }
    const shared = callUnderWay(key);
    if (action.do.verb === 'launch' && action.begun === null && shared !== null && shared !== action.token) {
      // Before it joins: should the one that began it be cancelled and this process die, nobody else would know of that call.
      await fleet.queue.update(action, { begun: { at: fleet.now(), mark: null, token: shared } }, 'leader');
      return null;
    }
    return await outcomeOf(key, { ...event, now: fleet.now() }, stop);
  }

  /** The token of the call that is made for an instance at present. */
  function callUnderWay(key: EntityKey): Token | null {
    const context = entities.peek(key)?.context as Pick<InstanceContext, 'operation'> | undefined;
    return entities.hasTag(key, 'busy') ? (context?.operation?.token ?? null) : null;
  }

  /** Sends the verb and waits for what the chart emits for its token. */
  function outcomeOf(key: EntityKey, event: Sent, stop: Stop): Promise<DispatchOutput> {
    return new Promise((resolve, reject) => {
      const unlisten = entities.listen(key, {
        emitted(told) {
          const { type, token, code, message, retryable } = told as EntityEmitted;
          if (token !== event.token) return;
          end();
          if (type === 'succeeded') resolve({ outcome: 'done', code });
          else if (type === 'cancelled') resolve({ outcome: 'cancelled', code });
          else reject(new FleetError(knownCode(code, 'ER0221'), message, { retryable }));
        },
        failed() {
          end();
          reject(chartFailed(key));
        },
      });
      const unstop = onStop(stop, () => {
        end();
        if (entities.has(key))
          entities.deliver(key, { type: 'cancel', now: fleet.now(), token: event.token, reason: 'ER0217' } as EventObject);
        reject(stop.reason);
      });
      const end = () => {
        unlisten();
        unstop();
      };
      entities.deliver(key, event);
    });
  }

  /** Resolves once a chart has changed. */
  function changed(key: EntityKey, stop: Stop): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = entities.listen(key, {
        changed() {
          end();
          resolve();
        },
        failed() {
          end();
          reject(chartFailed(key));
        },
      });
      onStop(stop, () => {
        end();
        resolve();
      });
    });
  }
}

type Sent = EventObject & { readonly token: Token; readonly now: Instant };

/**
 * A verb that must not be called twice goes to its chart whatever the plan says: the chart judges whether it worked. So does a switch
 * that has begun: it goes on where it was, or gives the writes back.
 */
const isPerhapsCalled = (action: Action): boolean => (action.begun !== null && isMarked(action.do)) || isSwitchoverBegun(action);

const run = (action: Action): Outcome => ({
  is: 'steps',
  code: OK,
  steps: [{ lane: action.lane, when: { on: 'now' }, do: action.do }],
});

const isDueNow = (outcome: Outcome): boolean =>
  outcome.is === 'steps' && outcome.steps.length === 1 && outcome.steps[0]?.when.on === 'now';

const chartFailed = (key: EntityKey): FleetError => new FleetError('ER0214', `the chart of ${key} failed`, { retryable: true });
