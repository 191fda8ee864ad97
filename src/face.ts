import type { AnyActorRef, InspectionEvent } from 'xstate';
import type { AnyServiceKind, Doctor, Driver, ServiceDriver, ServiceInput, Store } from './contracts.ts';
import type { Action, ListedAction, Step } from './domain/action.ts';
import type { Bill, Prices } from './domain/bill.ts';
import type { Budget } from './domain/budget.ts';
import type { Code } from './domain/codes.ts';
import type { Command, Do } from './domain/command.ts';
import type { Heartbeat, Problem } from './domain/heartbeat.ts';
import type { ActionId, EntityKey, Instant, Level } from './domain/identity.ts';
import type { InstanceFacts } from './domain/instance.ts';
import type { Maintenance, MaintenanceNews, MaintenanceRequest } from './domain/maintenance.ts';
import type { Plan } from './domain/plan.ts';
import type { Policy } from './domain/policy.ts';
import type { Fall, RecoveryState } from './domain/recovery.ts';
import type { Change, View } from './domain/view.ts';
import type { Parked } from './outbox.ts';

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
  /** Told of every change: in order per entity, at least once, over restarts; what they answer is done. */
  readonly doctors?: readonly Doctor[];
  /** Any of the numbers of {@link Policy}; the rest are the defaults. */
  readonly policy?: Partial<Policy>;
  /** Asked before every effect, such as whether it is the hour for it. A text is the reason of a veto, which waits. */
  readonly allow?: (what: Do, view: View | undefined) => true | string;
  /** What is kept running without a command. Nothing unless given. */
  readonly recover?: RecoverOptions;
  /** What calls to providers cost, and how many there may be. */
  readonly bill?: BillOptions;
  /** Who this process is in the leader's lease. Default: random. */
  readonly owner?: string;
  readonly now?: () => Instant;
  /** Gives way to the event loop in long sweeps. */
  readonly yieldTurn?: () => Promise<void>;
  /** Brings stored records of an earlier version to the present one. What does not fit is set aside and told as a problem. */
  readonly migrate?: (record: unknown) => unknown;
  /** Any XState inspector. */
  readonly inspect?: (event: InspectionEvent) => void;
}

/** What calls to providers cost, and how many there may be. */
export interface BillOptions {
  /** By driver and verb; `*` is any other verb. What is not there is free. */
  readonly prices?: Prices;
  /** What the prices are in. Default `USD`. */
  readonly currency?: string;
  /** By driver. What somebody waits for is read even past a hard limit; whoever waits is told. */
  readonly budgets?: Readonly<Record<string, Budget>>;
}

/** Which services are recovered by themselves; the `keep` of a service goes before. */
export interface RecoverOptions {
  /** By name. */
  readonly services?: 'all' | readonly string[];
  readonly clusters?: readonly string[];
  /**
   * Clusters of which a replica takes the place of a master that is lost for certain: `policy.witnesses` have to say so, nobody may
   * hear it, and its provider or its host has to say that it is off before another takes writes. Their services are recovered too.
   */
  readonly failover?: readonly string[];
  /**
   * Whether this process recovers anything where it leads. One that does not still writes down what its commands want to run.
   * Default: true.
   */
  readonly acts?: boolean;
}

/** How it stands with a service that is kept. */
export interface Recovery {
  readonly key: EntityKey;
  readonly cluster: string | null;
  /** `off`: not to run; `waiting`: lost, and something stands in the way; `gave-up`: it wants to be acknowledged. */
  readonly state: RecoveryState;
  /** What is lost; null where nothing is. */
  readonly cause: string | null;
  /** Why it is in this state, for a program: `000000` where it is well. */
  readonly code: Code;
  /** The same for a person. */
  readonly reason: string;
  /** Why it is not to run, such as which command has stopped it; null where it is to run. */
  readonly notWanted: string | null;
  /** Since when it has been in this state; null where only the leader knows. */
  readonly since: Instant | null;
  /** Since when what it has lost has been lost. */
  readonly lostSince: Instant | null;
  /** When it is looked at anew, where that is known. */
  readonly next: Instant | null;
  /** How often it was recovered from what lately. */
  readonly falls: readonly Fall[];
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
  /** Why those of its actions wait that are held back, by the id of the action: ER0238 by a maintenance, ER0259 by a change of master. */
  readonly held: readonly Problem[];
}

/** The last heartbeat that a leader stored. */
export interface GlobalHeartbeat {
  readonly source: string;
  readonly epoch: string;
  readonly seq: number;
  readonly at: Instant;
  readonly views: readonly View[];
}

/** A beat that has ended. */
export interface Beat {
  /** When it began. */
  readonly at: Instant;
  /** How long it took, in milliseconds: about as long as the slowest reading that it waited for. */
  readonly tookMs: number;
  /** How many changes were told in it. */
  readonly changes: number;
}

export interface FleetEvents {
  /** A beat has ended, and all that it told was told. */
  readonly beat: Beat;
  readonly changed: Change;
  /** An action's record was written. */
  readonly action: Action;
  /** A read of a driver failed or took too long. */
  readonly blind: { readonly source: string; readonly code: Code; readonly message: string };
  /** The store could not be reached, or has lost what it held. */
  readonly storeLost: { readonly error: unknown };
  /** A chart failed and was replaced. */
  readonly fault: { readonly key: string; readonly error: unknown };
  /** A batch of changes was parked: its doctor did not take it. */
  readonly parked: Parked;
  /** What was decided about a service that is kept, and why. */
  readonly recovery: Recovery;
  /** What was begun or ended, by whoever on the store: told by the leader, once. */
  readonly maintenance: MaintenanceNews;
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
  /**
   * The same for a heartbeat that the host already has.
   *
   * @param as `driver`: it is the word of the driver that its source names, believed as if the fleet had read that driver.
   * Never say so of a heartbeat that came from elsewhere. Default: what somebody pushes, who may not speak for a driver.
   */
  observe(heartbeat: Heartbeat, as?: 'driver'): Promise<readonly Change[]>;
  views(): readonly View[];
  /** What `dispatch` would do. */
  plan(command: Command): Plan;
  dispatch(command: Command): Promise<Reply>;
  /**
   * Arms prepared steps; they fire once their triggers hold.
   *
   * @throws ER0236 where a trigger can never hold; nothing is armed then
   */
  arm(steps: readonly Step[], options?: ArmOptions): Promise<readonly Action[]>;
  /** The waiting actions whose state has come out of reach since they were armed, and why. */
  stuck(): readonly Problem[];
  /** How it stands with each service that is kept: the leader knows of present losses, the others what it has written down. */
  recovery(): Promise<readonly Recovery[]>;
  /**
   * Lets a service be recovered again that was given up, as if for the first time. Starting it does the same.
   *
   * @throws ER0203 where nothing of this name is kept, ER0206 where there is nothing to acknowledge
   */
  acknowledge(name: string): Promise<void>;
  cancel(id: ActionId): Promise<Action>;
  retry(id: ActionId): Promise<Action>;
  discard(id: ActionId): Promise<Action>;
  extend(id: ActionId, byMs: number): Promise<Action>;
  /** Resolves with the action once it has ended or failed. */
  settled(id: ActionId, signal?: AbortSignal): Promise<Action>;
  /** The live chart of an instance (by id or ip), service or cluster; kept alive until `release`. */
  actor(level: Level | 'clusters', nameOrIp: string): AnyActorRef;
  release(actor: AnyActorRef): void;
  /** All that have not ended; with `held` where something holds one back. */
  actions(): readonly ListedAction[];
  /**
   * Begins a maintenance, or changes and prolongs one's own: what is observed goes on, whatever would touch its subject waits,
   * a person's `stop` and `terminate` too. All fleets on the store heed it from their next beat on.
   *
   * - an instance, or its ip, covers the services on it
   * - a cluster covers its services and the instances that carry them
   * - a service holds back `stop`, `reboot` and `terminate` of its instance
   *
   * @throws ER0203 where nobody knows the subject, ER0206 where another owner has it in maintenance, ER0222 for any other mistake
   * @example
   * ```ts
   * await fleet.maintain({ subject: 'shop', owner: 'anna', reason: 'new disks', forMs: 2 * 3_600_000 });
   * ```
   */
  maintain(request: MaintenanceRequest): Promise<Maintenance>;
  /** Ends the maintenance of a subject; what waited for it goes on with the next beat. @throws ER0205 where there is none of its own */
  resume(subject: string): Promise<Maintenance>;
  /** What is in maintenance, as it stands in the store. */
  maintenance(): Promise<readonly Maintenance[]>;
  /** The batches that a doctor did not take; what comes of their entities later waits behind them. */
  parked(): Promise<readonly Parked[]>;
  /** Lets a parked batch be tried again. @throws ER0205 where none has this id */
  redeliver(id: string): Promise<void>;
  /** Gives a parked batch up for good. @throws ER0205 where none has this id */
  dismiss(id: string): Promise<void>;
  /**
   * What providers were asked by all who share the store, and what that costs.
   *
   * @param sinceMs how far back, in milliseconds: at most 39 days. Default one day.
   */
  bill(sinceMs?: number): Promise<Bill>;
  /** The last heartbeat in the store, whoever stored it. */
  heartbeat(): Promise<GlobalHeartbeat | null>;
  on<K extends keyof FleetEvents>(type: K, listener: (event: FleetEvents[K]) => void): { unsubscribe(): void };
  /**
   * Beats by itself until `stop`, `everyMs` after each beat. Where a call was accepted or a driver has news, the next beat comes after a
   * quarter of that, and each rest after it is twice as long until it is whole again; what a reading misses counts once in `everyMs`.
   * A source that takes longer than half of it holds up no beat, not even one of {@link Fleet.beat}: what it says is taken in when it
   * is there.
   */
  start(everyMs: number): void;
  /** Ends the beats and all charts, and gives the lease back. What was begun stays begun in the store. */
  stop(): Promise<void>;
}
