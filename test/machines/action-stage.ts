import { type Action, asActionId, asInstant, asToken, serviceKey } from 'fleetbeat';
import {
  type ActionLimits,
  actionMachine,
  type ClaimInput,
  type ClaimOutput,
  type DispatchInput,
  type DispatchOutput,
} from 'fleetbeat/machines';
import { createActor, type Snapshot } from 'xstate';
import { handmade, saved } from './stage.ts';

export const LIMITS: ActionLimits = { attempts: 3, backoffMs: 1000, backoffMaxMs: 4000, claimMs: 30_000 };

export const ACTION: Action = {
  lane: serviceKey('node10'),
  when: { on: 'holds', level: 'services', subject: { key: serviceKey('node10') }, state: 'stopped' },
  do: { level: 'services', name: 'node10', verb: 'start' },
  id: asActionId('a1'),
  token: asToken('a1.1'),
  order: 1,
  armedAt: asInstant(0),
  expiresAt: null,
  onExpire: 'drop',
  status: 'waiting',
  attempts: 0,
  begun: null,
  history: [],
};

/** The chart of an action with its clock, its heartbeats and both its effects in the test's hand. */
export function stageAction(overrides: Partial<Action> = {}) {
  const claim = handmade<ClaimInput, ClaimOutput>();
  const dispatch = handmade<DispatchInput, DispatchOutput>();
  const machine = actionMachine.provide({ actors: { claim: claim.logic, dispatch: dispatch.logic } });
  const action: Action = { ...ACTION, ...overrides };
  let now = 0;
  let actor = open();

  function open(snapshot?: Snapshot<unknown>) {
    return createActor(machine, { input: { action, limits: LIMITS }, ...(snapshot && { snapshot }) }).start();
  }

  const stage = {
    claim,
    dispatch,
    now: () => asInstant(now),
    value: () => actor.getSnapshot().value,
    context: () => actor.getSnapshot().context,
    action: () => actor.getSnapshot().context.action,
    outcomes: () => stage.action().history.map(({ outcome }) => outcome),
    status: () => actor.getSnapshot().status,
    hasTag: (tag: 'waiting' | 'busy' | 'attention' | 'ended') => actor.getSnapshot().hasTag(tag),
    mayDecide: (decision: 'cancel' | 'retry' | 'discard') => actor.getSnapshot().can({ type: decision, now: asInstant(now) }),
    /** Half a second after whatever was before. */
    decide(decision: 'cancel' | 'retry' | 'discard') {
      now += 500;
      actor.send({ type: decision, now: asInstant(now) });
    },
    /** A heartbeat one second after whatever was before, or later; fresh, and the trigger does not hold, unless it says otherwise. */
    beat({ after = 1000, fresh = true, holds = false }: { after?: number; fresh?: boolean; holds?: boolean } = {}) {
      now += after;
      actor.send({ type: 'heartbeat', now: asInstant(now), fresh, holds });
    },
    win: (fence = 7) => claim.answer({ outcome: 'won', fence }),
    refuse: (failure: { readonly code?: string; readonly retryable?: boolean } = {}) =>
      dispatch.refuse({ code: 'ER0221', retryable: true, message: 'no', ...failure }),
    /** Its trigger holds and its claim is won: it is being dispatched. */
    async fire() {
      stage.beat({ holds: true });
      await stage.win();
    },
    /** Ends this life and begins another from what a host would have saved. */
    restart() {
      const snapshot = saved(actor);
      actor.stop();
      actor = open(snapshot);
    },
  };
  return stage;
}
