import type { Call, Driver, Permit } from '../src/contracts.ts';
import { doText, type Subject, subjectText } from '../src/domain/command.ts';
import { excerpt } from '../src/domain/excerpt.ts';
import type { Problem } from '../src/domain/heartbeat.ts';
import { type Instant, type Ip, instanceKey, isName, isProviderId, parseIp } from '../src/domain/identity.ts';
import { inParallel } from '../src/domain/in-parallel.ts';
import { type InstanceFacts, POWERS, type Power } from '../src/domain/instance.ts';
import { FleetError, isFleetError } from '../src/errors.ts';
import { runProcess } from './local/process.ts';

/** A machine that is there by configuration. */
export interface LocalInstance {
  /** Default `local-<ip>`. */
  readonly id?: string;
  readonly ip: string;
  /**
   * An argv whose answer is the power: the first word that it writes where that is one of {@link POWERS}; else its exit code,
   * 0 for running and 3 for stopped as `systemctl status` has it. Without it, power is running.
   */
  readonly status?: readonly string[];
  /** The argv that starts it; without it, `start` is refused. */
  readonly start?: readonly string[];
  readonly stop?: readonly string[];
}

export interface LocalOptions {
  readonly instances: readonly LocalInstance[];
  /** The name of the cloud. Default `local`. */
  readonly name?: string;
  /** Default 10000. */
  readonly everyMs?: number;
  /** How long one command may take. Default 5000. */
  readonly deadlineMs?: number;
  /** Commands at once. Default 16. */
  readonly parallel?: number;
}

/**
 * A cloud that is a list: machines that exist by configuration, with commands of this machine for their power.
 *
 * @throws FleetError ER0230 for a name, id or ip that cannot be one, or that is there twice
 * @example
 * ```ts
 * local({ instances: [{ ip: '10.0.0.101' }, { ip: '10.0.0.102', status: ['vm', 'power', 'b'], start: ['vm', 'on', 'b'] }] });
 * ```
 */
export function local(options: LocalOptions): Driver<InstanceFacts> {
  const { name = 'local', everyMs = 10_000, deadlineMs = 5000, parallel = 16 } = options;
  const machines = readMachines(name, options.instances);
  const accepted = new Map<string, Promise<Problem | null>>();

  const readOne = async (machine: Machine, readAt: Instant, signal: AbortSignal): Promise<Seen> => {
    const facts = { cloud: name, id: machine.id, ip: machine.ip, readAt };
    if (!machine.status) return { facts: { ...facts, power: { state: 'running', raw: 'configured' } } };
    try {
      return { facts: { ...facts, power: powerOf(await runProcess(machine.status, deadlineMs, signal)) } };
    } catch (error) {
      const problem = problemOf(machine.id, error, signal);
      return { facts: { ...facts, power: { state: 'unknown', raw: 'no answer' } }, problem };
    }
  };

  const switchPower = async (machine: Machine, argv: readonly string[], signal: AbortSignal): Promise<Problem | null> => {
    try {
      const { exit, stderr } = await runProcess(argv, deadlineMs, signal);
      if (exit === 0) return null;
      return { subject: machine.id, code: 'ER0018', message: `${excerpt(argv[0] ?? '')} ended with ${exit}: ${excerpt(stderr)}` };
    } catch (error) {
      return problemOf(machine.id, error, signal);
    }
  };

  /** A token that was accepted, or is under way, is not run again. */
  const once = async (key: string, run: () => Promise<Problem | null>): Promise<Problem | null> => {
    const earlier = accepted.get(key);
    if (earlier) return earlier;
    const running = run();
    accepted.set(key, running);
    for (const oldest of accepted.keys()) {
      if (accepted.size <= REMEMBERED_TOKENS) break;
      accepted.delete(oldest);
    }
    const wasRefused = await running.then(
      (problem) => problem !== null,
      () => true,
    );
    if (wasRefused) accepted.delete(key);
    return running;
  };

  const performOne = async ({ do: what }: Call, permit: Permit, signal: AbortSignal): Promise<Problem | null> => {
    if (what.level !== 'instances') return { subject: what.name, code: 'ER0229', message: `${name} has instances, no services` };
    const machine = machines.find(isMeantBy(name, what.subject));
    const subject = machine?.id ?? subjectText(what.subject);
    if (!machine) return { subject, code: 'ER0205', message: `${name} is configured without an instance ${subject}` };
    const argv = what.verb === 'start' ? machine.start : what.verb === 'stop' ? machine.stop : undefined;
    if (!argv) return { subject, code: 'ER0229', message: `${name} is configured without a command to ${what.verb} ${subject}` };
    if (!permit.valid()) return { subject, code: 'ER0217', message: `${doText(what)}: its permit has ended` };
    return once(`${permit.token} ${what.verb} ${machine.id}`, () => switchPower(machine, argv, signal));
  };

  return {
    name,
    everyMs,
    async observe({ now }, signal) {
      signal.throwIfAborted();
      const seen = await inParallel(machines, parallel, (machine) => readOne(machine, now, signal));
      return {
        items: seen.map(({ facts }) => facts),
        readAt: now,
        complete: true,
        problems: seen.flatMap(({ problem }) => problem ?? []),
      };
    },
    async perform(calls, signal) {
      signal.throwIfAborted();
      return inParallel(calls, parallel, ({ call, permit }) => performOne(call, permit, signal));
    },
  };
}

interface Machine extends LocalInstance {
  readonly id: string;
  readonly ip: Ip;
}

interface Seen {
  readonly facts: InstanceFacts;
  readonly problem?: Problem;
}

const REMEMBERED_TOKENS = 10_000;

function readMachines(cloud: string, instances: readonly LocalInstance[]): readonly Machine[] {
  if (!isName(cloud))
    throw new FleetError('ER0230', `the name of a local cloud has letters, digits, . _ -, found ${JSON.stringify(cloud)}`);
  const taken = new Set<string>();
  return instances.map((instance, index) => {
    const where = `instance ${index} of the cloud ${cloud}`;
    const ip = parseIp(instance.ip);
    if (!ip) throw new FleetError('ER0230', `${where} needs an IPv4 or IPv6 address, found ${JSON.stringify(instance.ip)}`);
    const id = instance.id ?? `local-${ip}`;
    if (!isProviderId(id)) throw new FleetError('ER0230', `${where} has an id that cannot be one: ${JSON.stringify(id)}`);
    for (const word of [id, ip]) {
      if (taken.has(word)) throw new FleetError('ER0230', `${where}: ${word} is there twice`);
      taken.add(word);
    }
    for (const argv of [instance.status, instance.start, instance.stop]) {
      if (argv && !argv[0]) throw new FleetError('ER0230', `${where} has a command without a program`);
    }
    return { ...instance, id, ip };
  });
}

const isMeantBy =
  (cloud: string, subject: Subject) =>
  ({ id, ip }: Machine): boolean =>
    'ip' in subject ? subject.ip === ip : subject.key === instanceKey(cloud, id);

const EXIT_RUNNING = 0;
const EXIT_STOPPED = 3;

function powerOf({ exit, stdout, stderr }: { readonly exit: number; readonly stdout: string; readonly stderr: string }) {
  const word = stdout.trim().split(/\s+/)[0];
  const state = POWERS.find((power: Power) => power === word);
  if (state) return { state, raw: state };
  if (exit === EXIT_RUNNING) return { state: 'running', raw: 'exit 0' } as const;
  if (exit === EXIT_STOPPED) return { state: 'stopped', raw: 'exit 3' } as const;
  throw new FleetError(
    'ER0018',
    `its status ended with ${exit}: ${excerpt(stderr)}; allowed are a word of power, exit 0 and exit 3`,
  );
}

function problemOf(subject: string, error: unknown, signal: AbortSignal): Problem {
  if (signal.aborted || !isFleetError(error)) throw error;
  return { subject, code: error.code, message: error.detail };
}
