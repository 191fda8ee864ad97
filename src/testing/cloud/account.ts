import { type Instant, type Ip, isName, isProviderId, parseIp, type Token } from '../../domain/identity.ts';
import type { InstanceVerb } from '../../domain/instance.ts';
import { FleetError } from '../../errors.ts';
import type { Random } from '../random.ts';
import type { Agenda } from '../simulated-agenda.ts';
import type { FaultSource } from '../simulated-faults.ts';
import { createLifecycle, LEGAL, type MachinePower } from '../simulated-machine.ts';
import type { Ec2Action, Handlers, StateChange } from './actions.ts';
import { createAddresses } from './addresses.ts';
import type { CloudDelay, CloudFault } from './faults.ts';
import { createInstances, type Instance, type Instances } from './instances.ts';
import { createLaunches } from './launches.ts';
import { Ec2Refusal, NO_CAPACITY } from './refusal.ts';

/** An instance of the simulated cloud at its beginning. */
export interface CloudInstanceInput {
  readonly id: string;
  readonly ip: string;
  readonly state: MachinePower;
  readonly tags?: Readonly<Record<string, string>>;
}

/** One change that a request has made to one instance. */
export interface CloudEffect {
  readonly at: Instant;
  readonly action: Ec2Action;
  readonly id: string;
  /** The client token of a launch, or the token of the permit under which `driver()` acted; null for any other. */
  readonly token: string | null;
}

/** The token under which a request is about an instance. */
export type TokenOf = (id: string) => Token | null;

/** The simulated EC2 of one account: what is, and what requests do to it, without a network between. */
export interface Account {
  readonly handlers: (tokenOf: TokenOf) => Handlers;
  readonly instances: Instances;
  readonly effects: readonly CloudEffect[];
  setPower(instance: Instance, power: 'off' | 'on'): void;
  /** The provider takes it back, as it does with spot instances. */
  interrupt(instance: Instance, how: 'terminate' | 'stop'): void;
}

export function createAccount(
  options: {
    readonly cloud: string;
    readonly instances: readonly CloudInstanceInput[];
    readonly elasticIps: readonly string[];
    readonly capacity: number;
    readonly quota: number;
    readonly overlappingIps: boolean;
  },
  world: {
    readonly agenda: Agenda;
    readonly drawMs: (delay: CloudDelay) => number;
    readonly faults: FaultSource<CloudFault>;
    readonly random: Random;
  },
): Account {
  const { agenda, drawMs, faults, random } = world;
  const now = () => agenda.now;
  const addresses = createAddresses(options.elasticIps, () => instances);
  const instances = createInstances(random.fork('ids'), now, addresses.publicIpOf);
  const effects: CloudEffect[] = [];

  const instanceOf = (id: string): Instance => {
    const instance = instances.get(id);
    if (!instance) throw new TypeError(`no instance ${id}`);
    return instance;
  };

  const lifecycle = createLifecycle({
    agenda,
    // Machines of a cloud are not bootstrapped: what runs on them is not the provider's.
    drawMs: (delay) => (delay === 'bootstrapped' || delay === 'managed' ? 0 : drawMs(delay)),
    faults,
    agentSurvives: true,
    onPowerLoss() {},
    onTerminated({ id, home }) {
      const instance = instanceOf(id);
      if (home !== null) instances.release(home, instance);
      addresses.leave(instance);
    },
    onForgotten({ id }) {
      instanceOf(id).isForgotten = true;
    },
  });

  function admit(count: number): void {
    const running = [...instances.all()].filter(({ machine: { power } }) => power === 'pending' || power === 'running').length;
    if (running + count > options.quota)
      throw new Ec2Refusal(
        'InstanceLimitExceeded',
        `You have requested more instances than your limit of ${options.quota} allows`,
      );
    if (running + count > options.capacity || faults.strikes('noCapacity'))
      throw new Ec2Refusal('InsufficientInstanceCapacity', NO_CAPACITY);
  }

  function mayBeInterrupted(instance: Instance): void {
    if (!faults.strikes('interrupted')) return;
    agenda.after(drawMs('interruption'), () => interrupt(instance, 'terminate'));
  }

  function interrupt({ machine }: Instance, how: 'terminate' | 'stop'): void {
    if (!LEGAL[how].applies.includes(machine.power)) return;
    instanceOf(machine.id).reason = 'Server.SpotInstanceTermination';
    lifecycle[how](machine);
  }

  const launches = createLaunches({
    instances,
    random,
    now,
    overlappingIps: options.overlappingIps,
    admit,
  });

  /** All of them or, where one cannot, none. */
  function change(
    action: Ec2Action,
    verb: Exclude<InstanceVerb, 'launch' | 'bootstrap'>,
    ids: readonly string[],
    tokenOf: TokenOf,
  ): readonly StateChange[] {
    const found = instances.find(ids);
    const { applies, holds } = LEGAL[verb];
    const wrong = found.filter(({ machine: { power } }) => !applies.includes(power) && !holds.includes(power));
    if (wrong.length > 0) {
      const named = wrong.map(({ machine }) => machine.id);
      throw new Ec2Refusal(
        'IncorrectInstanceState',
        `The instance '${named.join(', ')}' cannot ${verb}: it is ${wrong[0]?.machine.power}`,
        named,
      );
    }
    const due = found.filter(({ machine }) => applies.includes(machine.power));
    if (verb === 'start' && due.length > 0) admit(due.length);
    const before = new Map(found.map(({ machine }) => [machine, machine.power]));
    for (const instance of due) {
      const { machine } = instance;
      instance.reason = verb === 'stop' || verb === 'terminate' ? 'Client.UserInitiatedShutdown' : null;
      if (verb === 'start') {
        instance.launchedAt = now();
        lifecycle.boot(machine);
      } else lifecycle[verb](machine);
      effects.push({ at: now(), action, id: machine.id, token: tokenOf(machine.id) });
    }
    return found.map(({ machine }) => ({ id: machine.id, from: before.get(machine) ?? machine.power, to: machine.power }));
  }

  function place({ id, ip: text, state, tags }: CloudInstanceInput): void {
    const ip = parseIp(text);
    if (!isProviderId(id)) throw new FleetError('ER0230', `instances: '${id}' is no provider's id`);
    if (instances.get(id)) throw new FleetError('ER0230', `instances: ${id} is there twice`);
    if (ip === null) throw new FleetError('ER0230', `instances: ${id} has the ip '${text}'; an IPv4 or IPv6 address is allowed`);
    if (instances.at(ip as Ip))
      throw new FleetError('ER0230', `instances: ${instances.at(ip)?.machine.id} and ${id} both have the ip ${ip}`);
    const instance = launches.make(id, { ...(tags && { tags }) });
    const { machine } = instance;
    instances.add(instance);
    instances.give(ip, instance);
    machine.power = state;
    machine.isListening = state === 'running';
    machine.boots = state === 'running' ? 1 : 0;
    if (state === 'terminated') instances.release(ip, instance);
    lifecycle.resume(machine);
  }

  if (!isName(options.cloud))
    throw new FleetError('ER0230', `cloud is '${options.cloud}'; a name is allowed: letters, digits, . _ -`);
  for (const [what, most] of [
    ['capacity', options.capacity],
    ['quota', options.quota],
  ] as const)
    if (!(most >= 0)) throw new FleetError('ER0230', `${what} is ${most}; a number from 0 is allowed`);
  for (const instance of options.instances) place(instance);

  return {
    instances,
    effects,
    interrupt,
    setPower({ machine }, power) {
      const isOn = machine.power === 'pending' || machine.power === 'running' || machine.power === 'stopping';
      if (power === 'off' && isOn) lifecycle.cut(machine);
      if (power === 'on' && machine.power === 'stopped') lifecycle.boot(machine);
    },
    handlers: (tokenOf) => ({
      ...addresses,
      DescribeInstances: instances.select,
      DescribeInstanceStatus({ includeAll = false, ...selection }) {
        const { instances: selected, nextToken } = instances.select(selection);
        return { instances: selected.filter(({ power }) => includeAll || power === 'running'), nextToken };
      },
      RunInstances: (launch) =>
        launches.run(launch, (instance) => {
          const { id } = instance.machine;
          lifecycle.launch(instance.machine);
          effects.push({ at: now(), action: 'RunInstances', id, token: instance.clientToken ?? tokenOf(id) });
          mayBeInterrupted(instance);
        }),
      StartInstances: ({ ids }) => ({ changes: change('StartInstances', 'start', ids, tokenOf) }),
      StopInstances: ({ ids }) => ({ changes: change('StopInstances', 'stop', ids, tokenOf) }),
      TerminateInstances: ({ ids }) => ({ changes: change('TerminateInstances', 'terminate', ids, tokenOf) }),
      RebootInstances({ ids }) {
        change('RebootInstances', 'reboot', ids, tokenOf);
        return null;
      },
      CreateTags({ resources, tags }) {
        for (const instance of instances.find(resources))
          for (const [key, value] of Object.entries(tags)) instance.tags.set(key, value);
        return null;
      },
    }),
  };
}
