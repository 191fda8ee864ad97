import type { Call } from '../contracts.ts';
import type { KnownCode } from '../domain/codes.ts';
import { type Subject, subjectText } from '../domain/command.ts';
import type { Problem } from '../domain/heartbeat.ts';
import {
  type Instant,
  type Ip,
  instanceKey,
  isName,
  isProviderId,
  nameOf,
  parseIp,
  wantedKey,
  wantedOf,
} from '../domain/identity.ts';
import type { InstanceFacts, InstanceRung, SshAnswer } from '../domain/instance.ts';
import { SSH_CODES } from '../domain/ssh.ts';
import { FleetError } from '../errors.ts';
import type { Random } from './random.ts';
import type { Agenda } from './simulated-agenda.ts';
import type { Side } from './simulated-driver.ts';
import type { FaultSource } from './simulated-faults.ts';
import type { DrawMs } from './simulated-latency.ts';
import {
  createLifecycle,
  holdsRung,
  LEGAL,
  type Machine,
  type MachinePower,
  newMachine,
  powerShown,
  sshOf,
} from './simulated-machine.ts';

/** An instance of the simulated fleet at its beginning. */
export interface SimulatedInstance {
  readonly id: string;
  /** Null for one that gets its address when it is started. */
  readonly ip: string | null;
  readonly state: MachinePower;
  /** The rung that holds; on a machine that does not run, what is on its disk. Default `managed` where it runs, else `ssh-up`. */
  readonly rung?: InstanceRung;
}

export interface SimulatedInstancesOptions {
  readonly cloud: string;
  readonly instances: readonly SimulatedInstance[];
  readonly agentSurvives: boolean;
  readonly stoppedKeepsIp: boolean;
}

/** The instances of a simulated fleet: one half of the world. */
export interface SimulatedInstances extends Side<InstanceFacts> {
  /** The machine that owns an address; a terminated one owns none. */
  at(ip: Ip): Machine | undefined;
  /** Ends or brings back a machine's power past the provider's API. */
  setPower(ip: Ip, power: 'off' | 'on'): void;
  setSsh(ip: Ip, answer: SshAnswer): void;
}

/** The version marker that bootstrapped machines carry. */
const BINARIES = 'simulated-1';

export function createInstances(
  { cloud, instances, agentSurvives, stoppedKeepsIp }: SimulatedInstancesOptions,
  world: {
    readonly agenda: Agenda;
    readonly drawMs: DrawMs;
    readonly faults: FaultSource;
    readonly random: Random;
    /** What ran at an address has ended; what was on its disk too, where the disk is lost. */
    readonly onLoss: (ip: Ip, isDiskLost: boolean) => void;
  },
): SimulatedInstances {
  const { agenda, faults, random } = world;
  const machines = new Map<string, Machine>();
  const owners = new Map<Ip, Machine>();

  const lifecycle = createLifecycle({
    ...world,
    agentSurvives,
    onPowerLoss({ home }) {
      if (home !== null) world.onLoss(home, false);
    },
    onTerminated({ home }) {
      if (home === null) return;
      owners.delete(home);
      world.onLoss(home, true);
    },
    onForgotten({ id }) {
      machines.delete(id);
    },
  });

  function own(machine: Machine, ip: Ip): void {
    machine.home = ip;
    if (machine.power !== 'terminated') owners.set(ip, machine);
  }

  function place({ id, ip: text, state, rung = state === 'running' ? 'managed' : 'ssh-up' }: SimulatedInstance): void {
    if (!isProviderId(id)) throw new FleetError('ER0230', `instances: '${id}' is no provider's id`);
    if (machines.has(id)) throw new FleetError('ER0230', `instances: ${id} is there twice`);
    const isOn = state === 'running';
    const machine = newMachine(id, state);
    machines.set(id, machine);
    if (text !== null) own(machine, unownedIp(id, text));
    else if (isOn || state === 'pending') own(machine, freeIp());
    machine.hasBinaries = rung !== 'ssh-up';
    machine.hasAgent = rung === 'managed' && (isOn || agentSurvives);
    machine.isListening = isOn;
    machine.boots = isOn ? 1 : 0;
    lifecycle.resume(machine);
  }

  function unownedIp(id: string, text: string): Ip {
    const ip = parseIp(text);
    if (ip === null) {
      throw new FleetError('ER0230', `instances: ${id} has the ip '${text}'; an IPv4 or IPv6 address or null is allowed`);
    }
    const owner = owners.get(ip);
    if (owner) throw new FleetError('ER0230', `instances: ${owner.id} and ${id} both have the ip ${ip}`);
    return ip;
  }

  function find(subject: Subject): Machine | undefined {
    if ('ip' in subject) return owners.get(subject.ip);
    const wanted = wantedOf(subject.key);
    if (wanted) return subject.key === wantedKey(cloud, wanted.ip) ? owners.get(wanted.ip) : undefined;
    const id = nameOf(subject.key);
    return subject.key === instanceKey(cloud, id) ? machines.get(id) : undefined;
  }

  function ownerOf(ip: Ip): Machine {
    const machine = owners.get(ip);
    if (!machine) throw new FleetError('ER0205', `the simulated fleet has no instance at ${ip}`);
    return machine;
  }

  function wantedIp(subject: Subject): Ip | null {
    if ('ip' in subject) return subject.ip;
    const wanted = wantedOf(subject.key);
    return wanted?.cloud === cloud ? wanted.ip : (find(subject)?.home ?? null);
  }

  function freeId(): string {
    const id = `i-${random.between(0, 0xffffffff).toString(16).padStart(8, '0')}`;
    return machines.has(id) ? freeId() : id;
  }

  /** From the range that is reserved for benchmarks, so that it is nobody's own. */
  function freeIp(): Ip {
    const ip = `198.18.${random.between(1, 254)}.${random.between(1, 254)}` as Ip;
    return owners.has(ip) ? freeIp() : ip;
  }

  /** What a reading shows of a machine; null where the provider does not list it yet. */
  function factsOf(machine: Machine, readAt: Instant): InstanceFacts | null {
    const { id, home } = machine;
    const state = powerShown(machine, agenda.now);
    if (state === null) return null;
    const power = { state, raw: state };
    const ip = state === 'terminated' || (state === 'stopped' && !stoppedKeepsIp) ? null : home;
    if (state !== 'running') return { cloud, id, ip, readAt, power };
    const ssh = faults.strikes('sshFlap') ? 'timeout' : sshOf(machine);
    if (ssh !== 'up') return { cloud, id, ip, readAt, power, ssh };
    const binaries = machine.hasBinaries ? BINARIES : null;
    return { cloud, id, ip, readAt, power, ssh, bootId: `${id}-boot-${machine.boots}`, binaries, agent: machine.hasAgent };
  }

  function launch(subject: Subject): 'applied' | Problem {
    const ip = wantedIp(subject);
    if (ip === null) return refusal(subject, 'ER0205', 'no address is known to launch it at');
    const owner = owners.get(ip);
    if (owner) return refusal(subject, 'ER0208', `${ip} belongs to ${owner.id}, which is ${owner.power}`);
    const machine = newMachine(freeId(), 'pending');
    machines.set(machine.id, machine);
    own(machine, ip);
    lifecycle.launch(machine);
    return 'applied';
  }

  function bootstrap(subject: Subject, machine: Machine, upTo: InstanceRung): 'applied' | 'held' | Problem {
    const ssh = sshOf(machine);
    if (ssh !== 'up') return refusal(subject, SSH_CODES[ssh], `${machine.id} cannot be bootstrapped`);
    if (holdsRung(machine, upTo) || machine.bootstrapTo === upTo) return 'held';
    lifecycle.bootstrap(machine, upTo);
    return 'applied';
  }

  if (!isName(cloud)) throw new FleetError('ER0230', `cloud is '${cloud}'; a name is allowed: letters, digits, . _ -`);
  for (const instance of instances) place(instance);

  return {
    read(readAt) {
      const items: InstanceFacts[] = [];
      for (const machine of machines.values()) {
        const facts = factsOf(machine, readAt);
        if (facts) items.push(facts);
      }
      return items;
    },
    subjectOf({ do: what }) {
      if (what.level !== 'instances') return what.name;
      if (what.verb === 'launch') return wantedIp(what.subject) ?? subjectText(what.subject);
      return find(what.subject)?.id ?? subjectText(what.subject);
    },
    apply({ do: what }: Call) {
      if (what.level !== 'instances') return { subject: what.name, code: 'ER0229', message: 'a cloud has no services' };
      if (what.verb === 'launch') return launch(what.subject);
      const machine = find(what.subject);
      if (!machine) return refusal(what.subject, 'ER0205', `${cloud} has no such instance`);
      const { applies, holds } = LEGAL[what.verb];
      if (holds.includes(machine.power)) return 'held';
      if (!applies.includes(machine.power)) {
        return refusal(what.subject, 'ER0206', `${what.verb} of ${machine.id}, which is ${machine.power}`);
      }
      switch (what.verb) {
        case 'bootstrap':
          return bootstrap(what.subject, machine, what.upTo ?? 'managed');
        case 'start':
          if (machine.home === null) own(machine, freeIp());
          lifecycle.boot(machine);
          return 'applied';
        default:
          lifecycle[what.verb](machine);
          return 'applied';
      }
    },
    at: (ip) => owners.get(ip),
    setPower(ip, power) {
      const machine = ownerOf(ip);
      const isOn = machine.power === 'pending' || machine.power === 'running' || machine.power === 'stopping';
      if (power === 'off' && isOn) lifecycle.cut(machine);
      if (power === 'on' && machine.power === 'stopped') lifecycle.boot(machine);
    },
    setSsh(ip, answer) {
      ownerOf(ip).sshOverride = answer === 'up' ? null : answer;
    },
  };
}

const refusal = (subject: Subject, code: KnownCode, message: string): Problem => ({
  subject: subjectText(subject),
  code,
  message,
});
