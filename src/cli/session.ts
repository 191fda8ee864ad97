import { networkInterfaces } from 'node:os';
import type { Action } from '../domain/action.ts';
import type { Heartbeat } from '../domain/heartbeat.ts';
import { type ActionId, type EntityKey, type Ip, parseIp } from '../domain/identity.ts';
import { instanceLane } from '../domain/plan.ts';
import type { Fleet } from '../index.ts';
import { keepTrail } from './audit-trail.ts';
import { assemble } from './config/assemble.ts';
import { type Configuration, isMemory } from './config/check.ts';

/** A fleet that was made from a configuration, for as long as one command line needs it. */
export interface Session {
  readonly fleet: Fleet;
  readonly configuration: Configuration;
  /** Whether other processes see what is armed here, and it survives this one. */
  readonly isShared: boolean;
  /** The last word on every action that was heard of, also after it has ended. */
  readonly latest: ReadonlyMap<ActionId, Action>;
  /** From now on the fleet may act. Until then it only looks: a question never starts what waits in the store. */
  act(): void;
  /** From now on what becomes of actions is written down: it is decided here. */
  decide(): void;
  /** The next beat reads the cloud itself, and not what is remembered of it. */
  readAnew(): void;
  /** Calls the listener with what goes wrong with the audit log. */
  onAuditError(listener: (error: unknown) => void): void;
  close(): Promise<void>;
}

/** A lease outlives so many beats, and whoever waits for it has it so many beats later. */
const LEASE_BEATS = 3;
const BEATS_TO_LEAD = 2;

/** Opens a session. Nothing is read before the first beat. */
export async function openSession(
  configuration: Configuration,
  options: { readonly env: NodeJS.ProcessEnv; readonly everyMs: number; readonly acts?: boolean },
): Promise<Session> {
  let mayAct = options.acts ?? false;
  let decides = mayAct;
  const laneAt = (ip: Ip) => laneAtOf(fleet, configuration)(ip);
  const [{ createFleet }, assembly] = await Promise.all([
    import('../fleet.ts'),
    assemble(configuration, { ...options, delivers: mayAct, laneAt }),
  ]);
  const fleet: Fleet = createFleet({ ...assembly.options, allow: () => mayAct || 'this command line only asks' });
  const latest = new Map<ActionId, Action>();
  fleet.on('action', (action) => latest.set(action.id, action));
  const listeners = new Set<(error: unknown) => void>();
  const trail =
    configuration.audit &&
    (await keepTrail(fleet, configuration.audit, {
      decides: () => decides,
      unledMs: Math.max(configuration.policy.leaseMs ?? 0, LEASE_BEATS * options.everyMs) + BEATS_TO_LEAD * options.everyMs,
      onError: (error) => {
        for (const listener of listeners) listener(error);
      },
    }));
  return {
    fleet,
    configuration,
    isShared: !isMemory(configuration.store),
    latest,
    act() {
      mayAct = true;
    },
    decide() {
      decides = true;
    },
    readAnew: assembly.readAnew,
    onAuditError(listener) {
      listeners.add(listener);
    },
    async close() {
      trail?.settle();
      await fleet.stop();
      await trail?.close();
      await assembly.close();
    },
  };
}

/** Finds the lane of the instance at an ip, or of the one that is wanted there. */
export const laneAtOf =
  ({ views }: Pick<Fleet, 'views'>, { cloud }: Configuration) =>
  (ip: Ip): EntityKey =>
    instanceLane(views().find((view) => view.level === 'instances' && view.ip === ip) ?? 'none', cloud.name, ip);

/** This host, as `local` and `world` mean it. */
export function ownHost(): NonNullable<Heartbeat['host']> {
  const addresses = Object.values(networkInterfaces()).flatMap((addressesOfOne) => addressesOfOne ?? []);
  const ips = addresses.map(({ address }) => parseIp(address)).filter((ip): ip is Ip => ip !== null);
  return { ips: [...new Set(ips)] };
}
