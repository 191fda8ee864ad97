import { type AnyActorRef, fromPromise } from 'xstate';
import type { DispatchInput, DispatchOutput, Effect, EntityEmitted } from '../machines/index.ts';
import type { Charts } from './charts.ts';
import type { Action, Step } from './domain/action.ts';
import { isRetryable, knownCode, OK } from './domain/codes.ts';
import { doText } from './domain/command.ts';
import type { EntityKey, Instant } from './domain/identity.ts';
import { isFirstInLane } from './domain/lanes.ts';
import type { Outcome } from './domain/plan.ts';
import { triggerText, type Verdict } from './domain/trigger.ts';
import { FleetError } from './errors.ts';
import type { Gate } from './gate.ts';
import type { ActionQueue } from './queue.ts';

/** The effect of an action that fires: plan again, then hand the verb to its entity and wait until the operation ends. */
export function createDispatch(fleet: {
  readonly gate: Gate;
  readonly queue: ActionQueue;
  readonly entities: Charts<EntityKey>;
  readonly now: () => Instant;
  readonly keyOf: (action: Action) => EntityKey;
  readonly plan: (action: Action) => Outcome;
  readonly judge: (action: Action, when: Step['when']) => Verdict;
}): Effect<DispatchInput, DispatchOutput> {
  return fromPromise<DispatchOutput, DispatchInput>(async ({ input, signal }) => {
    const { id } = input.action;
    await fleet.gate.ready(input.action.do, signal);
    for (;;) {
      signal.throwIfAborted();
      const output = await advance(fleet.queue.get(id) ?? input.action, signal);
      if (output) return output;
    }
  });

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
  async function advance(action: Action, signal: AbortSignal): Promise<DispatchOutput | null> {
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
    if (front.length === 0 && last.when.on === 'now') return perform(action, signal);
    if (front.length === 0 && fleet.judge(action, last.when).holds)
      throw new FleetError('ER0209', `${doText(action.do)} waits for ${triggerText(last.when)}, which holds`, {
        retryable: true,
      });
    await fleet.queue.arm(front, fleet.now(), { before: action });
    return { outcome: 'deferred', action: { ...action, when: last.when } };
  }

  /** Waits until the chart takes the verb: another operation may be under way. False where it is not wanted any more. */
  async function isAvailable(
    action: Action,
    actor: AnyActorRef,
    event: { readonly type: string },
    signal: AbortSignal,
  ): Promise<boolean> {
    while (actor.getSnapshot().status === 'active' && !actor.getSnapshot().can(event)) {
      if (!isNext(action) || !isDueNow(planned(action))) return false;
      const either = new AbortController();
      const stop = AbortSignal.any([signal, either.signal]);
      try {
        await Promise.race([changed(actor, stop), fleet.gate.nextBeat(stop)]);
      } finally {
        either.abort();
      }
      signal.throwIfAborted();
    }
    return true;
  }

  async function perform(action: Action, signal: AbortSignal): Promise<DispatchOutput | null> {
    const key = fleet.keyOf(action);
    const actor = fleet.entities.hold(key);
    const event = { type: action.do.verb, now: fleet.now(), token: action.token, do: action.do, begun: action.begun };
    try {
      if (!(await isAvailable(action, actor, event, signal))) return null;
      // Another action that waited too may have been quicker, or its chart is over: what a chart does not take, it never answers.
      if (actor.getSnapshot().status !== 'active' || !actor.getSnapshot().can(event)) return null;
      return await outcomeOf(actor, { ...event, now: fleet.now() }, signal, () => {
        if (actor.getSnapshot().status === 'active')
          actor.send({ type: 'cancel', now: fleet.now(), token: action.token, reason: 'ER0217' });
      });
    } finally {
      fleet.entities.release(key);
    }
  }
}

/** A verb that must not be called twice goes to its chart whatever the plan says: the chart judges whether it worked. */
const isPerhapsCalled = (action: Action): boolean =>
  action.begun !== null && (action.do.verb === 'reboot' || action.do.verb === 'restart');

const run = (action: Action): Outcome => ({
  is: 'steps',
  code: OK,
  steps: [{ lane: action.lane, when: { on: 'now' }, do: action.do }],
});

const isDueNow = (outcome: Outcome): boolean =>
  outcome.is === 'steps' && outcome.steps.length === 1 && outcome.steps[0]?.when.on === 'now';

/** Resolves once a chart has changed. */
async function changed(actor: AnyActorRef, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const subscription = actor.subscribe({
      next: () => resolve(),
      error: () => reject(chartFailed(actor)),
      complete: () => resolve(),
    });
    signal.addEventListener('abort', () => {
      subscription.unsubscribe();
      resolve();
    });
  });
}

/** Sends the verb and waits for what the chart emits for its token. */
function outcomeOf(
  actor: AnyActorRef,
  event: { readonly type: string; readonly token: string; readonly now: Instant },
  signal: AbortSignal,
  cancel: () => void,
): Promise<DispatchOutput> {
  return new Promise((resolve, reject) => {
    const watch = actor.on('*', (emitted: EntityEmitted) => {
      if (emitted.token !== event.token) return;
      end();
      if (emitted.type === 'succeeded') resolve({ outcome: 'done', code: emitted.code });
      else if (emitted.type === 'cancelled') resolve({ outcome: 'cancelled', code: emitted.code });
      else reject(new FleetError(knownCode(emitted.code, 'ER0221'), emitted.message, { retryable: emitted.retryable }));
    });
    const faults = actor.subscribe({
      error: () => {
        end();
        reject(chartFailed(actor));
      },
    });
    const abort = () => {
      end();
      cancel();
      reject(signal.reason);
    };
    const end = () => {
      watch.unsubscribe();
      faults.unsubscribe();
      signal.removeEventListener('abort', abort);
    };
    signal.addEventListener('abort', abort, { once: true });
    actor.send(event);
  });
}

const chartFailed = (actor: AnyActorRef): FleetError =>
  new FleetError('ER0214', `the chart of ${actor.id} failed`, { retryable: true });
