import type { Action, Step } from './action.ts';
import type { KindTraits } from './cluster.ts';
import { type Code, OK } from './codes.ts';
import { type Command, type Do, doText, type Subject } from './command.ts';
import type { Problem } from './heartbeat.ts';
import { type ActionId, type EntityKey, type Ip, serviceKey, wantedKey, wantedOf } from './identity.ts';
import type { InstanceRung, InstanceState } from './instance.ts';
import type { Inventory } from './inventory.ts';
import { cancelledBy, heldBy } from './lanes.ts';
import type { Policy } from './policy.ts';
import { planRollingRestart } from './rolling-restart.ts';
import { selectServices, type Target, targetsOf } from './selection.ts';
import { isClusterVerb, type Service, type ServiceRung, type ServiceState, type ServiceVerb } from './service.ts';
import { planSwitchover } from './switchover.ts';
import { type Answer, INSTANCE_ANSWERS, SERVICE_ANSWERS } from './transitions.ts';
import { NOW, type Trigger } from './trigger.ts';
import type { View } from './view.ts';

/** What a command comes to: steps to arm, actions that it contradicts, targets that were refused. */
export interface Plan {
  /** The worst of its targets. */
  readonly code: Code;
  readonly steps: readonly Step[];
  readonly cancels: readonly ActionId[];
  readonly rejected: readonly Problem[];
  readonly targets: readonly { readonly key: EntityKey; readonly code: Code }[];
}

/** What a plan may know. */
export interface Known {
  readonly inventory: Pick<Inventory, 'get' | 'atIp' | 'views' | 'hasRead' | 'isBlind'>;
  readonly services: readonly Service[];
  /** By mode. */
  readonly kinds: ReadonlyMap<string, KindTraits>;
  /** Where a new instance is launched; null where no cloud is active. */
  readonly cloud: string | null;
  /** Default: that of {@link DEFAULT_POLICY}. */
  readonly policy?: Pick<Policy, 'witnesses'>;
}

/** What one verb comes to now. The verb itself is the last step. */
export type Outcome =
  | { readonly is: 'satisfied' }
  | { readonly is: 'steps'; readonly code: Code; readonly steps: readonly Step[] }
  | { readonly is: 'rejected'; readonly problem: Problem };

/** Plans a command: pure, and total over every verb and every state. */
export function plan(command: Command, known: Known, actions: readonly Action[]): Plan {
  if (command.level === 'services' && command.action === 'rolling_restart') return planRolling(command, known, actions);
  const selected = targetsOf(command, known);
  if ('rejected' in selected)
    return { code: selected.rejected.code, steps: [], cancels: [], rejected: [selected.rejected], targets: [] };
  const steps: Step[] = [];
  const cancels = new Set<ActionId>();
  const rejected: Problem[] = [];
  const targets: { key: EntityKey; code: Code }[] = [];
  for (const target of selected.targets) {
    const contradicted = cancelledBy(target, known, actions);
    const isBegun = contradicted.some((action) => action.begun !== null);
    const outcome = planTarget(isBegun ? { ...target, do: { ...target.do, evenIfHeld: true } } : target, known, actions);
    if (outcome.is === 'rejected') rejected.push(outcome.problem);
    else {
      for (const action of contradicted) cancels.add(action.id);
      if (outcome.is === 'steps') steps.push(...outcome.steps);
    }
    targets.push({ key: target.key ?? target.lane, code: codeOf(outcome) });
  }
  return { code: worst(targets.map((target) => target.code)), steps, cancels: [...cancels], rejected, targets };
}

function planRolling(command: Command, known: Known, actions: readonly Action[]): Plan {
  const { steps, rejected, targets } = planRollingRestart(command.group, selectServices(command, known.services), known);
  const lanes = new Set(steps.map(({ lane }) => lane));
  const holder = actions.find(({ lane, status }) => status === 'failed' && lanes.has(lane));
  if (holder) {
    const message = `${doText(holder.do)} failed (${holder.id}); retry or discard it first`;
    const held = targets.map(({ key }) => ({ subject: key, code: 'ER0207', message }));
    return {
      code: 'ER0207',
      steps: [],
      cancels: [],
      rejected: held,
      targets: held.map(({ subject: key, code }) => ({ key, code })),
    };
  }
  return { code: worst(targets.map(({ code }) => code)), steps, cancels: [], rejected, targets };
}

function planTarget(target: Target, known: Known, actions: readonly Action[]): Outcome {
  const outcome = planDo(target.do, target.lane, known);
  if (outcome.is !== 'steps') return outcome;
  const holder = heldBy(target, outcome.steps, actions);
  return holder
    ? reject(target.lane, 'ER0207', `${doText(holder.do)} failed (${holder.id}); retry or discard it first`)
    : outcome;
}

/** Plans one verb in a lane; also asked again when its action fires. */
export function planDo(what: Do, lane: EntityKey, known: Known): Outcome {
  if (what.level === 'instances') return planInstance(what, lane, known);
  const { verb } = what;
  return isClusterVerb(verb) ? planSwitchover(verb, what.name, lane, known) : planService({ ...what, verb }, lane, known);
}

type InstanceDo = Extract<Do, { level: 'instances' }>;
type ServiceDo = Extract<Do, { level: 'services' }> & { readonly verb: ServiceVerb };

/** An instance that is terminated has lost its ip: then the lane says which one was meant. */
function planInstance(what: InstanceDo, lane: EntityKey, known: Known): Outcome {
  const here = hostOf(what.subject, known);
  if (here === 'conflict') return reject(lane, 'ER0208', `two instances report ${textOf(what.subject)}`);
  const host = here === 'none' && what.verb === 'terminate' ? (known.inventory.get(lane) ?? here) : here;
  const state = stateOf(host);
  if (what.verb === 'launch' && typeof host === 'object' && !('ip' in what.subject) && LOST.has(state))
    return reject(lane, 'ER0206', `launch of ${host.name}: it is ${state} and does not come back; launch its ip instead`);
  const answer: Answer =
    what.verb === 'bootstrap' && typeof host === 'object' && host.holds.has(what.upTo ?? 'managed')
      ? 'holds'
      : INSTANCE_ANSWERS[what.verb][state];
  const waitFor = typeof host === 'object' ? host.key : lane;
  return outcomeOf(answer, what, lane, (word) => ({
    on: 'holds',
    level: 'instances',
    subject: word === 'terminated' ? { key: waitFor } : what.subject,
    state: word,
  }));
}

function planService(what: ServiceDo, lane: EntityKey, known: Known): Outcome {
  const service = known.services.find((one) => one.name === what.name);
  if (!service) return reject(lane, 'ER0203', `no service is called ${what.name}`);
  const kind = known.kinds.get(service.mode);
  if (!kind)
    return reject(
      lane,
      'ER0204',
      `mode ${service.mode} of ${service.name} is unknown; known are ${[...known.kinds.keys()].join(', ')}`,
    );
  if (what.verb === 'sync' && !kind.rungs.includes('replicating'))
    return reject(
      lane,
      'ER0206',
      `sync of ${service.name}: a ${service.mode} has no rung replicating, only ${kind.rungs.join(', ')}`,
    );
  if (what.verb === 'bootstrap_config' && kind.isConfigured !== true)
    return reject(
      lane,
      'ER0202',
      `bootstrap_config of ${service.name}: a ${service.mode} has no configuration on its host; what it is to be is said when it is started`,
    );
  const view = known.inventory.get(serviceKey(service.name));
  const host = hostOf({ ip: service.ip }, known);
  if (host === 'conflict') return reject(lane, 'ER0208', `two instances report ${service.ip}`);
  const isRunning = typeof host === 'object' && host.holds.has('running');
  if (isRunning) return planOnRunningHost(what, lane, view, host, service, kind);
  switch (what.verb) {
    case 'start':
    case 'install':
      return planHostFirst(what, lane, stateOf(host), host, service, kind, known.cloud);
    case 'stop':
      return isUncertain(stateOf(host)) ? delayed(what, lane, hostIs(service.ip, 'known')) : { is: 'satisfied' };
    default:
      if (isUncertain(stateOf(host))) return delayed(what, lane, hostIs(service.ip, 'known'));
      return reject(lane, 'ER0206', `${what.verb} of ${service.name}: its instance ${service.ip} is ${stateOf(host)}`);
  }
}

function planOnRunningHost(
  what: ServiceDo,
  lane: EntityKey,
  view: View | undefined,
  host: View,
  service: Service,
  kind: { readonly host: InstanceRung; readonly rungs: readonly ServiceRung[] },
): Outcome {
  const state = (view?.state ?? 'unknown') as ServiceState;
  const climbs = what.verb === 'start' || what.verb === 'install';
  const rungs = what.verb === 'install' ? kind.rungs.filter((rung) => rung === 'installed') : kind.rungs;
  const answer: Answer =
    climbs && view && state !== 'unknown' && rungs.every((rung) => view.holds.has(rung))
      ? 'holds'
      : SERVICE_ANSWERS[what.verb][state];
  const outcome = outcomeOf(answer, what, lane, (word) => ({
    on: 'holds',
    level: 'services',
    subject: { key: serviceKey(service.name) },
    state: word,
  }));
  const needsHost = climbs || what.verb === 'bootstrap_config';
  if (!needsHost || outcome.is !== 'steps' || host.holds.has(kind.host)) return outcome;
  return { ...outcome, steps: [bootstrapStep(lane, service.ip, kind.host, NOW), ...outcome.steps] };
}

/** The way to a running instance, by the state that it is in; the service's verb waits behind it. */
function planHostFirst(
  what: ServiceDo,
  lane: EntityKey,
  state: InstanceState | 'none',
  host: View | 'none' | 'unread',
  service: Service,
  kind: { readonly host: InstanceRung },
  cloud: string | null,
): Outcome {
  const running = hostIs(service.ip, 'running');
  const climb: Step[] = [
    ...(kind.host === 'ssh-up' ? [] : [bootstrapStep(lane, service.ip, kind.host, running)]),
    { lane, when: running, do: what },
  ];
  const instance = (verb: 'start' | 'launch', when: Trigger): Step => ({
    lane,
    when,
    do: { level: 'instances', subject: { ip: service.ip }, verb },
  });
  switch (state) {
    case 'stopped':
      return { is: 'steps', code: 'ER0016', steps: [instance('start', NOW), ...climb] };
    case 'stopping':
      return { is: 'steps', code: 'ER0016', steps: [instance('start', hostIs(service.ip, 'stopped')), ...climb] };
    case 'none':
    case 'absent':
    case 'terminated':
      if (cloud === null) return reject(lane, 'ER0229', `no instance has ${service.ip}, and no cloud is there to launch one`);
      return { is: 'steps', code: 'ER0017', steps: [instance('launch', NOW), ...climb] };
    case 'shutting-down': {
      const gone: Trigger = {
        on: 'holds',
        level: 'instances',
        subject: typeof host === 'object' ? { key: host.key } : { ip: service.ip },
        state: 'terminated',
      };
      return { is: 'steps', code: 'ER0017', steps: [instance('launch', gone), ...climb] };
    }
    case 'pending':
      return { is: 'steps', code: 'ER0016', steps: climb };
    case 'unknown':
    case 'unreachable':
      return delayed(what, lane, hostIs(service.ip, 'known'));
    case 'ssh-up':
    case 'bootstrapped':
    case 'managed':
      return { is: 'steps', code: OK, steps: climb };
    default:
      return state satisfies never;
  }
}

function outcomeOf(answer: Answer, what: Do, lane: EntityKey, trigger: (word: string) => Trigger): Outcome {
  if (answer === 'holds' && !what.evenIfHeld) return { is: 'satisfied' };
  if (answer === 'holds' || answer === 'now') return { is: 'steps', code: OK, steps: [{ lane, when: NOW, do: what }] };
  if ('until' in answer) return delayed(what, lane, trigger(answer.until));
  return reject(lane, answer === MISSING ? 'ER0205' : 'ER0206', `${doText(what)}: ${answer.no}`);
}

const MISSING = INSTANCE_ANSWERS.stop.none;

const delayed = (what: Do, lane: EntityKey, when: Trigger): Outcome => ({
  is: 'steps',
  code: 'ER0016',
  steps: [{ lane, when, do: what }],
});

const reject = (subject: string, code: Code, message: string): Outcome => ({
  is: 'rejected',
  problem: { subject, code, message },
});

const bootstrapStep = (lane: EntityKey, ip: Ip, upTo: InstanceRung, when: Trigger): Step => ({
  lane,
  when,
  do: { level: 'instances', subject: { ip }, verb: 'bootstrap', upTo },
});

const hostIs = (ip: Ip, state: string): Trigger => ({ on: 'holds', level: 'instances', subject: { ip }, state });

/** The instance that a subject means. Before any complete reading nobody knows whether there is none. */
function hostOf(subject: Subject, known: Known): View | 'none' | 'conflict' | 'unread' {
  const wanted = 'key' in subject ? wantedOf(subject.key) : null;
  const ip = 'ip' in subject ? subject.ip : wanted?.ip;
  const host = ip === undefined ? (known.inventory.get((subject as { key: EntityKey }).key) ?? 'none') : known.inventory.atIp(ip);
  return host === 'none' && !known.inventory.hasRead('instances') ? 'unread' : host;
}

function stateOf(host: View | 'none' | 'unread'): InstanceState | 'none' {
  if (host === 'none') return 'none';
  return host === 'unread' ? 'unknown' : (host.state as InstanceState);
}

/** What was launched once under an id is never launched again under it. */
const LOST: ReadonlySet<InstanceState | 'none'> = new Set(['shutting-down', 'terminated', 'absent']);

const isUncertain = (state: InstanceState | 'none'): boolean => state === 'unknown' || state === 'unreachable';

const textOf = (subject: Subject): string => ('ip' in subject ? subject.ip : subject.key);

const codeOf = (outcome: Outcome): Code => {
  if (outcome.is === 'satisfied') return OK;
  return outcome.is === 'rejected' ? outcome.problem.code : outcome.code;
};

/** A refusal outweighs a launch, a launch a delay, a delay success. */
function worst(codes: readonly Code[]): Code {
  const weight = (code: Code) => (code === OK ? 0 : code === 'ER0016' ? 1 : code === 'ER0017' ? 2 : 3);
  return codes.reduce((top, code) => (weight(code) > weight(top) ? code : top), OK);
}

/** The lane of an instance's own steps. */
export const instanceLane = (view: View | 'none' | 'conflict', cloud: string | null, ip: Ip): EntityKey =>
  typeof view === 'object' ? view.key : wantedKey(cloud ?? 'none', ip);
