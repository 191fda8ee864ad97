import type { Ip } from '../domain/identity.ts';
import { INSTANCE_RUNGS, type InstanceRung, type InstanceVerb, type Power, type SshAnswer } from '../domain/instance.ts';
import type { Agenda } from './simulated-agenda.ts';
import type { FaultSource } from './simulated-faults.ts';
import type { Delay, DrawMs } from './simulated-latency.ts';

export type MachinePower = Exclude<Power, 'unknown'>;

/** In which powers a verb changes something and in which it asks for what is so already; in all others EC2 refuses it. */
export const LEGAL: Readonly<
  Record<Exclude<InstanceVerb, 'launch'>, Readonly<Record<'applies' | 'holds', readonly MachinePower[]>>>
> = {
  start: { applies: ['stopped'], holds: ['pending', 'running'] },
  stop: { applies: ['running'], holds: ['stopping', 'stopped'] },
  reboot: { applies: ['running'], holds: [] },
  terminate: { applies: ['pending', 'running', 'stopping', 'stopped'], holds: ['shutting-down', 'terminated'] },
  bootstrap: { applies: ['running'], holds: [] },
};

/** A simulated machine as it truly is. */
export interface Machine {
  readonly id: string;
  /** The address that it was given for life. */
  home: Ip | null;
  power: MachinePower;
  isListening: boolean;
  /** What ssh answers instead of the truth, while it runs. */
  sshOverride: SshAnswer | null;
  /** Boots so far. */
  boots: number;
  hasBinaries: boolean;
  hasAgent: boolean;
  /** Up to where a bootstrap under way goes. */
  bootstrapTo: InstanceRung | null;
  /** What an eventually consistent provider still shows of it. */
  shown: Shown | null;
  /** Calls off the one thing that happens to it next. */
  callOff: () => void;
}

export interface Shown {
  readonly until: number;
  /** Null where it is not listed yet. */
  readonly power: MachinePower | null;
}

/** What the provider shows; null where it does not list the machine yet. */
export const powerShown = ({ shown, power }: Machine, now: number): MachinePower | null =>
  shown !== null && now < shown.until ? shown.power : power;

const nothingToCallOff = () => {};

export const newMachine = (id: string, power: MachinePower): Machine => ({
  id,
  home: null,
  power,
  isListening: false,
  sshOverride: null,
  boots: 0,
  hasBinaries: false,
  hasAgent: false,
  bootstrapTo: null,
  shown: null,
  callOff: nothingToCallOff,
});

export function sshOf(machine: Machine): SshAnswer {
  if (machine.power !== 'running') return 'timeout';
  return machine.sshOverride ?? (machine.isListening ? 'up' : 'refused');
}

/** Whether a rung of the ladder truly holds on the machine; cumulative. */
export function holdsRung(machine: Machine, rung: InstanceRung): boolean {
  if (sshOf(machine) !== 'up') return false;
  if (rung === 'ssh-up') return true;
  return machine.hasBinaries && (rung === 'bootstrapped' || machine.hasAgent);
}

/** What takes a machine its time. */
export type MachineDelay = Extract<
  Delay,
  'pending' | 'ssh-up' | 'stopping' | 'shutting-down' | 'terminated' | 'stale' | 'bootstrapped' | 'managed'
>;

/** What happens to machines, each change after its delay. */
export interface Lifecycle {
  /** A new machine boots for the first time. */
  launch(machine: Machine): void;
  boot(machine: Machine): void;
  reboot(machine: Machine): void;
  stop(machine: Machine): void;
  terminate(machine: Machine): void;
  /** Ends its power at once, as if somebody had pulled the plug. */
  cut(machine: Machine): void;
  /** Goes on, or starts, towards a rung. */
  bootstrap(machine: Machine, upTo: InstanceRung): void;
  /** Goes on from a state in which the machine was configured to be. */
  resume(machine: Machine): void;
}

export function createLifecycle(world: {
  readonly agenda: Agenda;
  readonly drawMs: DrawMs<MachineDelay>;
  readonly faults: Pick<FaultSource<'eventualConsistency'>, 'strikes'>;
  readonly agentSurvives: boolean;
  /** What ran on the machine does not run any more. */
  readonly onPowerLoss: (machine: Machine) => void;
  readonly onTerminated: (machine: Machine) => void;
  readonly onForgotten: (machine: Machine) => void;
}): Lifecycle {
  const { agenda, drawMs, faults } = world;

  function next(machine: Machine, delay: MachineDelay, happen: () => void): void {
    machine.callOff();
    machine.callOff = agenda.after(drawMs(delay), happen);
  }

  /** What is still hidden stays so: a provider does not show what it shows later sooner because there is more of it. */
  function become(machine: Machine, power: MachinePower, was = powerShown(machine, agenda.now)): void {
    machine.shown = faults.strikes('eventualConsistency') ? { until: agenda.now + drawMs('stale'), power: was } : null;
    machine.power = power;
  }

  function losePower(machine: Machine): void {
    machine.callOff();
    machine.isListening = false;
    machine.bootstrapTo = null;
    if (!world.agentSurvives) machine.hasAgent = false;
    world.onPowerLoss(machine);
  }

  function start(machine: Machine): void {
    machine.boots++;
    next(machine, 'ssh-up', () => {
      machine.isListening = true;
    });
  }

  const untilRunning = (machine: Machine) =>
    next(machine, 'pending', () => {
      become(machine, 'running');
      start(machine);
    });

  const untilStopped = (machine: Machine) => next(machine, 'stopping', () => become(machine, 'stopped'));

  const untilTerminated = (machine: Machine) =>
    next(machine, 'shutting-down', () => {
      become(machine, 'terminated');
      world.onTerminated(machine);
      untilForgotten(machine);
    });

  const untilForgotten = (machine: Machine) => next(machine, 'terminated', () => world.onForgotten(machine));

  function climb(machine: Machine): void {
    if (!machine.hasBinaries && machine.bootstrapTo !== null && machine.bootstrapTo !== 'ssh-up') {
      next(machine, 'bootstrapped', () => {
        machine.hasBinaries = true;
        climb(machine);
      });
    } else if (!machine.hasAgent && machine.bootstrapTo === 'managed') {
      next(machine, 'managed', () => {
        machine.hasAgent = true;
        climb(machine);
      });
    } else machine.bootstrapTo = null;
  }

  return {
    launch(machine) {
      become(machine, 'pending', null);
      untilRunning(machine);
    },
    boot(machine) {
      become(machine, 'pending');
      untilRunning(machine);
    },
    reboot(machine) {
      losePower(machine);
      start(machine);
    },
    stop(machine) {
      losePower(machine);
      become(machine, 'stopping');
      untilStopped(machine);
    },
    terminate(machine) {
      losePower(machine);
      become(machine, 'shutting-down');
      untilTerminated(machine);
    },
    cut(machine) {
      losePower(machine);
      become(machine, 'stopped');
    },
    bootstrap(machine, upTo) {
      const isUnderWay = machine.bootstrapTo !== null;
      machine.bootstrapTo = higherOf(machine.bootstrapTo, upTo);
      if (!isUnderWay) climb(machine);
    },
    resume(machine) {
      if (machine.power === 'pending') untilRunning(machine);
      if (machine.power === 'stopping') untilStopped(machine);
      if (machine.power === 'shutting-down') untilTerminated(machine);
      if (machine.power === 'terminated') untilForgotten(machine);
    },
  };
}

const higherOf = (one: InstanceRung | null, other: InstanceRung): InstanceRung =>
  one !== null && INSTANCE_RUNGS.indexOf(one) > INSTANCE_RUNGS.indexOf(other) ? one : other;
