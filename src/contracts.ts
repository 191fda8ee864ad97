import type { Step } from './domain/action.ts';
import type { ApiCall, Caller } from './domain/bill.ts';
import type { Command, Do } from './domain/command.ts';
import type { Problem, Reading } from './domain/heartbeat.ts';
import type { EntityKey, Instant, Ip, Token } from './domain/identity.ts';
import type { InstanceRung, SshAnswer } from './domain/instance.ts';
import type { Service, ServiceFacts, ServiceRung, SwitchoverStep } from './domain/service.ts';
import type { Change, View } from './domain/view.ts';

export type { ApiCall, Caller } from './domain/bill.ts';

/** What an effect may carry: the action's idempotency token and the leader's fence. */
export interface Permit {
  readonly token: Token;
  readonly fence: number;
  /** False once the fleet has lost its lease or the operation was ended. Ask before each further call. */
  readonly valid: () => boolean;
  /**
   * A call with this token may have been sent before, by this process or by one that has died: a driver whose cloud knows no
   * client tokens looks for what that call made before it makes it again.
   */
  readonly isRepeated?: true;
}

/** What a driver is asked to do. For a service, `step` names the rung to bring about, or the one call; for a `switch`, its step. */
export interface Call {
  readonly do: Do;
  readonly step?: ServiceStep | SwitchoverStep;
}

/** What a service kind can bring about: a rung, or one of the single calls. */
export type ServiceStep = ServiceRung | 'stop' | 'remove' | 'restart' | 'configure';

/** What a read is for. */
export interface Want {
  readonly now: Instant;
  /** How old a remembered answer may be. 0 asks for a new read. */
  readonly maxAgeMs: number;
  /** The entities that somebody waits for; all when missing. */
  readonly keys?: readonly EntityKey[];
  /** On whose behalf, as the bill says it. Default `beat`. */
  readonly caller?: Caller;
  /**
   * How long the others wait for one subject that is slow, in milliseconds: a driver that can goes on without it, and has news once it
   * answers. All that are waited for have their own deadlines when missing.
   */
  readonly waitMs?: number;
}

/** Something that can be observed and acted on: a cloud, a configuration, the services behind a shell. */
export interface Driver<F, C = Call> {
  readonly name: string;
  /** Its own interval: after some of them without a reading it counts as silent. */
  readonly everyMs: number;
  /** Everything this driver can see, in one read. A failure of one subject is a problem in the reading, not an exception. */
  observe(want: Want, signal: AbortSignal): Promise<Reading<F>>;
  /**
   * Idempotent by `permit.token`. Resolves when the requests are accepted, not when they have taken effect; one answer per
   * call, null where it was accepted. A rejection means that the outcome is unknown.
   */
  perform(calls: readonly PermittedCall<C>[], signal: AbortSignal): Promise<readonly (Problem | null)[]>;
  /** Calls the listener after every request to the provider's API, be it a page, a retry or a token. @returns a function that ends this */
  onCall?(listener: (call: ApiCall) => void): () => void;
  /** Calls the listener when something can be told that the last reading did not wait for: it is time for another. @returns a function that ends this */
  onNews?(listener: () => void): () => void;
}

/** A driver of services may be told which services are configured. */
export interface ServiceDriver extends Driver<ServiceFacts> {
  /** @param among what its kinds may ask about the rest of the fleet; without it, nothing is known but the services */
  bind?(services: readonly Service[], among?: Neighbours): void;
}

export interface PermittedCall<C = Call> {
  readonly call: C;
  readonly permit: Permit;
}

/** Keys to texts, with compare-and-swap by value and no scan. */
export interface Store {
  get(key: string): Promise<string | null>;
  set(key: string, value: string, ttlMs?: number): Promise<void>;
  /** Atomic; false where the key is present. */
  add(key: string, value: string, ttlMs?: number): Promise<boolean>;
  /** Atomic; replaces `expected` by `next` (null deletes); false where something else is stored. */
  swap(key: string, expected: string, next: string | null, ttlMs?: number): Promise<boolean>;
  delete(key: string): Promise<boolean>;
  /** Atomic; starts at 1. */
  increment(key: string): Promise<number>;
  /** Calls the listener each time after the store had lost what it held, and is whole again. @returns a function that ends this */
  onLost?(listener: (reason: string) => void): () => void;
  /** Releases what the store holds open. */
  close?(): Promise<void>;
}

/** Commands on hosts. Every command is an argv; nothing is ever interpolated into a shell line by the caller. */
export interface Shell {
  /** Whether ssh answers as the host that it should be. */
  reachable(ip: Ip, signal: AbortSignal): Promise<SshAnswer>;
  run(ip: Ip, argv: readonly string[], options: RunOptions, signal: AbortSignal): Promise<ShellResult>;
  put(ip: Ip, path: string, bytes: Uint8Array, mode: number, signal: AbortSignal): Promise<void>;
  /** Ends all connections. */
  close?(): Promise<void>;
}

export interface RunOptions {
  readonly stdin?: string;
  readonly deadlineMs: number;
  /**
   * It changes nothing, leaves nothing running and is soon over, so that it may be run twice, and in a shell that was kept open: the
   * blanks at the end of its error output may then be missing.
   */
  readonly onlyLooks?: true;
}

export interface ShellResult {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a kind may ask about the rest of the fleet. */
export interface Neighbours {
  view(key: EntityKey): View | undefined;
  services(): readonly Service[];
}

/** A kind of service: how its configuration reads, how it is probed, how each rung is brought about. */
export interface ServiceKind<T> {
  readonly mode: string;
  /** The instance rung that a service of this kind stands on. */
  readonly host: InstanceRung;
  /** Its rungs, lowest first, such as `['installed', 'up']`. */
  readonly ladder: readonly ServiceRung[];
  /** What a rung needs elsewhere; unmet, it waits and costs no attempt. */
  readonly needs?: Readonly<Partial<Record<ServiceRung, (of: Service<T>, among: Neighbours) => readonly EntityKey[]>>>;
  /** Reads the settings of one service; throws a FleetError that says what was found and what is allowed. */
  settings(raw: unknown): T;
  probe(of: Service<T>, shell: Shell, signal: AbortSignal, among: Neighbours): Promise<ServiceFacts>;
  /**
   * How each rung and single call is brought about. Without `restart`, it is stop and then up. `configure` brings the configuration
   * on the host in line, starting nothing; without it, it is `route`, and a kind with neither has no configuration of its own.
   */
  readonly steps: Readonly<Partial<Record<ServiceStep, StepOf<T>>>>;
  /**
   * Of a balancer: brings its configuration in line with the services of its cluster: writes and checks it, and has one that
   * runs take it over. A service whose ladder has `routed`, whose kind has no step of that name and whose probe leaves it open
   * climbs it by this of each of its balancers, once one of them runs, and is on it when each that runs lists it in its `routes`.
   */
  readonly route?: StepOf<T>;
  /**
   * Of a balancer: the services of its cluster that it is to route to, by name. Default all. Where no balancer is to route to a
   * service, that one is `routed` as it is.
   */
  readonly backends?: (of: Service<T>, among: Neighbours) => readonly string[];
  /**
   * Of a balancer: ends the connections for writing that go to anybody but the master of its cluster, so that whoever held them
   * connects anew. A balancer without it leaves them open.
   */
  readonly release?: StepOf<T>;
  /** Of a kind whose services follow one master: how another of them becomes that. */
  readonly switchover?: Switchover<T>;
  /** Of such a kind: how another takes the place of a master that is lost. Without it, a lost master is waited for. */
  readonly failover?: Failover<T>;
  /** The configuration file that its steps write for a service, for people: secrets in it are masked. */
  readonly configFile?: (of: Service<T>, among: Neighbours) => ConfigFile;
}

/** Those that a change of master is about. */
export interface Succession<T> {
  /** Who is to be the master. */
  readonly to: Service<T>;
  /** Who has been it so far. */
  readonly from: Service<T>;
  /** The others of the cluster that follow its master. */
  readonly others: readonly Service<T>[];
}

/**
 * How the master of a cluster is changed with nothing lost. Each step is idempotent, and resolves only once the servers themselves
 * have said that it is done; what goes before `promote` may be repeated, and is undone by the rung `replicating` of the old master.
 */
export interface Switchover<T> {
  /** Rejects where the change could not end well; changes nothing. */
  readonly check: SwitchoverStepOf<Succession<T>>;
  /** The old master takes no more writes. */
  readonly 'read-only': SwitchoverStepOf<Succession<T>>;
  /** The new one has all that the old one has written. */
  readonly 'catch-up': SwitchoverStepOf<Succession<T>>;
  /** The new one takes writes; rejects where any other still does. Its role is `master` by then. */
  readonly promote: SwitchoverStepOf<Omit<Succession<T>, 'from'>>;
}

/**
 * What a failover has in place of the first steps of a {@link Switchover}; between the two, the old master is fenced. Each is
 * idempotent.
 */
export interface Failover<T> {
  /** Rejects where the old master answers, or is heard by anybody, or the new one could not take its place; changes nothing. */
  readonly confirm: SwitchoverStepOf<Succession<T>>;
  /** The new one has all that any of the others has received of the old one. */
  readonly gather: SwitchoverStepOf<Omit<Succession<T>, 'from'>>;
}

export type SwitchoverStepOf<Who> = (
  who: Who,
  shell: Shell,
  permit: Permit,
  signal: AbortSignal,
  among: Neighbours,
) => Promise<void>;

/** A file that a kind writes on the host of a service. */
export interface ConfigFile {
  /** Absolute, on the host. */
  readonly path: string;
  /** With secrets masked. */
  readonly text: string;
}

/** Brings something about for one service. Idempotent: where it holds, it does nothing. */
export type StepOf<T> = (of: Service<T>, shell: Shell, permit: Permit, signal: AbortSignal, among: Neighbours) => Promise<void>;

declare const settingsAreHidden: unique symbol;

/** A kind with its settings type hidden: what {@link defineServiceKind} returns and a fleet takes. */
export interface AnyServiceKind extends ServiceKind<never> {
  readonly [settingsAreHidden]?: true;
  settings(raw: unknown): never;
}

/**
 * Defines a kind of service.
 *
 * @example
 * ```ts
 * const redis = defineServiceKind<{ port: number }>({
 *   mode: 'redis', host: 'ssh-up', ladder: ['installed', 'up'],
 *   settings: (raw) => ({ port: 6379, ...(raw as object) }),
 *   probe: async (of, shell, signal) => …,
 *   steps: { up: async (of, shell, permit, signal) => { await shell.run(of.ip, ['redis-server', …], { deadlineMs: 5000 }, signal); } },
 * });
 * ```
 */
export const defineServiceKind = <T>(kind: ServiceKind<T>): AnyServiceKind => kind as unknown as AnyServiceKind;

/** A service as the caller of `createFleet` configures it; its settings are read by its kind. */
export interface ServiceInput {
  readonly name: string;
  readonly ip: string;
  readonly mode: string;
  readonly status: Service['status'];
  readonly cluster?: string;
  readonly settings?: unknown;
  /** Whether it is recovered where it has lost a rung, whatever `recover` says of it. */
  readonly keep?: boolean;
}

/** Changes on their way to one doctor. Those of one entity stand, and come, in the order in which they happened. */
export interface Batch {
  /** Made of the changes' own ids: the same changes have the same id however often they come. */
  readonly id: string;
  readonly changes: readonly Change[];
}

/** What a doctor wants done about what it was told: commands are dispatched, steps are armed. */
export type Answer = readonly (Command | Step)[];

/** Whoever is told of changes. Each batch comes at least once, and the next one only after it. */
export interface Doctor {
  /** How its place in the outbox is known over restarts: `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`, no other doctor's. */
  readonly name: string;
  /**
   * Resolves once the batch is safe with the doctor. A rejection is tried again later, unless it is a FleetError that is not
   * retryable; one with a number `retryAfterMs` is not tried before that.
   */
  deliver(batch: Batch, signal: AbortSignal): Promise<Answer | undefined>;
}

/** The texts that a doctor outside of this process is sent and answers: {@link Doctor}s take it, `doctorWire()` of `fleetbeat/wire` makes it. */
export interface DoctorWire {
  write(batch: Batch): string;
  /** @throws FleetError ER0201, ER0202, ER0203, ER0205, ER0222, ER0223 where the text is no answer */
  read(text: string): Answer;
}
