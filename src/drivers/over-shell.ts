import { balancersAmong, isRoutedByOthers, mayRun, routingOf } from '../balancing.ts';
import type {
  AnyServiceKind,
  Call,
  Neighbours,
  Permit,
  PermittedCall,
  ServiceDriver,
  ServiceStep,
  Shell,
  StepOf,
  Want,
} from '../contracts.ts';
import { deadline, withinDeadline } from '../deadline.ts';
import { OK, stateOfCode } from '../domain/codes.ts';
import { doText } from '../domain/command.ts';
import { excerpt } from '../domain/excerpt.ts';
import type { Problem } from '../domain/heartbeat.ts';
import type { Instant } from '../domain/identity.ts';
import { inParallel } from '../domain/in-parallel.ts';
import {
  isClusterVerb,
  type Service,
  type ServiceFacts,
  type ServiceState,
  type ServiceVerb,
  type SwitchoverStep,
} from '../domain/service.ts';
import { FleetError, isFleetError, messageOf } from '../errors.ts';
import { createTurns } from '../turns.ts';
import { doneSteps } from './done-steps.ts';
import { type FenceOptions, fencing } from './fenced-shell.ts';
import { stragglers } from './stragglers.ts';
import { all, createSwitchoverSteps } from './switchover.ts';

export interface OverShellOptions {
  /** Default `services`. */
  readonly name?: string;
  /** Default 10000. */
  readonly everyMs?: number;
  /** How long the probe of one service may take. Default 5000. */
  readonly deadlineMs?: number;
  /** How long the probes of one reading may take together; keep it under `policy.observeMs`. Default 8000. */
  readonly totalMs?: number;
  /** How long one step of a service may take. Default 300000. */
  readonly stepMs?: number;
  /** Services at once. Default 64. */
  readonly parallel?: number;
  /** How steps are kept from running where a newer leader has acted; `false` for hosts without `flock`. */
  readonly fence?: FenceOptions | false;
}

/**
 * The configured services, each probed and brought about as its kind says. The fleet binds them; until then nothing is known.
 *
 * A probe that fails, or takes too long, makes its service unknown with the reason, and no other. A service that hangs delays one
 * reading, for `want.waitMs` at most: it is then asked beside the readings, which have no word of it until its own is there, nor of
 * those that it may route to, unless they are lost. Steps of one service run one after another, those of several at once. Steps are
 * given a fenced shell, probes a plain one. `restart` of a kind without one is its `stop` and then its `up`, `configure` its `route`.
 * Whether a service is `routed` is what its balancers say in the same reading, where its kind does not bring that about itself.
 *
 * @throws FleetError ER0230 where two kinds have one mode, or for a fence that cannot be kept
 * @example
 * ```ts
 * const kinds = [memcache()];
 * createFleet({ kinds, drivers: { services: [overShell(kinds, shell)] }, … });
 * ```
 */
export function overShell(kinds: readonly AnyServiceKind[], shell: Shell, options: OverShellOptions = {}): ServiceDriver {
  const { name = 'services', everyMs = 10_000, deadlineMs = 5000, totalMs = 8000, stepMs = 300_000, parallel = 64 } = options;
  const fenced = fencing(shell, options.fence ?? {});
  const byMode = new Map(kinds.map((kind) => [kind.mode, kind]));
  if (byMode.size < kinds.length)
    throw new FleetError('ER0230', `each kind has a mode of its own, found ${kinds.map(({ mode }) => mode).join(', ')}`);
  let services: ReadonlyMap<string, Bound> | undefined;
  let among: Neighbours = { view: () => undefined, services: () => [] };
  const done = doneSteps();
  const turns = new Map<string, ReturnType<typeof createTurns>>();

  const probe = async ({ service, kind }: Bound, readAt: Instant, whole: AbortSignal): Promise<ServiceFacts> => {
    try {
      const facts = await withinDeadline(deadlineMs, `the probe of ${service.name}`, whole, (signal) =>
        kind.probe(service, shell, signal, among),
      );
      return { ...facts, name: service.name, readAt };
    } catch (error) {
      return {
        name: service.name,
        readAt,
        code: 'ER0200',
        holds: {},
        reason: excerpt(error instanceof Error ? error.message : String(error)),
      };
    }
  };

  const hasAnswered = ({ code }: ServiceFacts): boolean => !WITHOUT_ANSWER.has(stateOfCode(code));
  const listeners = new Set<() => void>();
  const ask = stragglers(hasAnswered, () => {
    for (const listener of listeners) listener();
  });
  /** Those whose last word was an answer. */
  const answering = new Set<string>();

  const probeInTime = async (bound: Bound, { now, waitMs }: Want, whole: AbortSignal): Promise<ServiceFacts | undefined> => {
    const { name } = bound.service;
    const facts = await ask(name, whole, (signal) => probe(bound, now, signal), { waitMs });
    if (facts === undefined) return undefined;
    if (hasAnswered(facts)) answering.add(name);
    else answering.delete(name);
    return facts;
  };

  /**
   * What the probes have left open: whether a service is routed is for its balancers to say. While one that always answered is late, there
   * is no word of those that it may route to, unless of their loss: nobody would know whether they still are.
   */
  const withRouting = (items: readonly ServiceFacts[]): readonly ServiceFacts[] => {
    const byName = new Map(items.map((facts) => [facts.name, facts]));
    const balancersOf = balancersAmong(byMode, among);
    const isLate = ({ name }: Service<never>): boolean => !byName.has(name) && answering.has(name);
    return items.flatMap((facts) => {
      const bound = services?.get(facts.name);
      if (!bound || !isRoutedByOthers(bound.kind) || facts.code !== OK || facts.holds.routed !== undefined) return facts;
      const balancers = balancersOf(bound.service);
      if (balancers.some(({ service }) => isLate(service))) return [];
      const { holds, reason } = routingOf(bound.service, balancers, byName, among);
      return {
        ...facts,
        ...(holds !== undefined && { holds: { ...facts.holds, routed: holds } }),
        ...(reason !== undefined &&
          !isLacking(facts, bound.kind) && { reason: [reason, facts.reason].filter(Boolean).join('; ') }),
      };
    });
  };

  const carryOut = async (of: Service<never>, title: string, run: StepOf<never>, permit: Permit, signal: AbortSignal) => {
    if (!permit.valid()) throw new FleetError('ER0217', `the permit ended before '${title}' of ${of.name}`);
    await withinDeadline(stepMs, `'${title}' of ${of.name}`, signal, (bounded) =>
      run(of, fenced(permit), permit, bounded, among),
    );
  };

  /** A balancer may be configured for several services at once: what is done to it ends before the next thing begins. */
  const inTurn = ({ name }: Service<never>, work: () => Promise<void>): Promise<void> => {
    const turn = turns.get(name) ?? createTurns();
    turns.set(name, turn);
    return turn(work);
  };

  const routeTo = async ({ service }: Bound, permit: Permit, signal: AbortSignal): Promise<void> => {
    const known = balancersAmong(byMode, among)(service);
    const balancers = mayRun(known, among);
    if (known.length > 0 && balancers.length === 0)
      throw new FleetError('ER0218', `none runs of the balancers of ${service.cluster}`, { retryable: true });
    await all(
      balancers.map(({ service: balancer, kind }) =>
        inTurn(balancer, () => carryOut(balancer, 'route', kind.route, permit, signal)),
      ),
    );
  };

  const switchStep = createSwitchoverSteps({
    carryOut,
    async reroute({ service }, permit, signal) {
      const balancers = mayRun(balancersAmong(byMode, among)(service), among);
      await all(
        balancers.map(({ service: balancer, kind: { route, release } }) =>
          inTurn(balancer, async () => {
            await carryOut(balancer, 'route', route, permit, signal);
            if (release) await carryOut(balancer, 'release', release, permit, signal);
          }),
        ),
      );
    },
  });

  const bringAbout = async (bound: Bound, step: ServiceStep, permit: Permit, signal: AbortSignal): Promise<void> => {
    const { service, kind } = bound;
    if (step === 'routed' && isRoutedByOthers(kind)) return routeTo(bound, permit, signal);
    const steps: readonly ServiceStep[] = step === 'restart' && !kind.steps.restart ? ['stop', 'up'] : [step];
    for (const each of steps) {
      const run = kind.steps[each] ?? (each === 'configure' ? kind.route : undefined);
      if (!run)
        throw new FleetError('ER0202', `a ${kind.mode} has no step '${each}'; it has ${Object.keys(kind.steps).join(', ')}`);
      const work = () => carryOut(service, each, run, permit, signal);
      await (kind.route ? inTurn(service, work) : work());
    }
  };

  const performOne = async ({ do: what, step }: Call, permit: Permit, signal: AbortSignal): Promise<Problem | null> => {
    if (what.level !== 'services')
      return { subject: name, code: 'ER0229', message: `${doText(what)}: ${name} has services, no instances` };
    const bound = services?.get(what.name);
    if (!bound) return { subject: what.name, code: 'ER0205', message: `no service ${what.name} is configured` };
    try {
      if (isClusterVerb(what.verb)) {
        await switchStep(step as SwitchoverStep, bound, { bound: [...(services?.values() ?? [])], among }, permit, signal);
        return null;
      }
      const wanted = (step as ServiceStep | undefined) ?? STEP_OF_VERB[what.verb];
      if (done.includes(what.name, wanted, permit)) return null;
      await bringAbout(bound, wanted, permit, signal);
      done.add(what.name, wanted, permit);
      return null;
    } catch (error) {
      if (signal.aborted) throw error;
      const code = isFleetError(error) ? error.code : 'ER0220';
      return { subject: what.name, code, message: `${what.name}: ${messageOf(error)}` };
    }
  };

  return {
    name,
    everyMs,

    bind(configured, neighbours = { view: () => undefined, services: () => configured }) {
      among = neighbours;
      services = new Map(
        configured.map((service) => {
          const kind = byMode.get(service.mode);
          if (!kind) {
            throw new FleetError('ER0204', `${service.name} is a ${service.mode}; known are ${[...byMode.keys()].join(', ')}`);
          }
          // Its settings were read by this kind; what they are is hidden from everyone else.
          return [service.name, { kind, service: service as Service<never> }];
        }),
      );
    },

    onNews(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    async observe(want, signal) {
      signal.throwIfAborted();
      const whole = deadline(totalMs, `probing ${name}`, signal);
      try {
        const asked = await inParallel([...(services?.values() ?? [])], parallel, (bound) =>
          probeInTime(bound, want, whole.signal),
        );
        signal.throwIfAborted();
        const items = asked.filter((facts) => facts !== undefined);
        return { items: withRouting(items), readAt: want.now, complete: services !== undefined, problems: [] };
      } finally {
        whole.release();
      }
    },

    async perform(calls, signal) {
      signal.throwIfAborted();
      const answers: (Problem | null)[] = calls.map(() => null);
      await inParallel(queues(calls), parallel, async (queue) => {
        for (const [index, { call, permit }] of queue) answers[index] = await performOne(call, permit, signal);
      });
      return answers;
    },
  };
}

/** Whether a reason of its own says what a service lacks below the rung `routed`: then that is the one to know. */
const isLacking = ({ reason, holds }: ServiceFacts, { ladder }: AnyServiceKind): boolean =>
  reason !== undefined && ladder.some((rung) => rung !== 'routed' && holds[rung] !== true);

/** The states of a service that has perhaps not answered at all. */
const WITHOUT_ANSWER: ReadonlySet<ServiceState> = new Set(['unknown', 'failing'] as const);

interface Bound {
  readonly kind: AnyServiceKind;
  readonly service: Service<never>;
}

const STEP_OF_VERB: Readonly<Record<ServiceVerb, ServiceStep>> = {
  install: 'installed',
  start: 'up',
  sync: 'replicating',
  stop: 'stop',
  restart: 'restart',
  remove: 'remove',
  bootstrap_config: 'configure',
};

type Numbered = readonly [index: number, call: PermittedCall];

/** The calls by what they are about, each with its place among all. */
function queues(calls: readonly PermittedCall[]): readonly (readonly Numbered[])[] {
  const bySubject = new Map<string, Numbered[]>();
  for (const numbered of calls.entries()) {
    const what = numbered[1].call.do;
    const subject = what.level === 'services' ? what.name : doText(what);
    const queue = bySubject.get(subject);
    if (queue) queue.push(numbered);
    else bySubject.set(subject, [numbered]);
  }
  return [...bySubject.values()];
}
