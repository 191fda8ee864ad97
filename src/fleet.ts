import type { Limits } from '../machines/index.ts';
import { createActions } from './actions.ts';
import { createBoard } from './board.ts';
import { createClaims } from './claims.ts';
import { createClock } from './clock.ts';
import type { Answer, Neighbours } from './contracts.ts';
import { createDecisions } from './decisions.ts';
import { createDemands } from './demands.ts';
import { createDispatch } from './dispatch.ts';
import { type Action, isEnded, type Step } from './domain/action.ts';
import { DAY_MS } from './domain/bill.ts';
import { lookAtCluster } from './domain/cluster.ts';
import { type Command, type Do, doText } from './domain/command.ts';
import { FULL_LADDER } from './domain/derive.ts';
import type { Problem } from './domain/heartbeat.ts';
import { asEntityKey, nameOf } from './domain/identity.ts';
import { createInventory } from './domain/inventory.ts';
import { intentOf, intentsOf } from './domain/kept.ts';
import type { Hindrance } from './domain/look.ts';
import { type Known, plan, planDo } from './domain/plan.ts';
import { DEFAULT_POLICY, type Policy, wrongIn } from './domain/policy.ts';
import { outOfReach } from './domain/reach.ts';
import { judge, type Trigger, type Verdict } from './domain/trigger.ts';
import { createEntities } from './entities.ts';
import { FleetError } from './errors.ts';
import { createEvents } from './events.ts';
import type { ArmOptions, Fleet, FleetEvents, FleetOptions, Reply } from './face.ts';
import { createFence } from './fence.ts';
import { createGate } from './gate.ts';
import { createHold } from './hold.ts';
import { keptAmong } from './keep.ts';
import { createLease } from './lease.ts';
import { createLedger } from './ledger.ts';
import { createMaintenances } from './maintenance.ts';
import { createOutbox } from './outbox.ts';
import { createPerform } from './perform.ts';
import { createPulse } from './pulse.ts';
import { createQueue } from './queue.ts';
import { createKeeper } from './recovery.ts';
import { createRoles } from './roles.ts';
import { createRoster } from './roster.ts';
import { createRouting } from './routing.ts';
import { createSwitchover } from './switchover.ts';

/**
 * Makes a fleet: it wires drivers, inventory, charts, queue and gate, and holds nothing else.
 * Nothing happens before the first `beat`, `observe` or `start`.
 *
 * @throws ER0230 where a service's name, ip, mode or settings are wrong, or a number of the policy
 * @example
 * ```ts
 * await using fleet = createFleet({
 *   drivers: { instances: [probed(local({ instances: [{ ip: '10.0.0.102' }] }), shell)], services: [overShell(kinds, shell)] },
 *   kinds,
 *   services: [{ name: 'nosql1', ip: '10.0.0.102', mode: 'memcache', status: 'master' }],
 *   store: memory(),
 * });
 * await fleet.beat();
 * const reply = await fleet.dispatch({ level: 'services', action: 'start', group: 'nosql1' });
 * ```
 */
export function createFleet(options: FleetOptions): Fleet {
  const wrong = wrongIn(options.policy ?? {});
  if (wrong !== null) throw new FleetError('ER0230', wrong);
  const policy: Policy = { ...DEFAULT_POLICY, ...options.policy };
  const now = createClock(options.now);
  const yieldTurn = options.yieldTurn ?? nextTurn;
  const owner = options.owner ?? crypto.randomUUID();
  const { store, inspect } = options;
  const { instances: instanceDrivers = [], services: serviceDrivers = [] } = options.drivers ?? {};
  const cloud = instanceDrivers[0]?.name ?? null;
  const { liveActors } = policy;

  const roles = createRoles(store, now);
  const roster = createRoster(options.kinds ?? [], options.services ?? [], roles);
  const events = createEvents<FleetEvents>();
  let isOver = false;
  const onFault = (key: string, error: unknown) => events.emit('fault', { key, error });
  /** After its stop, whoever has made the fleet may have closed the store; a beat that is still under way finds that out. */
  const onStoreError = (error: unknown) => {
    if (!isOver) events.emit('storeLost', { error });
  };

  const endLosses = store.onLost?.((reason) => onStoreError(new FleetError('ER0228', reason, { retryable: true })));
  const onProblem = (problem: Problem) => events.emit('problem', problem);

  const inventory = createInventory({
    services: roster.services,
    ladders: roster.laddersAmong((key) => inventory.get(key)),
    policy,
    onProblem,
  });
  const among: Neighbours = { view: inventory.get, services: () => roster.services };
  for (const driver of serviceDrivers) driver.bind?.(roster.services, among);
  const known: Known = { inventory, services: roster.services, kinds: roster.kinds, cloud, policy };
  const routing = createRouting({ inventory, instanceDrivers, serviceDrivers, services: roster.services, cloud });

  const lease = createLease(store, { owner, now });
  const queue = createQueue(
    store,
    policy,
    {
      isLeader: lease.held,
      written(action) {
        events.emit('action', action);
        if (isEnded(action)) actions.take(action, now());
        if (isEnded(action)) hold.forget(action);
        actions.evaluate(now(), action.lane);
      },
      found(action) {
        events.emit('action', action);
        actions.take(action, now());
      },
      lost: (action) => onStoreError(new FleetError('ER0220', `the record of action ${action.id} is gone from the store`)),
      unfit: (id, key) =>
        onProblem({ subject: id, code: 'ER0237', message: `the record of action ${id} does not fit; it is kept as ${key}` }),
    },
    options.migrate,
  );
  const claims = createClaims(store, { owner, lease, claimMs: policy.claimMs, reread: queue.reread });
  const maintenance = createMaintenances(store, {
    services: roster.services,
    inventory,
    lastSeen: async () => (await board.read())?.views ?? [],
    policy,
    now,
    onNews: (news) => events.emit('maintenance', news),
  });
  const switchover = createSwitchover({
    roster,
    roles,
    lease,
    lane: queue.lane,
    isSwitching: (cluster) => entities.isSwitching(cluster),
    isCommitted: (cluster) => entities.isCommitted(cluster),
    inventory,
  });
  const hindranceTo = (what: Do): Hindrance | null => {
    if (switchover.isCommitted(what)) return null;
    const maintained = maintenance.reasonAgainst(what);
    if (maintained !== null) return { code: 'ER0238', message: maintained };
    const changed = switchover.reasonAgainst(what);
    return changed === null ? null : { code: 'ER0259', message: changed };
  };
  const hold = createHold({ hindranceTo, onProblem });
  const gate = createGate({
    queue,
    lease,
    now,
    isWarm: routing.isWarm,
    view: inventory.get,
    allow: (what, view) => switchover.isCommitted(what) || (hindranceTo(what)?.message ?? options.allow?.(what, view) ?? true),
  });

  const entities = createEntities({
    inventory,
    perform: switchover.lookingFirst(
      createPerform({
        gate,
        now,
        driverOf: routing.driverOf,
        callMs: policy.callMs,
        yieldTurn,
        onAccepted: () => pulse.sooner(),
      }),
    ),
    fence: createFence({ inventory, roster, roles, gate, routing, callMs: policy.callMs }),
    record: switchover.record,
    services: roster.services,
    lookAtCluster: (name) => lookAtCluster(name, known),
    limits: limitsOf(policy),
    ladderOf: roster.ladderOf,
    cloud,
    liveActors,
    inspect,
    onFault,
  });
  const judged = (action: Action, when: Trigger): Verdict =>
    judge(when, inventory, { now: now(), armedAt: action.armedAt, policy });
  const reach = (when: Trigger) =>
    outOfReach(when, inventory, (key) => roster.ladderOf(nameOf(key)) ?? (inventory.get(key) && FULL_LADDER));
  const actions = createActions({
    queue,
    claims,
    dispatch: createDispatch({
      gate,
      queue,
      entities,
      now,
      keyOf: (action) => routing.keyOf(action.do),
      plan: (action) => planDo(action.do, action.lane, known),
      judge: judged,
    }),
    limits: policy,
    now,
    judge: judged,
    outOfReach: (action) => reach(action.when),
    onStuck: onProblem,
    isHeld: hold.isHeld,
    onHeld: hold.tell,
    liveActors,
    inspect,
    onFault,
    onStoreError,
  });
  const board = createBoard(store, {
    everyMs: policy.storeEveryMs,
    ttlMs: policy.historyMs,
    turnSize: policy.turnSize,
    yieldTurn,
    isTold: () => pulse.isTold(),
    onError: onStoreError,
  });
  const { prices = {}, currency = 'USD', budgets = {} } = options.bill ?? {};
  const ledger = createLedger(store, { now, everyMs: policy.storeEveryMs, prices, currency, onError: onStoreError });
  const endCalls = [...instanceDrivers, ...serviceDrivers].map((driver) => driver.onCall?.(ledger.note));
  const demands = createDemands({
    queue,
    inventory,
    busy: () => entities.busy(),
    ledger,
    budgets,
    cloud,
    policy,
    now,
    onProblem,
  });
  const outbox = createOutbox({
    store,
    doctors: options.doctors ?? [],
    policy,
    now,
    isLeader: lease.held,
    yieldTurn,
    onAnswer: (answer, { key }) => obey(answer, key),
    onParked: (parked) => events.emit('parked', parked),
    onProblem,
    onStoreError,
  });
  const keeper = createKeeper(store, {
    kept: keptAmong(roster.services, options.services ?? [], roster.kinds, options.recover),
    acts: options.recover?.acts ?? true,
    around: {
      known,
      inventory,
      actions: queue.all,
      lane: queue.lane,
      hindranceTo,
      failsOver: new Set(options.recover?.failover),
    },
    queue,
    end: (id) => decisions.end(id),
    lease,
    isWarm: routing.isAllRead,
    policy,
    now,
    onProblem,
    onChange: (recovery) => events.emit('recovery', recovery),
  });
  const pulse = createPulse({
    owner,
    policy,
    now,
    yieldTurn,
    inspect,
    instanceDrivers,
    serviceDrivers,
    inventory,
    lease,
    queue,
    claims,
    gate,
    entities,
    actions,
    maintenance,
    records: roster.configuredMasters.size > 0 ? [maintenance, roles] : [maintenance],
    keeper,
    demands,
    board,
    ledger,
    outbox,
    events,
    onStoreError,
  });
  const decisions = createDecisions({ queue, actions, lease, gate, events, now });
  let stopped = false;

  /** Runs `work` unless the fleet was stopped. */
  const running = async <T>(work: () => T | Promise<T>): Promise<T> => {
    if (stopped) throw new FleetError('ER0232', 'the fleet was stopped; make a new one');
    return work();
  };

  function arm(steps: readonly Step[], settings?: ArmOptions): Promise<readonly Action[]> {
    for (const step of steps) {
      const reason = reach(step.when);
      if (reason !== null) throw new FleetError('ER0236', `${doText(step.do)} would wait in vain: ${reason}`);
    }
    return queue.arm(steps, now, settings);
  }

  /** Steps that somebody prepared say what is to run as commands do. */
  async function armNoted(steps: readonly Step[], settings?: ArmOptions): Promise<readonly Action[]> {
    const intents = steps.flatMap((step) => intentOf(step.do, inventory));
    if (intents.length > 0) await keeper.note(intents);
    return await arm(steps, settings);
  }

  /** Does what a doctor answered. The key makes of the same answer, should it come again, the same actions. */
  async function obey(answer: Answer, key: string): Promise<void> {
    for (const wish of answer) {
      if ('when' in wish) await armNoted([wish], { key });
      else await dispatch({ ...wish, key });
    }
  }

  async function dispatch(command: Command): Promise<Reply> {
    const { code, steps, cancels, rejected, targets } = plan(command, known, queue.all());
    const refused = new Set(rejected.map(({ subject }) => subject));
    const taken = targets.map(({ key }) => key).filter((key) => !refused.has(key));
    await keeper.note(intentsOf(command, taken, inventory));
    const armed = await arm(steps, command.key === undefined ? {} : { key: command.key });
    for (const id of cancels) await decisions.end(id);
    const held = armed.filter(hold.isHeld);
    for (const action of held.slice(0, 1)) hold.tell(action);
    const isNow = (action: Action) => action.when.on === 'now';
    return {
      code,
      started: armed.filter(isNow),
      deferred: armed.filter((action) => !isNow(action)),
      rejected,
      cancelled: cancels,
      targets,
      held: held.map(hold.problemOf),
    };
  }

  async function stop(): Promise<void> {
    if (stopped) return;
    stopped = true;
    endLosses?.();
    for (const end of endCalls) end?.();
    pulse.stop();
    entities.stop();
    actions.yield();
    try {
      await Promise.all([queue.idle(), outbox.stop()]);
      await Promise.all([board.flush(), ledger.flush()]);
      await lease.release();
    } catch (error) {
      onStoreError(error);
    }
    isOver = true;
  }

  return {
    get role() {
      if (!lease.held()) return 'standby';
      return routing.isAllRead() ? 'leader' : 'warming';
    },
    beat: () => running(pulse.beat),
    observe: (heartbeat, as) => running(() => pulse.observe(heartbeat, as)),
    views: () => [...inventory.views()],
    plan: (command) => plan(command, known, queue.all()),
    dispatch: (command) => running(() => dispatch(command)),
    arm: (steps, settings) => running(() => armNoted(steps, settings)),
    recovery: () => running(keeper.list),
    acknowledge: (name) => running(() => keeper.acknowledge(name)),
    cancel: (id) => running(() => decisions.cancel(id)),
    retry: (id) => running(() => decisions.retry(id)),
    discard: (id) => running(() => decisions.discard(id)),
    extend: (id, byMs) => running(() => decisions.extend(id, byMs)),
    settled: (id, signal) => running(() => decisions.settled(id, signal)),
    actor: (level, nameOrIp) => entities.hold(routing.keyNamed(level, nameOrIp)),
    release: (actor) => entities.release(asEntityKey(actor.id)),
    actions: () => queue.all().map(hold.listed),
    maintain: (request) => running(() => maintenance.begin(request)),
    resume: (subject) => running(() => maintenance.end(subject)),
    maintenance: () => running(maintenance.list),
    stuck: actions.stuck,
    parked: () => running(outbox.parked),
    redeliver: (id) => running(() => outbox.redeliver(id)),
    dismiss: (id) => running(() => outbox.dismiss(id)),
    bill: (sinceMs = DAY_MS) => running(() => ledger.bill(sinceMs)),
    heartbeat: board.read,
    on: events.on,
    start(everyMs) {
      if (stopped) throw new FleetError('ER0232', 'the fleet was stopped; make a new one');
      pulse.start(everyMs);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const limitsOf = ({ callMs, settleMs, needsMs, callAttempts, backoffMs, backoffMaxMs }: Policy): Limits => ({
  callMs,
  settleMs,
  needsMs,
  callAttempts,
  backoffMs,
  backoffMaxMs,
});
