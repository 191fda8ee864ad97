import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Permit } from '../../src/contracts.ts';
import type { KnownCode } from '../../src/domain/codes.ts';
import type { Problem } from '../../src/domain/heartbeat.ts';
import { type Ip, parseIp } from '../../src/domain/identity.ts';
import { FleetError, isFleetError } from '../../src/errors.ts';
import type { Called, MakeCall } from './call.ts';
import type { CloudOptions, Known, Launching } from './cloud.ts';
import type { Listing } from './listing.ts';

export interface Launcher {
  /** Launches at an address once for a token, also where an earlier process has sent the call and died. */
  launch(ip: Ip, permit: Permit, signal: AbortSignal): Promise<Problem | null>;
  /** What is listed need no longer be remembered. */
  saw(instances: readonly Known[]): void;
}

export const isAlive = ({ power }: Known): boolean => power !== 'terminated';

/** Found again by it: the same for every try of a launch, and no other's. */
const tagOf = (ip: Ip, { token }: Permit): string =>
  `fleetbeat-${createHash('sha256').update(`launch ${ip} ${token}`).digest('hex').slice(0, 24)}`;

const LOOK_MS = 60_000;
const LOOK_EVERY_MS = 3000;

/** @throws FleetError ER0230 for settings at what is no address */
export function createLauncher<S extends object>(
  cloud: { readonly name: string; readonly launch?: Launching<S> },
  options: CloudOptions<S>,
  io: { readonly call: MakeCall; readonly read: (signal: AbortSignal) => Promise<Listing> },
): Launcher {
  const { lookMs = LOOK_MS, lookEveryMs = LOOK_EVERY_MS } = options;
  const settingsAt = readSettings(cloud.name, options.launch);
  /** Launched a moment ago by us, and perhaps not yet listed. */
  const recent = new Map<Ip, { readonly tag: string; readonly until: number }>();
  /** When a launch that was perhaps made before was first looked for. */
  const lookedSince = new Map<string, number>();

  const problem = (ip: Ip, code: KnownCode, message: string): Problem => ({ subject: ip, code, message });
  const wait = (signal: AbortSignal) => pause(lookEveryMs, undefined, { signal });

  /** The instance that an earlier try of this launch has made, once nothing of it can still be on its way. */
  async function look(ip: Ip, tag: string, isRepeated: boolean, signal: AbortSignal): Promise<Known | 'taken' | null> {
    const since = lookedSince.get(tag) ?? performance.now();
    if (isRepeated) lookedSince.set(tag, since);
    for (;;) {
      const listing = await io.read(signal);
      const ours = listing.instances.find((one) => isAlive(one) && one.tags.includes(tag));
      if (ours) return ours;
      if (listing.instances.some((one) => isAlive(one) && one.ip === ip)) return 'taken';
      if (!listing.complete) throw new FleetError('ER0235', 'the list of instances is not complete', { retryable: true });
      if (!isRepeated || performance.now() - since >= lookMs) return null;
      await wait(signal);
    }
  }

  /** Until the cloud no longer says that it is too early. */
  async function place(
    launching: Launching<S>,
    id: string,
    ip: Ip,
    permit: Permit,
    signal: AbortSignal,
  ): Promise<Problem | null> {
    const route = launching.place?.({ id, ip });
    if (!route) return null;
    const since = performance.now();
    for (;;) {
      // The instance is there: only its address is missing, for which the next try will look again.
      if (!permit.valid()) return problem(ip, 'ER0220', `${id} is launched, and has no address yet: its permit has ended`);
      const placed = await io.call(route, { signal, isRepeatable: true });
      if (placed.isAccepted) return null;
      if (placed.code !== 'ER0206' || performance.now() - since >= lookMs) {
        return problem(ip, 'ER0220', `${id} is launched, and has no address yet: ${placed.message}`);
      }
      await wait(signal);
    }
  }

  /** What was perhaps made before stays unknown, whatever has come between. */
  const unlessKnown = (isRepeated: boolean, ip: Ip, code: KnownCode, message: string): Problem =>
    problem(ip, isRepeated ? 'ER0220' : code, message);

  async function launch(ip: Ip, permit: Permit, signal: AbortSignal): Promise<Problem | null> {
    const launching = cloud.launch;
    const settings = settingsAt(ip);
    if (!launching || !settings) {
      return problem(ip, 'ER0229', `${cloud.name} is configured without what to launch${launching ? '' : ', and has no way to'}`);
    }
    const isRepeated = permit.isRepeated === true;
    const tag = tagOf(ip, permit);
    let found: Known | 'taken' | null;
    try {
      found = await look(ip, tag, isRepeated, signal);
    } catch (error) {
      if (signal.aborted || !isFleetError(error)) throw error;
      const code = error.code === 'ER0220' || error.code === 'ER0212' ? 'ER0018' : error.code;
      return unlessKnown(isRepeated, ip, code, `nothing was launched at ${ip}: ${error.detail}`);
    }
    const last = recent.get(ip);
    const isRecent = last !== undefined && last.tag !== tag && performance.now() < last.until;
    if (found === 'taken' || (found === null && isRecent)) {
      return problem(ip, 'ER0208', `${cloud.name} has a live instance at ${ip}`);
    }
    if (!permit.valid()) return unlessKnown(isRepeated, ip, 'ER0217', `launch ${ip}: its permit has ended`);
    if (found !== null) return found.ip === ip ? null : place(launching, found.id, ip, permit, signal);

    recent.set(ip, { tag, until: performance.now() + lookMs });
    const name = `fleetbeat-${ip.replace(/[.:]/g, '-')}`;
    const called = await io.call(launching.route({ ip, name, tag, settings }), { signal, isRepeatable: false });
    if (!called.isAccepted) {
      if (called.code !== 'ER0220' && called.code !== 'ER0212') recent.delete(ip);
      // A launch is of nothing that could be missing: what the provider misses is in the settings.
      return problem(ip, called.code === 'ER0205' ? 'ER0221' : called.code, called.message);
    }
    lookedSince.delete(tag);
    return launching.id || launching.place ? placeNew(launching, called, ip, permit, signal) : null;
  }

  async function placeNew(
    launching: Launching<S>,
    { body }: Extract<Called, { isAccepted: true }>,
    ip: Ip,
    permit: Permit,
    signal: AbortSignal,
  ): Promise<Problem | null> {
    const id = launching.id?.(body);
    if (typeof id === 'string' || typeof id === 'number') return place(launching, String(id), ip, permit, signal);
    return problem(ip, 'ER0220', 'the answer to the launch does not say what was launched');
  }

  return {
    launch,
    saw(instances) {
      for (const { ip, power } of instances) if (ip !== null && power !== 'terminated') recent.delete(ip);
    },
  };
}

function readSettings<S extends object>(cloud: string, launch: CloudOptions<S>['launch']): (ip: Ip) => S | null {
  if (!launch) return () => null;
  const { byIp = {}, ...defaults } = launch;
  const special = new Map<Ip, Partial<S>>();
  for (const [text, settings] of Object.entries(byIp)) {
    const ip = parseIp(text);
    if (!ip) throw new FleetError('ER0230', `the launch settings of ${cloud} are by address, found ${JSON.stringify(text)}`);
    special.set(ip, settings as Partial<S>);
  }
  return (ip) => ({ ...defaults, ...special.get(ip) }) as S;
}
