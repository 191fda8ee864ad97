import type { AnyServiceKind, Failover, Neighbours, Permit, StepOf, Switchover } from '../contracts.ts';
import { serviceKey } from '../domain/identity.ts';
import type { Service, SwitchoverStep } from '../domain/service.ts';
import { FleetError } from '../errors.ts';

/** A service with its kind. */
interface Bound {
  readonly kind: AnyServiceKind;
  readonly service: Service<never>;
}

type CarryOut = (of: Service<never>, title: string, run: StepOf<never>, permit: Permit, signal: AbortSignal) => Promise<void>;

/**
 * Brings about the steps of a change of master. Who has been the master is whoever is wanted as that so far: once the new one is
 * recorded, the steps before `promote` have nothing left to do, and the change goes on where it was.
 */
export function createSwitchoverSteps(driver: {
  readonly carryOut: CarryOut;
  /** Has the balancers of a service take its cluster over, and let go of those who write elsewhere. */
  readonly reroute: (to: Bound, permit: Permit, signal: AbortSignal) => Promise<void>;
}): (step: SwitchoverStep, to: Bound, around: Around, permit: Permit, signal: AbortSignal) => Promise<void> {
  const { carryOut } = driver;

  return async (step, to, around, permit, signal) => {
    const { among } = around;
    const { kind } = to;
    // Whose role it is may change while a step runs: to that step, roles are as they were when it began.
    const [service, bound] = [asIs(to).service, around.bound.map(asIs)];
    const switchover: Switchover<never> | undefined = kind.switchover;
    const failover: Failover<never> | undefined = kind.failover;
    if (!switchover || service.cluster === undefined)
      throw new FleetError('ER0202', `${service.name} is of no cluster that follows a master`);
    const members = bound.filter((one) => one.service.cluster === service.cluster && one.kind.switchover !== undefined);
    const from = members.find((one) => one.service.status === 'master' && one.service.name !== service.name);
    const others = members.filter((one) => one !== from && one.service.name !== service.name);
    const servicesOf = (some: readonly Bound[]) => some.map((one) => one.service);

    switch (step) {
      case 'check':
      case 'read-only':
      case 'catch-up':
        if (!from) return;
        return carryOut(
          service,
          step,
          (_, ...rest) => switchover[step]({ to: service, from: from.service, others: servicesOf(others) }, ...rest),
          permit,
          signal,
        );
      case 'confirm':
        if (!from) return;
        return carryOut(
          service,
          step,
          (_, ...rest) =>
            mustFailOver(failover, service).confirm({ to: service, from: from.service, others: servicesOf(others) }, ...rest),
          permit,
          signal,
        );
      case 'gather':
        return carryOut(
          service,
          step,
          (_, ...rest) => mustFailOver(failover, service).gather({ to: service, others: servicesOf(others) }, ...rest),
          permit,
          signal,
        );
      case 'promote':
        return carryOut(
          service,
          step,
          (_, ...rest) => switchover.promote({ to: service, others: servicesOf(from ? [from, ...others] : others) }, ...rest),
          permit,
          signal,
        );
      case 'route':
        return driver.reroute(to, permit, signal);
      case 're-point':
        return all(others.filter(runs).map((one) => replicate(one)));
      case 'revert':
        if (from) return replicate(from);
        throw new FleetError('ER0206', `${service.name} is wanted as master already; there is only forward`, { retryable: true });
      default:
        return step satisfies never;
    }

    function runs({ service: { name } }: Bound): boolean {
      return among.view(serviceKey(name))?.holds.has('running') === true;
    }

    /** Brings a service into the role that it is wanted in. */
    function replicate(one: Bound): Promise<void> {
      const run = one.kind.steps.replicating;
      if (!run) throw new FleetError('ER0202', `a ${one.kind.mode} has no step 'replicating'`);
      return carryOut(one.service, step, run, permit, signal);
    }
  };
}

function mustFailOver(failover: Failover<never> | undefined, { mode }: Service<never>): Failover<never> {
  if (failover) return failover;
  throw new FleetError('ER0202', `a ${mode} takes no place of a lost master`);
}

const asIs = ({ kind, service }: Bound): Bound => ({ kind, service: { ...service } });

interface Around {
  readonly bound: readonly Bound[];
  readonly among: Neighbours;
}

/** Waits for all, also where one fails. */
export async function all(works: readonly Promise<void>[]): Promise<void> {
  for (const end of await Promise.allSettled(works)) if (end.status === 'rejected') throw end.reason;
}
