import { randomUUID } from 'node:crypto';
import type { AnyActorRef, InspectionEvent } from 'xstate';
import type { Limits } from '../machines/index.ts';
import { createActions } from './actions.ts';
import { createBoard } from './board.ts';
import { createClaims } from './claims.ts';
import { createClock } from './clock.ts';
import type { AnyServiceKind, Driver, ServiceInput, Store } from './contracts.ts';
import { createDispatch } from './dispatch.ts';
import { type Action, isLive, type Step } from './domain/action.ts';
import type { Code } from './domain/codes.ts';
import type { Command, Do } from './domain/command.ts';
import type { Heartbeat, Problem } from './domain/heartbeat.ts';
import {
  type ActionId,
  asEntityKey,
  type EntityKey,
  type Instant,
  type Level,
  parseIp,
  serviceKey,
  wantedKey,
} from './domain/identity.ts';
import type { InstanceFacts } from './domain/instance.ts';
import { createInventory } from './domain/inventory.ts';
import { type Known, type Plan, plan, planDo } from './domain/plan.ts';
import { DEFAULT_POLICY, type Policy } from './domain/policy.ts';
import type { Service, ServiceFacts } from './domain/service.ts';
import { judge, type Trigger, type Verdict } from './domain/trigger.ts';
import type { Change, View } from './domain/view.ts';
import { createEntities } from './entities.ts';
import { FleetError } from './errors.ts';
import { createEvents, once } from './events.ts';
import { createGate } from './gate.ts';
import { createLease } from './lease.ts';
import { createPerform } from './perform.ts';
import { type ActionPatch, createQueue } from './queue.ts';
import { createRoster } from './roster.ts';
import { createSource, type Source } from './sources.ts';
import { createCoalesced, createTurns } from './turns.ts';

/** What a fleet is made of. */
export interface FleetOptions {
  readonly drivers?: {
    /** The active cloud first: new instances are launched there. */
    readonly instances?: readonly Driver<InstanceFacts>[];
    readonly services?: readonly ServiceDriver[];
  };
  readonly kinds?: readonly AnyServiceKind[];
  readonly services?: readonly ServiceInput[];
  readonly store: Store;
  /** Any of the numbers of {@link Policy}; the rest are the defaults. */
  readonly policy?: Partial<Policy>;
  /** Asked before every effect: maintenance, blast radius, hours. A text is the reason of a veto, which waits. */
  readonly allow?: (what: Do, view: View | undefined) => true | string;
  /** Who this process is in the leader's lease. Default: random. */
  readonly owner?: string;
  readonly now?: () => Instant;
  /** Gives way to the event loop in long sweeps. */
  readonly yieldTurn?: () => Promise<void>;
  /** Any XState inspector. */
  readonly inspect?: (event: InspectionEvent) => void;
}

/** A driver of services may be told which services are configured. */
export interface ServiceDriver extends Driver<ServiceFacts> {
  bind?(services: readonly Service[]): void;
}

/** What a command came to. */
export interface Reply {
  /** The worst of its targets. */
  readonly code: Code;
  /** Armed, and due now. */
  readonly started: readonly Action[];
  /** Armed, and waiting for a state. */
  readonly deferred: readonly Action[];
  readonly rejected: readonly Problem[];
  readonly cancelled: readonly ActionId[];
  readonly targets: readonly { readonly key: EntityKey; readonly code: Code }[];
}

/** The last heartbeat that a leader stored. */
export interface GlobalHeartbeat {
  readonly source: string;
  readonly epoch: string;
  readonly seq: number;
  readonly at: Instant;
  readonly views: readonly View[];
}

export interface FleetEvents {
  readonly changed: Change;
  /** An action's record was written. */
  readonly action: Action;
  /** A read of a driver failed or took too long. */
  readonly blind: { readonly source: string; readonly code: Code; readonly message: string };
  /** The store could not be reached, or has lost what it held. */
  readonly storeLost: { readonly error: unknown };
  /** A chart failed and was replaced. */
  readonly fault: { readonly key: string; readonly error: unknown };
  /** Something that was refused or failed for one subject alone. */
  readonly problem: Problem;
}

export interface ArmOptions {
  /** Sets two otherwise equal steps apart. */
  readonly key?: string;
  readonly expiresInMs?: number;
  readonly onExpire?: Action['onExpire'];
}

export interface Fleet extends AsyncDisposable {
  /** `leader` acts; `warming` will, once it has read everything; `standby` observes, answers and arms. */
  readonly role: 'leader' | 'standby' | 'warming';
  /** Reads every driver, applies what they say, releases what waits for it. */
  beat(): Promise<readonly Change[]>;
  /** The same for a heartbeat that the host already has. */
  observe(heartbeat: Heartbeat): Promise<readonly Change[]>;
  views(): readonly View[];
  /** What `dispatch` would do. */
  plan(command: Command): Plan;
  dispatch(command: Command): Promise<Reply>;
  arm(steps: readonly Step[], options?: ArmOptions): Promise<readonly Action[]>;
  cancel(id: ActionId): Promise<Action>;
  retry(id: ActionId): Promise<Action>;
  discard(id: ActionId): Promise<Action>;
  extend(id: ActionId, byMs: number): Promise<Action>;
  /** Resolves with the action once it has ended or failed. */
  settled(id: ActionId, signal?: AbortSignal): Promise<Action>;
  /** The live chart of an instance (by id or ip) or service; kept alive until `release`. */
  actor(level: Level, nameOrIp: string): AnyActorRef;
  release(actor: AnyActorRef): void;
  actions(): readonly Action[];
  /** The last heartbeat in the store, whoever stored it. */
  heartbeat(): Promise<GlobalHeartbeat | null>;
  on<K extends keyof FleetEvents>(type: K, listener: (event: FleetEvents[K]) => void): { unsubscribe(): void };
  /** Beats every `everyMs` until `stop`. */
  start(everyMs: number): void;
  /** Ends the beats and all charts, and gives the lease back. What was begun stays begun in the store. */
  stop(): Promise<void>;
}

/**
 * Makes a fleet: it wires drivers, inventory, charts, queue and gate, and holds nothing else.
 * Nothing happens before the first `beat`, `observe` or `start`.
 *
 * @throws ER0230 where a service's name, ip, mode or settings are wrong
 */
export function createFleet(options: FleetOptions): Fleet {
  const policy: Policy = { ...DEFAULT_POLICY, ...options.policy };
  const now = createClock(options.now);
  const yieldTurn = options.yieldTurn ?? nextTurn;
  const owner = options.owner ?? randomUUID();
  const { store, inspect } = options;
  const instanceDrivers = options.drivers?.instances ?? [];
  const serviceDrivers = options.drivers?.services ?? [];
  const cloud = instanceDrivers[0]?.name ?? null;
  const roster = createRoster(options.kinds ?? [], options.services ?? []);
  for (const driver of serviceDrivers) driver.bind?.(roster.services);

  const events = createEvents<FleetEvents>();
  const inventory = createInventory({
    services: roster.services,
    ladders: roster.laddersAmong((key) => inventory.get(key)),
    policy,
    onProblem: (problem) => events.emit('problem', problem),
  });
  const known: Known = { inventory, services: roster.services, kinds: roster.kinds, cloud };
  const lease = createLease(store, { owner, now });
  const queue = createQueue(store, policy, {
    isLeader: () => lease.held(),
    written: (action) => {
      events.emit('action', action);
      if (action.status !== 'dispatching') actions.evaluate(now());
    },
    found: (action) => {
      events.emit('action', action);
      actions.take(action, now());
    },
    lost: (action) =>
      events.emit('storeLost', { error: new FleetError('ER0220', `the record of action ${action.id} is gone from the store`) }),
  });
  const claims = createClaims(store, { owner, lease, claimMs: policy.claimMs, reread: queue.reread });
  const gate = createGate({
    queue,
    lease,
    now,
    isWarm,
    view: inventory.get,
    allow: options.allow ?? (() => true),
  });
  const entities = createEntities({
    inventory,
    perform: createPerform({ gate, now, driverOf, callMs: policy.callMs, yieldTurn }),
    limits: limitsOf(policy),
    ladderOf: roster.ladderOf,
    cloud,
    liveActors: policy.liveActors,
    inspect,
    onFault: (key, error) => events.emit('fault', { key, error }),
  });
  const judged = (action: Action, when: Trigger): Verdict =>
    judge(when, inventory, { now: now(), armedAt: action.armedAt, policy });
  const actions = createActions({
    queue,
    claims,
    dispatch: createDispatch({
      gate,
      queue,
      entities,
      now,
      keyOf: (action) => keyOf(action.do, action.lane),
      plan: (action) => planDo(action.do, action.lane, known),
      judge: judged,
    }),
    limits: policy,
    judge: (action) => judged(action, action.when),
    liveActors: policy.liveActors,
    inspect,
    onFault: (key, error) => events.emit('fault', { key, error }),
    onStoreError: (error) => events.emit('storeLost', { error }),
  });
  const board = createBoard(store, {
    everyMs: policy.storeEveryMs,
    ttlMs: policy.historyMs,
    turnSize: policy.turnSize,
    yieldTurn,
    onError: (error) => events.emit('storeLost', { error }),
  });

  /** Changes since the beat began, whoever told them. */
  let changed: Change[] = [];
  const sources = [
    ...instanceDrivers.map((driver) => sourceOf(driver, 'instances')),
    ...serviceDrivers.map((driver) => sourceOf(driver, 'services')),
  ];
  const inTurn = createTurns();
  const beats = createCoalesced(beatOnce);
  let seq = 0;
  let wasLeading = false;
  let everyMs = 0;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  function sourceOf(driver: Driver<InstanceFacts> | Driver<ServiceFacts>, level: Level): Source {
    return createSource(driver, level, {
      epoch: owner,
      observeMs: policy.observeMs,
      maxAgeMs: ({ everyMs }) => (queue.all().some(isLive) || !inventory.hasRead(level, driver.name) ? 0 : everyMs),
      apply: async (beat, own) => {
        changed.push(...(await take(beat, own)));
      },
      onBlind: (source, { code, message }) => {
        inventory.blind(source, now(), driver.everyMs);
        events.emit('blind', { source, code, message });
      },
      inspect,
    });
  }

  async function beatOnce(): Promise<readonly Change[]> {
    assertRunning();
    changed = [];
    await lead();
    const at = now();
    await Promise.all(sources.map((source) => source.beat(at)));
    const silent = inventory.elapse(now());
    pulse(silent);
    changed.push(...silent);
    for (const key of inventory.forget(now(), isWatched)) entities.drop(key);
    if (lease.held()) board.post({ source: owner, epoch: owner, seq: ++seq, at }, () => inventory.views());
    return changed;
  }

  /** Takes or renews the lease, and takes in what others armed. Where the store fails, observing goes on. */
  async function lead(): Promise<void> {
    try {
      const leads = await lease.renew(Math.max(policy.leaseMs, LEASE_BEATS * everyMs));
      await queue.refresh(now(), !leads);
      if (leads && !wasLeading) actions.lead(now());
      if (!leads && wasLeading) actions.yield();
      wasLeading = leads;
      if (leads) await Promise.all([claims.renew(), queue.tidy()]);
    } catch (error) {
      events.emit('storeLost', { error });
    }
  }

  /** Takes in one heartbeat, after those that came before it. */
  function take(beat: Heartbeat, own?: { readonly everyMs: number }): Promise<readonly Change[]> {
    return inTurn(async () => {
      const steps = inventory.applying(beat, now(), own);
      let step = steps.next();
      while (!step.done) {
        await yieldTurn();
        step = steps.next();
      }
      for (const reading of [beat.instances, beat.services])
        for (const problem of reading?.problems ?? []) events.emit('problem', problem);
      pulse(step.value);
      return step.value;
    });
  }

  /** The new views are known: tell the charts, then release what waits for them. */
  function pulse(changes: readonly Change[]): void {
    entities.tell(changes, now());
    for (const change of changes) events.emit('changed', change);
    entities.tick(now());
    actions.evaluate(now());
    entities.settle();
    gate.reconsider();
  }

  function isWarm(what: Do): boolean {
    const areRead = (level: Level, drivers: readonly { readonly name: string }[]) =>
      drivers.length > 0 ? drivers.every((driver) => inventory.hasRead(level, driver.name)) : inventory.hasRead(level);
    if (what.level === 'services') return areRead('instances', instanceDrivers) && areRead('services', serviceDrivers);
    const driver = driverOf({ key: keyOf(what), do: what });
    return areRead('instances', driver ? [driver] : instanceDrivers);
  }

  function driverOf({
    key,
    do: what,
  }: {
    readonly key: EntityKey;
    readonly do: Do;
  }): Driver<InstanceFacts> | Driver<ServiceFacts> | undefined {
    const drivers: readonly (Driver<InstanceFacts> | Driver<ServiceFacts>)[] =
      what.level === 'services' ? serviceDrivers : instanceDrivers;
    const source = inventory.get(key)?.source;
    return drivers.find((driver) => driver.name === source) ?? drivers[0];
  }

  function keyOf(what: Do, lane?: EntityKey): EntityKey {
    if (what.level === 'services') return serviceKey(what.name);
    if ('key' in what.subject) return what.subject.key;
    const view = inventory.atIp(what.subject.ip);
    return typeof view === 'object' ? view.key : (lane ?? wantedKey(cloud ?? 'none', what.subject.ip));
  }

  const isWatched = (key: EntityKey): boolean => queue.lane(key).length > 0;

  function assertRunning(): void {
    if (stopped) throw new FleetError('ER0232', 'the fleet was stopped; make a new one');
  }

  async function arm(steps: readonly Step[], settings?: ArmOptions): Promise<readonly Action[]> {
    assertRunning();
    const armed = await queue.arm(steps, now(), settings);
    if (!lease.held()) return armed;
    actions.evaluate(now());
    return armed;
  }

  async function dispatch(command: Command): Promise<Reply> {
    assertRunning();
    const { code, steps, cancels, rejected, targets } = plan(command, known, queue.all());
    const armed = await arm(steps, command.key === undefined ? {} : { key: command.key });
    for (const id of cancels) await cancel(id);
    const isNow = (action: Action) => action.when.on === 'now';
    return {
      code,
      started: armed.filter(isNow),
      deferred: armed.filter((action) => !isNow(action)),
      rejected,
      cancelled: cancels,
      targets,
    };
  }

  const cancel = (id: ActionId): Promise<Action> => decide(id, 'cancel', isLive, { status: 'cancelled' });

  /** A person's decision: through the chart where this fleet leads, else written for the leader to find. */
  async function decide(
    id: ActionId,
    decision: 'cancel' | 'retry' | 'discard',
    isLegal: (action: Action) => boolean,
    patch: ActionPatch,
  ): Promise<Action> {
    assertRunning();
    const action = await found(id);
    if (!isLegal(action)) throw new FleetError('ER0226', `action ${id} is ${action.status}, which ${decision} does not fit`);
    if (!lease.held()) return queue.update(id, patch);
    const written = once(events, 'action', (one) => one.id === id);
    actions.decide(id, decision, now());
    return decision === 'retry' ? action : written;
  }

  async function found(id: ActionId): Promise<Action> {
    const action = await queue.find(id);
    if (!action) throw new FleetError('ER0225', `no action has the id ${id}`);
    return action;
  }

  async function settled(id: ActionId, signal?: AbortSignal): Promise<Action> {
    const seen = once(events, 'action', (action) => action.id === id && !isLive(action), signal);
    seen.catch(() => {});
    const action = await found(id);
    return isLive(action) ? seen : action;
  }

  const isFailed = (action: Action): boolean => action.status === 'failed';

  return {
    get role() {
      if (!lease.held()) return 'standby';
      const areWarm = [
        ...instanceDrivers.map((driver) => inventory.hasRead('instances', driver.name)),
        ...serviceDrivers.map((driver) => inventory.hasRead('services', driver.name)),
      ];
      return areWarm.every(Boolean) ? 'leader' : 'warming';
    },
    beat: beats,
    async observe(heartbeat) {
      assertRunning();
      if (!lease.held()) await lead();
      return take(heartbeat);
    },
    views: () => [...inventory.views()],
    plan: (command) => plan(command, known, queue.all()),
    dispatch,
    arm,
    cancel,
    retry: (id) => decide(id, 'retry', isFailed, { status: 'waiting', attempts: 0, begun: null }),
    discard: (id) => decide(id, 'discard', isFailed, { status: 'cancelled' }),
    async extend(id, byMs) {
      const action = await found(id);
      if (!isLive(action)) throw new FleetError('ER0226', `action ${id} is ${action.status}, which extend does not fit`);
      const written = await queue.update(id, { expiresAt: ((action.expiresAt ?? now()) + byMs) as Instant });
      actions.take(written, now());
      return written;
    },
    settled,
    actor(level, nameOrIp) {
      return entities.hold(keyNamed(level, nameOrIp));
    },
    release: (actor) => entities.release(asEntityKey(actor.id)),
    actions: queue.all,
    heartbeat: board.read,
    on: events.on,
    start(every) {
      assertRunning();
      everyMs = every;
      const loop = async () => {
        await beats().catch((error: unknown) => events.emit('fault', { key: 'beat', error }));
        if (!stopped) timer = setTimeout(loop, every);
      };
      clearTimeout(timer);
      timer = setTimeout(loop, 0);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };

  function keyNamed(level: Level, nameOrIp: string): EntityKey {
    if (level === 'services') {
      if (!inventory.get(serviceKey(nameOrIp))) throw new FleetError('ER0203', `no service is called ${nameOrIp}`);
      return serviceKey(nameOrIp);
    }
    const ip = parseIp(nameOrIp);
    if (ip) return keyOf({ level: 'instances', subject: { ip }, verb: 'start' });
    for (const view of inventory.views('instances')) if (view.name === nameOrIp) return view.key;
    throw new FleetError('ER0203', `no instance is called ${nameOrIp}`);
  }

  async function stop(): Promise<void> {
    if (stopped) return;
    stopped = true;
    clearTimeout(timer);
    for (const source of sources) source.stop();
    entities.stop();
    actions.yield();
    try {
      await queue.idle();
      if (lease.held()) await board.flush();
      await lease.release();
    } catch (error) {
      events.emit('storeLost', { error });
    }
  }
}

/** A lease outlives so many beats of a fleet that beats by itself. */
const LEASE_BEATS = 3;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const limitsOf = ({ callMs, settleMs, needsMs, callAttempts, backoffMs, backoffMaxMs }: Policy): Limits => ({
  callMs,
  settleMs,
  needsMs,
  callAttempts,
  backoffMs,
  backoffMaxMs,
});
