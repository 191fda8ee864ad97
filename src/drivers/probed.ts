import type { Driver, PermittedCall, Shell } from '../contracts.ts';
import { deadline, withinDeadline } from '../deadline.ts';
import { type Do, doText, subjectText } from '../domain/command.ts';
import type { Problem } from '../domain/heartbeat.ts';
import { type EntityKey, type Ip, instanceKey, wantedOf } from '../domain/identity.ts';
import { inParallel } from '../domain/in-parallel.ts';
import type { InstanceFacts, SshAnswer } from '../domain/instance.ts';
import { type Slots, slots } from '../domain/slots.ts';
import { refusalOf, SSH_CODES } from '../domain/ssh.ts';
import { isFleetError, messageOf } from '../errors.ts';
import { type BootstrapOptions, bootstrap } from './bootstrap.ts';
import { type FenceOptions, fencing } from './fenced-shell.ts';
import { stragglers } from './stragglers.ts';

export interface ProbedOptions {
  readonly bootstrap?: BootstrapOptions;
  /** How long one host may take to be probed. Default 5000. */
  readonly deadlineMs?: number;
  /** How long the probes of one reading may take together; keep it under `policy.observeMs`. Default 8000. */
  readonly totalMs?: number;
  /** Hosts probed at once. Default 64. */
  readonly parallel?: number;
  /** Hosts bootstrapped at once, each by one bootstrap at a time. Default 16. */
  readonly bootstraps?: number;
  /** How a bootstrap is kept from a host on which a newer leader has acted; `false` for hosts without `flock`. */
  readonly fence?: FenceOptions | false;
}

/**
 * A cloud that is also looked at from within: to what `driver` reads it adds, for each running instance, whether ssh answers,
 * its boot, and its rungs `bootstrapped` and `managed`. It performs `bootstrap` itself, over the shell; every other verb is the
 * cloud's.
 *
 * A host that does not answer within its deadline counts as an ssh timeout and delays no other, and one reading, for `want.waitMs` at
 * most: it is then asked beside the readings until it answers. One that did not answer before, such as one that boots, delays none: a
 * reading that goes on without it is followed by another as soon as it answers. A bootstrap is accepted once it has run to its end, so
 * the signal of `perform` must allow for it. So many run at once, one on a host.
 *
 * @throws FleetError ER0230 for a rung that could not be brought about or known, or a fence that cannot be kept
 * @example
 * ```ts
 * probed(local({ instances }), shell, {
 *   bootstrap: {
 *     binaries: { artefact: { file: 'shop-1.4.2.tar.gz', version: '1.4.2', to: '/opt/shop' } },
 *     agent: { unit: { to: '/var/lib/fleetbeat' } },
 *   },
 * });
 * ```
 */
export function probed(driver: Driver<InstanceFacts>, shell: Shell, options: ProbedOptions = {}): Driver<InstanceFacts> {
  const { deadlineMs = 5000, totalMs = 8000, parallel = 64, bootstraps = 16 } = options;
  const ladder = bootstrap(options.bootstrap ?? {});
  const fenced = fencing(shell, options.fence ?? {});
  const ips = new Map<EntityKey, Ip>();
  const climbing = new Map<string, Promise<Problem | null>>();
  const climbs = slots(bootstraps);
  const hosts = new Map<Ip, Slots>();
  const hostOf = (ip: Ip): Slots => {
    const host = hosts.get(ip) ?? slots(1);
    hosts.set(ip, host);
    return host;
  };

  /** Its rungs first, since whoever tells them answers: only where they are not told is it asked whether it answers at all. */
  const probe = async (ip: Ip, subject: string, whole: AbortSignal): Promise<Probed> => {
    let ssh: SshAnswer | undefined;
    try {
      return await withinDeadline(deadlineMs, `the probe of ${ip}`, whole, async (signal) => {
        try {
          return { seen: { ssh: 'up' as const, ...(await ladder.read(ip, shell, Math.ceil(deadlineMs / 2), signal)) } };
        } catch (error) {
          if (signal.aborted) throw error;
          ssh = (isFleetError(error) && refusalOf(error.code)) || (await shell.reachable(ip, signal));
          if (ssh === 'up') throw error;
          return { seen: { ssh } };
        }
      });
    } catch (error) {
      const problem = { subject, code: isFleetError(error) ? error.code : 'ER0235', message: messageOf(error) };
      // The whole running out of time says nothing about this host; its own deadline does.
      if (ssh === undefined && problem.code === 'ER0212' && !whole.aborted) ssh = 'timeout';
      return { seen: ssh ? { ssh } : {}, problem };
    }
  };

  const listeners = new Set<() => void>();
  const ask = stragglers(hasAnswered, () => {
    for (const listener of listeners) listener();
  });
  /** Who answered in the last reading; null before there was one. */
  let answered: ReadonlySet<string> | null = null;

  /** What cannot be told of a host that hangs is left out, so that what was known of it is doubted. */
  const probeInTime = async (item: InstanceFacts, waitMs: number | undefined, whole: AbortSignal): Promise<Probed> => {
    const { ip, id } = item;
    if (item.power?.state !== 'running' || ip === null) return { seen: {} };
    const isExpected = answered?.has(ip) ?? true;
    return (await ask(ip, whole, (signal) => probe(ip, id ?? ip, signal), { isExpected, waitMs })) ?? { seen: {} };
  };

  const remember = (items: readonly InstanceFacts[]) => {
    ips.clear();
    for (const { cloud, id, ip } of items) if (id !== null && ip !== null) ips.set(instanceKey(cloud, id), ip);
  };

  const climb = async ({ do: what, permit, signal }: Climb): Promise<Problem | null> => {
    const subject = subjectText(what.subject);
    const ip = 'ip' in what.subject ? what.subject.ip : (ips.get(what.subject.key) ?? wantedOf(what.subject.key)?.ip);
    if (ip === undefined) return { subject, code: 'ER0205', message: `${driver.name} knows no address of ${subject}` };
    const name = `the bootstrap of ${ip}`;
    try {
      // Its own turn first: what waits for its host keeps no other host waiting.
      return await hostOf(ip).use(name, signal, () =>
        climbs.use(name, signal, async () => {
          if (!permit.valid()) return { subject, code: 'ER0217', message: `${doText(what)}: its permit has ended` };
          // A host that hangs shows it here, sooner than in any command.
          const ssh = await shell.reachable(ip, signal);
          if (ssh !== 'up') return { subject, code: SSH_CODES[ssh], message: `${name}: ssh does not answer: ${ssh}` };
          await ladder.climb(ip, what.upTo ?? 'managed', fenced(permit), permit, signal);
          return null;
        }),
      );
    } catch (error) {
      if (signal.aborted || !isFleetError(error)) throw error;
      return { subject, code: error.code, message: error.detail };
    }
  };

  /** The same token again, while its climb is under way, joins it. */
  const climbOnce = (call: Climb): Promise<Problem | null> => {
    const key = `${call.permit.token} ${doText(call.do)}`;
    const running = climbing.get(key) ?? climb(call).finally(() => climbing.delete(key));
    climbing.set(key, running);
    return running;
  };

  return {
    name: driver.name,
    everyMs: driver.everyMs,
    ...(driver.onCall && { onCall: driver.onCall.bind(driver) }),

    onNews(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    async observe(want, signal) {
      const reading = await driver.observe(want, signal);
      remember(reading.items);
      const whole = deadline(totalMs, `probing the instances of ${driver.name}`, signal);
      try {
        const probes = await inParallel(reading.items, parallel, (item) => probeInTime(item, want.waitMs, whole.signal));
        signal.throwIfAborted();
        answered = new Set(
          reading.items.flatMap(({ ip }, i) => (ip !== null && probes[i] && hasAnswered(probes[i]) ? [ip] : [])),
        );
        return {
          ...reading,
          items: reading.items.map((item, index) => ({ ...item, ...probes[index]?.seen })),
          problems: [...reading.problems, ...probes.flatMap(({ problem }) => problem ?? [])],
        };
      } finally {
        whole.release();
      }
    },

    async perform(calls, signal) {
      signal.throwIfAborted();
      const asked: Climb[] = [];
      const others: PermittedCall[] = [];
      for (const each of calls) {
        const what = each.call.do;
        if (isBootstrap(what)) asked.push({ do: what, permit: each.permit, signal });
        else others.push(each);
      }
      const [climbed, passed] = await bothSettled(
        inParallel(asked, asked.length, climbOnce),
        others.length > 0 ? driver.perform(others, signal) : [],
      );
      const answers = { climbed: climbed.values(), passed: passed.values() };
      return calls.map(({ call }) => (isBootstrap(call.do) ? answers.climbed : answers.passed).next().value ?? null);
    },
  };
}

interface Probed {
  readonly seen: Pick<InstanceFacts, 'ssh' | 'bootId' | 'binaries' | 'agent'>;
  readonly problem?: Problem;
}

const hasAnswered = ({ seen, problem }: Probed): boolean => seen.ssh === 'up' && problem === undefined;

type InstanceDo = Extract<Do, { level: 'instances' }>;

interface Climb {
  readonly do: InstanceDo;
  readonly permit: PermittedCall['permit'];
  readonly signal: AbortSignal;
}

const isBootstrap = (what: Do): what is InstanceDo => what.level === 'instances' && what.verb === 'bootstrap';

/** Rejects only once both have ended, so that nothing goes on behind the back of a caller who was told of a failure. */
async function bothSettled<A, B>(first: A | Promise<A>, second: B | Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return [await first, await second];
}
