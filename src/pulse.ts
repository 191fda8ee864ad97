import type { Actions } from './actions.ts';
import type { Board } from './board.ts';
import type { Claims } from './claims.ts';
import type { Driver, ServiceDriver } from './contracts.ts';
import type { Demands } from './demands.ts';
import { changesSince } from './domain/handover.ts';
import type { Heartbeat } from './domain/heartbeat.ts';
import type { EntityKey, Instant, Level } from './domain/identity.ts';
import type { InstanceFacts } from './domain/instance.ts';
import type { Inventory } from './domain/inventory.ts';
import type { Policy } from './domain/policy.ts';
import type { Rhythm } from './domain/source.ts';
import { type Change, isRunning } from './domain/view.ts';
import type { Entities } from './entities.ts';
import { FleetError } from './errors.ts';
import type { Events } from './events.ts';
import type { FleetEvents, FleetOptions, GlobalHeartbeat } from './face.ts';
import type { Gate } from './gate.ts';
import type { Lease } from './lease.ts';
import type { Ledger } from './ledger.ts';
import type { Maintenances } from './maintenance.ts';
import type { Outbox } from './outbox.ts';
import { createPace } from './pace.ts';
import type { ActionQueue } from './queue.ts';
import type { Keeper } from './recovery.ts';
import type { AnyDriver } from './routing.ts';
import { createSource, type Source } from './sources.ts';
import { createCoalesced, createTurns } from './turns.ts';

/** The beats of a fleet: read, apply, tell the charts, release what waits. */
export interface Pulse {
  beat(): Promise<readonly Change[]>;
  observe(heartbeat: Heartbeat, as?: 'driver'): Promise<readonly Change[]>;
  /** Whether the doctors will hear, from the store, of every change that was seen. */
  isTold(): Promise<boolean>;
  /** Something was done that is waited for: the next beat comes sooner, where beats come by themselves. */
  sooner(): void;
  /** Beats by itself: `everyMs` after each beat, or sooner. */
  start(everyMs: number): void;
  stop(): void;
}

/** A lease outlives so many beats of a fleet that beats by itself. */
const LEASE_BEATS = 3;

export function createPulse(fleet: {
  readonly owner: string;
  readonly policy: Policy;
  readonly now: () => Instant;
  readonly yieldTurn: () => Promise<void>;
  readonly inspect: FleetOptions['inspect'];
  readonly instanceDrivers: readonly Driver<InstanceFacts>[];
  readonly serviceDrivers: readonly ServiceDriver[];
  readonly inventory: Inventory;
  readonly lease: Lease;
  readonly queue: ActionQueue;
  readonly claims: Claims;
  readonly gate: Gate;
  readonly entities: Entities;
  readonly actions: Actions;
  readonly maintenance: Pick<Maintenances, 'tellNews'>;
  /** What all fleets on the store share, each looked at once a beat. */
  readonly records: readonly { refresh(): Promise<void> }[];
  readonly keeper: Pick<Keeper, 'beat'>;
  readonly demands: Demands;
  readonly board: Board;
  readonly ledger: Ledger;
  readonly outbox: Outbox;
  readonly events: Events<FleetEvents>;
  readonly onStoreError: (error: unknown) => void;
}): Pulse {
  const { policy, now, inventory, lease, queue, entities, actions, events } = fleet;
  /** Changes since the beat began, whoever told them. */
  let changed: Change[] = [];
  const instanceSources = fleet.instanceDrivers.map((driver) => sourceOf(driver, 'instances'));
  const serviceSources = fleet.serviceDrivers.map((driver) => sourceOf(driver, 'services'));
  const inTurn = createTurns();
  const leading = createCoalesced(lead);
  const beat = createCoalesced(beatOnce);
  const pace = createPace(beat, (error) => events.emit('fault', { key: 'beat', error }));
  let seq = 0;
  /** The fence of the term in which the charts of the actions run: between two terms of ours, somebody else may have led. */
  let led: number | null = null;
  /** Whether something was seen while we did not lead. */
  let isUntold = false;
  /** When all actions were looked at again. */
  let lookedAt = Number.NEGATIVE_INFINITY;
  let isRecalled = false;
  let stopped = false;

  function sourceOf(driver: AnyDriver, level: Level): Source {
    return createSource(driver, level, {
      epoch: fleet.owner,
      observeMs: policy.observeMs,
      now,
      waitMs: () => pace.waitMs,
      demand: () => fleet.demands.of(driver, level),
      apply: async (reading, own) => {
        changed.push(...(await take(reading, own)));
      },
      onBlind: (source, { code, message }) => {
        inventory.blind(source, now(), rhythmOf(driver));
        events.emit('blind', { source, code, message });
      },
      inspect: fleet.inspect,
    });
  }

  const rhythmOf = ({ everyMs }: Pick<AnyDriver, 'everyMs'>): Rhythm => ({ everyMs, beatMs: pace.everyMs });

  async function beatOnce(): Promise<readonly Change[]> {
    changed = [];
    await leading();
    const at = now();
    await pace.inTime(readAll(at));
    await inTurn(() => {
      const silent = inventory.elapse(now());
      changed.push(...silent);
      return release(silent);
    });
    await recover();
    for (const key of inventory.forget(now(), isWatched)) entities.drop(key);
    fleet.ledger.post();
    if (lease.held()) fleet.board.post({ source: fleet.owner, epoch: fleet.owner, seq: ++seq, at }, () => inventory.views());
    events.emit('beat', { at, tookMs: now() - at, changes: changed.length });
    return changed;
  }

  async function readAll(at: Instant): Promise<void> {
    await Promise.all([...instanceSources, ...serviceSources].map((source) => source.beat(at)));
    if (isAwaitedOnRisen()) await Promise.all(serviceSources.map((source) => source.beat(now())));
  }

  /**
   * Whether an instance has come up in this beat on which a service is waited for: that one was read beside its instance, when there was
   * nothing to see yet, and would otherwise wait for the next beat.
   */
  function isAwaitedOnRisen(): boolean {
    const risen = new Set(changed.filter(isRise).map(({ to }) => to.ip));
    if (risen.size === 0 || !lease.held()) return false;
    for (const { key, ip } of inventory.views('services')) if (risen.has(ip) && isWatched(key)) return true;
    return false;
  }

  async function recover(): Promise<void> {
    if (stopped) return;
    try {
      await fleet.keeper.beat();
    } catch (error) {
      fleet.onStoreError(error);
    }
  }

  /** Takes or renews the lease, and takes in what others armed. Where the store fails, observing goes on. */
  async function lead(): Promise<void> {
    try {
      const leads = await lease.renew(Math.max(policy.leaseMs, LEASE_BEATS * pace.everyMs));
      const term = leads ? lease.fence : null;
      // What the charts of an earlier term believe, somebody else may have ended since.
      if (term !== led && led !== null) {
        actions.yield();
        led = null;
      }
      // A leader is told of what others change, but whoever tells it may die before that.
      const looksAgain = term === null || term !== led || now() - lookedAt >= policy.claimMs;
      await both(queue.refresh(now, looksAgain), ...fleet.records.map((record) => record.refresh()));
      if (looksAgain) lookedAt = now();
      const takesOver = term !== null && term !== led;
      const catchesUp = takesOver || (leads && isUntold);
      const last = catchesUp || !isRecalled ? await fleet.board.read() : null;
      if (!isRecalled) recall(last);
      if (takesOver) actions.lead(now());
      led = term;
      if (catchesUp) await catchUp(last);
      if (leads) await both(fleet.claims.renew(), queue.tidy(), fleet.maintenance.tellNews());
    } catch (error) {
      fleet.onStoreError(error);
    }
  }

  /** What was last believed is compared with what is read first, so that what happened while nobody looked is told. */
  function recall(last: GlobalHeartbeat | null): void {
    isRecalled = true;
    if (!last) return;
    const drivers = new Set([...fleet.instanceDrivers, ...fleet.serviceDrivers].map(({ name }) => name));
    inventory.recall(last.views, now(), (source) => drivers.has(source));
    entities.recall(now());
  }

  /** Takes in one heartbeat, after those that came before it. */
  function take(heartbeat: Heartbeat, own?: { readonly everyMs: number }): Promise<readonly Change[]> {
    return inTurn(async () => {
      const steps = inventory.applying(heartbeat, now(), own && rhythmOf(own));
      let step = steps.next();
      while (!step.done) {
        await fleet.yieldTurn();
        step = steps.next();
      }
      for (const reading of [heartbeat.instances, heartbeat.services])
        for (const problem of reading?.problems ?? []) events.emit('problem', problem);
      await release(step.value);
      return step.value;
    });
  }

  /** The new views are known: tell the charts, then release what waits for them. */
  async function release(changes: readonly Change[]): Promise<void> {
    for (let from = 0; from < changes.length && !stopped; from += policy.turnSize) {
      if (from > 0) await fleet.yieldTurn();
      const some = changes.slice(from, from + policy.turnSize);
      entities.tell(some, now());
      for (const change of some) events.emit('changed', change);
    }
    if (stopped) return;
    entities.tick(now());
    actions.evaluate(now());
    entities.settle();
    fleet.gate.reconsider();
    await tellDoctors(changes);
  }

  async function catchUp(last: GlobalHeartbeat | null): Promise<void> {
    isUntold = false;
    await tellDoctors(changesSince(last?.views ?? [], inventory, now(), `${fleet.owner}:${lease.fence}:${seq}`));
  }

  /** Only the leader tells: what the others see, it sees too, and whoever takes over catches up. */
  async function tellDoctors(changes: readonly Change[]): Promise<void> {
    if (!lease.held()) {
      isUntold ||= changes.length > 0;
      return;
    }
    try {
      await fleet.outbox.post(changes);
      fleet.outbox.pump();
    } catch (error) {
      fleet.onStoreError(error);
    }
  }

  const isWatched = (key: EntityKey): boolean => queue.lane(key).length > 0;

  const deafen = [...fleet.instanceDrivers, ...fleet.serviceDrivers].map((driver) => driver.onNews?.(pace.sooner));

  return {
    beat,
    isTold: () => inTurn(async () => !isUntold && !fleet.outbox.isBehind),
    async observe(heartbeat, as) {
      const driver =
        as === 'driver'
          ? [...fleet.instanceDrivers, ...fleet.serviceDrivers].find(({ name }) => name === heartbeat.source)
          : undefined;
      if (as === 'driver' && !driver) throw new FleetError('ER0229', `no driver is called ${JSON.stringify(heartbeat.source)}`);
      if (!lease.held()) await leading();
      return take(heartbeat, driver);
    },
    sooner: pace.sooner,
    start: pace.start,
    stop() {
      stopped = true;
      pace.stop();
      for (const end of deafen) end?.();
      for (const source of [...instanceSources, ...serviceSources]) source.stop();
    },
  };
}

/** Whether an instance answers by ssh that did not before. */
const isRise = ({ from, to }: Change): boolean =>
  to.level === 'instances' && isRunning(to) && (from === null || !isRunning(from));

/** Waits for both, also where one fails: what goes on behind a beat that has ended would run beside the next one's. */
async function both(...works: readonly Promise<unknown>[]): Promise<void> {
  for (const end of await Promise.allSettled(works)) if (end.status === 'rejected') throw end.reason;
}
