import type { FenceInput, FenceOutput } from '../machines/index.ts';
import type { EffectFunction } from './charts/effects.ts';
import type { Call } from './contracts.ts';
import { withinDeadline } from './deadline.ts';
import { masterAmong, membersOf } from './domain/cluster.ts';
import { isRetryable, knownCode } from './domain/codes.ts';
import { isFenced } from './domain/fence.ts';
import { type EntityKey, nameOf, serviceKey } from './domain/identity.ts';
import type { Inventory } from './domain/inventory.ts';
import type { Service } from './domain/service.ts';
import { FleetError } from './errors.ts';
import type { Gate } from './gate.ts';
import type { Roles } from './roles.ts';
import type { Roster } from './roster.ts';
import type { Routing } from './routing.ts';
import { signalOf } from './stop.ts';

/**
 * The effect that keeps a lost master from taking writes: stopped on its host where that answers, turned off by its provider
 * elsewhere. Every start of a database is read-only, so that one that comes back takes none either.
 */
export function createFence(fleet: {
  readonly inventory: Inventory;
  readonly roster: Pick<Roster, 'services' | 'kinds'>;
  readonly roles: Pick<Roles, 'refresh'>;
  readonly gate: Pick<Gate, 'pass'>;
  readonly routing: Pick<Routing, 'driverOf'>;
  readonly callMs: number;
}): EffectFunction<FenceInput, FenceOutput> {
  const { inventory, roster } = fleet;

  /** Whose place is to be taken; null where it was taken already. */
  function lostMaster({ key, do: what }: FenceInput): Service | null {
    const master = masterAmong(membersOf(nameOf(key), roster));
    return what.level === 'services' && master?.name !== what.name ? master : null;
  }

  function wayTo(master: Service): { readonly key: EntityKey; readonly call: Call } {
    const host = inventory.atIp(master.ip);
    if (typeof host === 'object' && host.holds.has('running'))
      return {
        key: serviceKey(master.name),
        call: { do: { level: 'services', name: master.name, verb: 'stop' }, step: 'stop' },
      };
    if (typeof host === 'object')
      return { key: host.key, call: { do: { level: 'instances', subject: { key: host.key }, verb: 'stop' } } };
    throw new FleetError('ER0258', `${master.name} cannot be kept from taking writes: ${TENANTS[host]} at ${master.ip}`);
  }

  return async ({ input, stop }) => {
    await fleet.roles.refresh();
    const master = lostMaster(input);
    if (!master || isFenced(master, { inventory })) return { isFenced: true };
    const { key, call } = wayTo(master);
    const driver = fleet.routing.driverOf({ key, do: call.do });
    if (!driver)
      throw new FleetError('ER0258', `${master.name} cannot be kept from taking writes: no driver stops ${nameOf(key)}`);
    const permit = await fleet.gate.pass(input, stop);
    const [problem = null] = await withinDeadline(fleet.callMs, `stopping ${nameOf(key)}`, signalOf(stop), (bounded) =>
      driver.perform([{ call, permit }], bounded),
    );
    if (!problem) return { isFenced: false };
    throw new FleetError(
      knownCode(problem.code, 'ER0258'),
      `${master.name} was not kept from taking writes: ${driver.name}: ${problem.message}`,
      { retryable: isRetryable(problem.code) },
    );
  };
}

const TENANTS = { none: 'there is no instance', conflict: 'two instances are' } as const;
