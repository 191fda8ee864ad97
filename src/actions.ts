import type { AnyStateMachine, InspectionEvent } from 'xstate';
import {
  type ActionContext,
  type ActionLimits,
  actionMachine,
  type ClaimInput,
  type ClaimOutput,
  type DispatchInput,
  type DispatchOutput,
} from '../machines/index.ts';
import type { EffectFunction } from './charts/effects.ts';
import { createCharts, type Step } from './charts.ts';
import type { Claims } from './claims.ts';
import { type Action, type ActionStatus, begunBefore, isEnded, isLive } from './domain/action.ts';
import { doText } from './domain/command.ts';
import type { Problem } from './domain/heartbeat.ts';
import { type ActionId, asActionId, asEntityKey, asToken, type EntityKey, type Instant } from './domain/identity.ts';
import { isFirstInLane } from './domain/lanes.ts';
import { NOW, type Trigger, type Verdict } from './domain/trigger.ts';
import { isFleetError } from './errors.ts';
import type { ActionPatch, ActionQueue } from './queue.ts';

/** The charts of the actions, while this fleet leads. A fleet that does not lead has records only. */
export interface Actions {
  /** Brings the charts to where their records say; called on becoming the leader. */
  lead(now: Instant): void;
  /** Ends all charts; called on losing the lead. */
  yield(): void;
  /** Lets every action that may be due look at its trigger; of one lane, or of all. */
  evaluate(now: Instant, lane?: EntityKey): void;
  /** Takes in a record that another fleet wrote. */
  take(action: Action, now: Instant): void;
  /** The waiting actions that can never fire any more. */
  stuck(): readonly Problem[];
  /** Sends a person's decision to a chart. */
  decide(id: ActionId, decision: 'cancel' | 'retry' | 'discard', now: Instant): void;
}

export function createActions(fleet: {
  readonly queue: ActionQueue;
  readonly claims: Claims;
  readonly dispatch: EffectFunction<DispatchInput, DispatchOutput>;
  readonly limits: ActionLimits;
  readonly now: () => Instant;
  readonly judge: (action: Action, when: Trigger) => Verdict;
  /** Why an action can never fire any more, or null. */
  readonly outOfReach: (action: Action) => string | null;
  readonly onStuck: (problem: Problem) => void;
  readonly isHeld: (action: Action) => boolean;
  /** Told on each beat of every action that would go on, were it not held back. */
  readonly onHeld: (action: Action) => void;
  readonly liveActors: number;
  readonly inspect: ((event: InspectionEvent) => void) | undefined;
  readonly onFault: (key: string, error: unknown) => void;
  readonly onStoreError: (error: unknown) => void;
}): Actions {
  const { queue } = fleet;
  /** What the store has not taken yet, or what was not ours to write while the lease had lapsed. Such an action rests. */
  const unsaved = new Map<ActionId, Unsaved>();
  const underWay = new Set<Unsaved>();
  const stuck = new Map<ActionId, Problem>();
  let leading = false;

  const charts = createCharts<ActionId>({
    machine: actionMachine as unknown as AnyStateMachine,
    effects: { claim, dispatch: fleet.dispatch },
    contextOf: (id) => contextOf(queue.get(id) ?? { ...SAMPLE, id }, fleet.limits),
    liveActors: fleet.liveActors,
    inspect: fleet.inspect,
    onStep: save,
    onFault: (id, error) => fleet.onFault(`actions/${id}`, error),
  });

  function claim({ input }: { readonly input: ClaimInput }): Promise<ClaimOutput> {
    return fleet.claims.claim(input);
  }

  function save(_: ActionId, { before, after }: Step): void {
    const status = after.value as ActionStatus;
    const { action } = after.context as ActionContext;
    if (status === 'claiming' || status === 'dispatching') return;
    const isSame = before !== null && (before.context as ActionContext).action === action;
    if (isSame && (before.value === status || status === 'waiting')) return;
    const { when, attempts, history, expiresAt } = action;
    const ending = expiresAt === null ? { expiresAt } : {};
    const again = before?.value === 'failed' ? { begun: begunBefore(action) } : {};
    const patch = { status, when, attempts, history, ...ending, ...again };
    void write({ action, patch });
  }

  async function write(change: Unsaved): Promise<void> {
    const { action, patch } = change;
    const { id } = action;
    unsaved.set(id, change);
    underWay.add(change);
    try {
      const written = await queue.update(action, patch, 'leader');
      if (unsaved.get(id) === change) unsaved.delete(id);
      // Somebody gave it more time in the same moment, or armed it anew.
      if (written.status !== patch.status && isLive(written)) place(written, fleet.now());
      evaluate(fleet.now(), written.lane);
      if (!isLive(written)) await fleet.claims.release(id);
      if (isEnded(written)) charts.drop(id);
    } catch (error) {
      const hasLapsed = isFleetError(error) && error.code === 'ER0211';
      if (!hasLapsed) fleet.onStoreError(error);
    } finally {
      underWay.delete(change);
    }
  }

  function place(action: Action, now: Instant): void {
    const value = RESTORED[action.status];
    if (value === null) charts.drop(action.id);
    else charts.restore(action.id, value, { ...contextOf(action, fleet.limits), seenAt: now, notBefore: now });
  }

  /** The chart of an action; one of an earlier arming with the same id is over. */
  function chartOf(action: Action): { readonly value: unknown; readonly context: unknown } | undefined {
    const chart = charts.peek(action.id);
    if (!chart || (chart.context as ActionContext).action.token === action.token) return chart;
    charts.drop(action.id);
    return undefined;
  }

  function evaluate(now: Instant, lane?: EntityKey): void {
    if (!leading) return;
    if (lane === undefined) for (const change of unsaved.values()) if (!underWay.has(change)) void write(change);
    for (const action of lane === undefined ? queue.all() : queue.lane(lane)) {
      if (unsaved.has(action.id)) continue;
      const standing = chartOf(action);
      // Somebody may have given it another try without our having heard of it.
      const isRetried = standing?.value === 'failed' && action.status === 'waiting';
      if (isRetried) place(action, now);
      const chart = isRetried ? chartOf(action) : standing;
      const status = (chart?.value ?? 'waiting') as ActionStatus;
      if (status === 'failed' || isEnded({ status })) continue;
      // Only beats let time pass: what is under way has nothing to look at in between.
      if (lane !== undefined && (status === 'claiming' || status === 'dispatching')) continue;
      const isFirst = isFirstInLane(action, queue.lane(action.lane));
      const mayBegin = isBegun(status) || !fleet.isHeld(action);
      const { fresh, holds } = isBegun(status) ? NOT_ASKED : fleet.judge(action, chart ? whenOf(chart) : action.when);
      if (!mayBegin && isFirst && (holds || status === 'backing-off')) fleet.onHeld(action);
      if (!mayBegin && status === 'backing-off') continue;
      const isDue = holds && isFirst && mayBegin;
      // What runs when its time is over does so in its turn.
      const mayRun = isFirst && mayBegin;
      const mayExpire = action.expiresAt !== null && now >= action.expiresAt && (mayRun || action.onExpire !== 'run');
      if (status === 'waiting' && !isDue && !mayExpire) continue;
      charts.deliver(action.id, { type: 'heartbeat', now, fresh, holds: isDue } as { type: string });
    }
    if (lane !== undefined) return;
    charts.settle();
    lookForStuck();
  }

  function lookForStuck(): void {
    for (const action of queue.all()) {
      const reason = action.status === 'waiting' ? fleet.outOfReach(action) : null;
      if (reason === null) stuck.delete(action.id);
      else if (!stuck.has(action.id)) {
        const problem = { subject: action.id, code: 'ER0236', message: `${doText(action.do)} waits in vain: ${reason}` };
        stuck.set(action.id, problem);
        fleet.onStuck(problem);
      }
    }
    for (const id of stuck.keys()) if (!queue.get(id)) stuck.delete(id);
  }

  return {
    lead(now) {
      leading = true;
      for (const action of queue.all()) if (action.status !== 'waiting') place(action, now);
    },
    yield() {
      leading = false;
      unsaved.clear();
      charts.stop();
    },
    evaluate,
    stuck: () => [...stuck.values()],
    take(action, now) {
      if (!leading) return;
      const isBusy = chartOf(action) !== undefined && charts.busy().includes(action.id);
      if (isEnded(action)) {
        // What is with its entity is called back; what only waits, or has failed, is over.
        if (isBusy) charts.deliver(action.id, { type: 'cancel', now } as { type: string });
        else charts.drop(action.id);
      } else if (!isBusy && !unsaved.has(action.id) && (charts.has(action.id) || action.status !== 'waiting')) place(action, now);
    },
    decide(id, decision, now) {
      charts.deliver(id, { type: decision, now } as { type: string });
    },
  };
}

/** What has begun goes on: each of its calls passes the gate by itself. */
const isBegun = (status: ActionStatus): boolean => status === 'claiming' || status === 'dispatching';

/** It waits for nothing any more. */
const NOT_ASKED: Verdict = { fresh: false, holds: false };

/** What became of one arming, on its way to the store. */
interface Unsaved {
  readonly action: Action;
  readonly patch: ActionPatch;
}

/** What a chart waits for: its record may not say so yet. */
const whenOf = ({ context }: { readonly context: unknown }): Action['when'] => (context as ActionContext).action.when;

/** Where a chart goes on from, by the status of its record. */
const RESTORED: { readonly [S in ActionStatus]: string | null } = {
  waiting: 'waiting',
  claiming: 'claiming',
  dispatching: 'claiming',
  'backing-off': 'backing-off',
  failed: 'failed',
  done: null,
  expired: null,
  cancelled: null,
};

const contextOf = (action: Action, limits: ActionLimits): ActionContext => ({
  action,
  limits,
  seenAt: action.armedAt,
  notBefore: action.armedAt,
  fence: 0,
  retryable: true,
});

/** Any action: only the chart's initial state is read from it. */
const SAMPLE: Action = {
  lane: asEntityKey('services/none'),
  when: NOW,
  do: { level: 'services', name: 'none', verb: 'start' },
  id: asActionId('none'),
  token: asToken('none'),
  order: 0,
  armedAt: 0 as Instant,
  expiresAt: null,
  onExpire: 'drop',
  status: 'waiting',
  attempts: 0,
  begun: null,
  history: [],
};
