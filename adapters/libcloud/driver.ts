import type { ApiCall, Call, Caller, Driver, Permit } from '../../src/contracts.ts';
import type { KnownCode } from '../../src/domain/codes.ts';
import { doText, type Subject, subjectText } from '../../src/domain/command.ts';
import type { Problem } from '../../src/domain/heartbeat.ts';
import { type Ip, isName, nameOf, wantedOf } from '../../src/domain/identity.ts';
import { inParallel } from '../../src/domain/in-parallel.ts';
import type { InstanceFacts, InstanceVerb } from '../../src/domain/instance.ts';
import { FleetError, isFleetError } from '../../src/errors.ts';
import { createCall } from './call.ts';
import type { CloudOptions, Known, RestCloud } from './cloud.ts';
import { createLauncher, isAlive } from './launch.ts';
import { type Listing, readListing } from './listing.ts';
import { createOnce } from './once.ts';
import { createRest } from './rest.ts';
import { verbOf } from './route.ts';
import { withSession } from './session.ts';

/** A driver of instances that tells of each request it makes. */
export interface CloudDriver extends Driver<InstanceFacts> {
  onCall(listener: (call: ApiCall) => void): () => void;
}

type PowerVerb = 'start' | 'stop' | 'reboot' | 'terminate';

/** Whether a state is what a verb was to bring about. A reboot can be told from no state. */
const IS_AT_GOAL = {
  start: ({ power }) => power === 'running' || power === 'pending',
  stop: ({ power }) => power === 'stopped' || power === 'stopping',
  terminate: ({ power }) => power === 'terminated' || power === 'shutting-down',
  reboot: () => false,
} as const satisfies Record<PowerVerb, (of: Known) => boolean>;

const isPowerVerb = (verb: InstanceVerb): verb is PowerVerb => Object.hasOwn(IS_AT_GOAL, verb);

/**
 * Makes a driver out of a table.
 *
 * @throws FleetError ER0230 for a name, a url, an allowed address or launch settings that cannot be used
 */
export function cloudDriver<S extends object>(name: string, cloud: RestCloud<S>, options: CloudOptions<S>): CloudDriver {
  checkName(name);
  const { everyMs = 30_000, parallel = 8 } = options;
  const rest = createRest(name, cloud.url, { ...options, secrets: cloud.secrets, ...(cloud.format && { format: cloud.format }) });
  const ask = withSession(rest, cloud);
  const call = createCall(cloud, ask, rest.scrubber.scrub);
  const once = createOnce();
  /** The instances as last listed. */
  let known: readonly Known[] | null = null;
  let knownSince = Number.NEGATIVE_INFINITY;

  const read = async (caller: Caller, signal: AbortSignal): Promise<Listing> => {
    const asking = { caller, signal, isRepeatable: true };
    const since = performance.now();
    const listing = await readListing(cloud, ask, asking, name, rest.scrubber.scrub);
    known = listing.instances;
    knownSince = since;
    launcher.saw(known);
    return listing;
  };
  const launcher = createLauncher<S>({ name, ...(cloud.launch && { launch: cloud.launch }) }, options, {
    call,
    read: (signal) => read('action', signal),
  });

  const refuse = (subject: string, code: KnownCode, message: string): Problem => ({ subject, code, message });

  async function send(verb: PowerVerb, of: Pick<Known, 'id'>, permit: Permit, signal: AbortSignal, reads: Reads) {
    if (!permit.valid()) return refuse(of.id, 'ER0217', `${verb} ${of.id}: its permit has ended`);
    const asked = cloud.verbs[verb];
    const route = typeof asked === 'function' ? asked(of) : asked;
    const called = await call({ ...route, params: { id: of.id, ...route.params } }, { signal, isRepeatable: verb !== 'reboot' });
    if (called.isAccepted && route.isPrelude) return refuse(of.id, 'ER0227', `${verb} ${of.id}: ${verbOf(route)} comes first`);
    if (called.isAccepted) return null;
    if (called.code !== 'ER0206') return refuse(of.id, called.code, called.message);
    // Refused in this state: which is as well where the state is what was wanted.
    const now = (await reads.after()).instances.find(({ id }) => id === of.id);
    return now && IS_AT_GOAL[verb](now) ? null : refuse(of.id, 'ER0206', called.message);
  }

  const isKnownLately = () => performance.now() - knownSince < everyMs;

  /** Who is meant, and what is known of it. What was seen long ago is no guide: an address may have gone to another since then. */
  async function meant(subject: Subject, verb: PowerVerb, reads: Reads): Promise<Pick<Known, 'id'> | Problem> {
    const text = subjectText(subject);
    const ip = ipOf(name, subject);
    if (ip === null) {
      const id = idOf(name, subject);
      if (id === null) return refuse(text, 'ER0205', `${name} has no instance ${text}`);
      // What else goes with it is told by the list alone.
      if (verb === 'terminate' && typeof cloud.verbs[verb] === 'function' && !isKnownLately()) await reads.before();
      return known?.find((one) => one.id === id) ?? { id };
    }
    const at = (instances: readonly Known[] | null) => instances?.filter((one) => one.ip === ip && isAlive(one)) ?? [];
    let found = isKnownLately() ? at(known) : [];
    if (found.length === 0) {
      const { instances, complete } = await reads.before();
      found = at(instances);
      if (found.length === 0 && !complete) return refuse(text, 'ER0235', `${name} did not list all of its instances`);
    }
    if (found.length > 1) return refuse(text, 'ER0208', `${name} has ${found.length} live instances at ${ip}`);
    return found[0] ?? refuse(text, 'ER0205', `${name} has no live instance at ${ip}`);
  }

  async function performOne({ do: what }: Call, permit: Permit, signal: AbortSignal, reads: Reads) {
    if (what.level !== 'instances') return refuse(what.name, 'ER0229', `${name} has instances, no services`);
    const text = subjectText(what.subject);
    const { verb } = what;
    if (!permit.valid()) return refuse(text, 'ER0217', `${doText(what)}: its permit has ended`);
    if (verb === 'launch') {
      const ip = ipOf(name, what.subject) ?? known?.find(({ id }) => id === idOf(name, what.subject))?.ip ?? null;
      if (ip === null) return refuse(text, 'ER0205', `${name} knows no address of ${text} to launch at`);
      return once(`${permit.token} launch ${ip}`, () => launcher.launch(ip, permit, signal));
    }
    if (!isPowerVerb(verb)) return refuse(text, 'ER0229', `${name} has no way to ${verb} an instance`);
    if (verb === 'reboot' && permit.isRepeated) {
      // No state tells whether it was done, and nobody wants two.
      return refuse(text, 'ER0220', `${doText(what)}: it was perhaps called before, and this would be a second one`);
    }
    return once(`${permit.token} ${verb} ${text}`, async () => {
      const target = await meant(what.subject, verb, reads);
      if ('code' in target) return target;
      const answer = await send(verb, target, permit, signal, reads);
      if (answer?.code !== 'ER0205' || !('ip' in what.subject)) return answer;
      // The address may have another instance by now.
      known = null;
      const other = await meant(what.subject, verb, { ...reads, before: reads.after });
      return 'code' in other ? other : other.id === target.id ? answer : send(verb, other, permit, signal, reads);
    });
  }

  return {
    name,
    everyMs,
    onCall: (listener) => rest.onCall(listener),

    async observe({ now, caller = 'beat' }, signal) {
      signal.throwIfAborted();
      const { instances, complete, problems } = await read(caller, signal).catch((error: unknown) => {
        throw readError(error);
      });
      const items = instances.map(
        ({ id, ip, name: called, power, raw }): InstanceFacts => ({
          cloud: name,
          id,
          ip,
          ...(called !== undefined && { name: called }),
          readAt: now,
          power: { state: power, raw },
        }),
      );
      return { items, readAt: now, complete, problems };
    },

    async perform(calls, signal) {
      signal.throwIfAborted();
      const reads = { before: shared(() => read('action', signal)), after: shared(() => read('action', signal)) };
      return inParallel(calls, parallel, ({ call: one, permit }) =>
        performOne(one, permit, signal, reads).catch((error: unknown) => {
          if (signal.aborted || !isFleetError(error)) throw error;
          const subject = one.do.level === 'instances' ? subjectText(one.do.subject) : one.do.name;
          // Only reads reject, and what failed is a read: the call was not made, or was refused.
          return refuse(subject, isUnsure(error.code) ? 'ER0018' : error.code, error.detail);
        }),
      );
    },
  };
}

/** The reads that the calls of one batch share. */
interface Reads {
  readonly before: () => Promise<Listing>;
  /** Begun after the first of them was refused. */
  readonly after: () => Promise<Listing>;
}

function shared<T>(run: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= run();
    return running;
  };
}

const isUnsure = (code: KnownCode): boolean => code === 'ER0220' || code === 'ER0212';

/** What is lost of a read is no unknown outcome: nothing was to come of it. */
function readError(error: unknown): unknown {
  if (!isFleetError(error) || (error.code !== 'ER0018' && error.code !== 'ER0220')) return error;
  return new FleetError('ER0235', error.detail, { retryable: true, cause: error.cause });
}

/** The id that a key names, where it is one of this cloud's. */
const idOf = (cloud: string, subject: Subject): string | null =>
  'key' in subject && subject.key.startsWith(`instances/${cloud}/`) ? nameOf(subject.key) : null;

/** The address of a subject that has no id yet. */
function ipOf(cloud: string, subject: Subject): Ip | null {
  if ('ip' in subject) return subject.ip;
  const wanted = wantedOf(subject.key);
  return wanted?.cloud === cloud ? wanted.ip : null;
}

function checkName(name: string): void {
  if (isName(name)) return;
  throw new FleetError('ER0230', `the name of a cloud has letters, digits, . _ -, found ${JSON.stringify(name)}`);
}
