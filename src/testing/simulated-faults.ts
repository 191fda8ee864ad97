import { FleetError } from '../errors.ts';
import type { Random } from './random.ts';

/** What can go wrong in a simulated fleet. */
export const FAULTS = [
  /** A call is answered with a problem and not applied. */
  'callRefused',
  /** A call is accepted and applied, but the answer never comes: `perform` rejects, what follows in its list is not sent. */
  'callLost',
  /** A call never arrives: `perform` rejects, it and what follows in its list are not applied. */
  'callDropped',
  /** A whole request is over its limit: its calls are refused, or the read ends halfway, incomplete. */
  'throttled',
  /** A read rejects. */
  'observeFailed',
  /** ssh of one host does not answer in one read. */
  'sshFlap',
  /** After a change of power, the provider goes on showing what was, for a while. */
  'eventualConsistency',
  /** A service that has come up dies some time later. */
  'serviceCrash',
] as const;

export type Fault = (typeof FAULTS)[number];

/** How often each fault strikes when it can: 0 is never, 1 always. */
export type FaultRates<F extends string = Fault> = Readonly<Partial<Record<F, number>>>;

export interface SimulatedFaults<F extends string = Fault> {
  /** Sets the rates that are named; the others stay. */
  set(rates: FaultRates<F>): void;
  /** No fault strikes any more, until told otherwise. */
  clear(): void;
  /** The fault strikes at its next `times` (1) opportunities, whatever its rate. */
  once(fault: F, times?: number): void;
  /** How often a fault has struck. */
  occurred(fault: F): number;
}

/** The side of the faults that the simulated world asks. */
export interface FaultSource<F extends string = Fault> extends SimulatedFaults<F> {
  /** Whether the fault strikes at this opportunity. */
  strikes(fault: F): boolean;
}

export function createFaults<F extends string>(known: readonly F[], initial: FaultRates<F>, random: Random): FaultSource<F> {
  const dice = new Map(known.map((fault) => [fault, { rate: 0, forced: 0, occurred: 0, random: random.fork(fault) }]));

  function dieOf(fault: F) {
    const die = dice.get(fault);
    if (!die) throw new FleetError('ER0230', `there is no fault '${fault}'; allowed are ${known.join(', ')}`);
    return die;
  }

  const faults: FaultSource<F> = {
    set(rates) {
      for (const fault of Object.keys(rates) as F[]) {
        const rate = rates[fault] ?? 0;
        if (!(rate >= 0 && rate <= 1)) throw new FleetError('ER0230', `the rate of ${fault} is ${rate}; 0 to 1 is allowed`);
        dieOf(fault).rate = rate;
      }
    },
    clear() {
      for (const die of dice.values()) {
        die.rate = 0;
        die.forced = 0;
      }
    },
    once(fault, times = 1) {
      dieOf(fault).forced += times;
    },
    occurred: (fault) => dieOf(fault).occurred,
    strikes(fault) {
      const die = dieOf(fault);
      if (die.forced > 0) die.forced--;
      else if (die.rate === 0 || !die.random.chance(die.rate)) return false;
      die.occurred++;
      return true;
    },
  };
  faults.set(initial);
  return faults;
}
