import type { Action, Heartbeat, InstanceFacts, Reading, ServiceFacts, Trigger, View } from 'fleetbeat';

/** What a fleet can have seen, by what was brought to it: a model of its inventory that shares no code with it. */
export interface Sight {
  readInstances(source: string, reading: Reading<InstanceFacts>): void;
  readServices(source: string, reading: Reading<ServiceFacts>): void;
  /** A heartbeat that a host pushed has arrived. It counts from now on, or only once it has been `heard`. */
  hear(beat: Heartbeat): void;
  heard(beat: Heartbeat): void;
  blind(source: string): void;
  /** What an earlier life wrote down shows nothing yet, but readings that do not list it do. */
  recall(views: readonly View[]): void;
  /** Whether the trigger of an action may hold in what was seen, and that is fresh. */
  mayHold(action: Pick<Action, 'when' | 'armedAt'>, now: number, freshMs: number): boolean;
  /** Whether it does, in whatever order things were taken in. */
  holds(action: Pick<Action, 'when' | 'armedAt'>, now: number, freshMs: number): boolean;
}

/** One entity, as it was last seen for certain. */
interface Seen {
  ip: string | null;
  source: string;
  readAt: number;
  /** The words that hold, and since which reading. */
  since: Map<string, number>;
}

interface SeenInstance extends Seen {
  wasUp: boolean;
  sshMisses: number;
  /** Complete readings in a row that did not list it, or listed it as terminated. */
  missed: number;
  power: string;
}

type Services = Map<string, Seen>;

/** The policy's `tolerance`. */
const TOLERANCE = 2;

/** The words that hold of what does not come back, however it went. */
const GONE = ['absent', 'terminated', 'known'];

export function createSight(): Sight {
  const instances = new Map<string, SeenInstance>();
  /** The services, where what is pushed counts as soon as it arrives, and where it does only once it has been heard. */
  const early: Services = new Map();
  const late: Services = new Map();
  const blind = new Set<string>();
  /** When each source that was blind could see again. What another one says has held all the while, for all that is known. */
  const seenSince = new Map<string, number>();
  const seqs = new Map<string, number>();
  const arrived = new Set<Heartbeat>();

  function show(seen: Seen, source: string, readAt: number, words: readonly string[]): void {
    seen.since = new Map(words.map((word) => [word, seen.since.get(word) ?? readAt]));
    seen.source = source;
    seen.readAt = readAt;
  }

  function showInstance(seen: SeenInstance, source: string, facts: InstanceFacts, isComplete: boolean): void {
    seen.power = facts.power?.state ?? 'unknown';
    seen.missed = seen.power !== 'terminated' ? 0 : seen.missed + (isComplete ? 1 : 0);
    seen.ip = facts.ip ?? seen.ip;
    const isDoubtful = seen.power === 'running' && facts.ssh !== 'up' && seen.wasUp;
    seen.sshMisses = isDoubtful ? seen.sshMisses + 1 : 0;
    if (isDoubtful && seen.sshMisses < TOLERANCE) return;
    const words = seen.missed >= TOLERANCE ? GONE : wordsOfInstance(facts);
    show(seen, source, facts.readAt, isDoubtful ? ['unreachable'] : words);
    if (seen.power !== 'running') seen.wasUp = false;
    else if (facts.ssh === 'up') seen.wasUp = true;
  }

  const newInstance = (): SeenInstance => ({
    ip: null,
    source: '',
    readAt: 0,
    since: new Map(),
    wasUp: false,
    sshMisses: 0,
    missed: 0,
    power: 'unknown',
  });

  function takeServices(services: Services, source: string, items: readonly ServiceFacts[]): void {
    for (const facts of items) {
      const seen = services.get(facts.name) ?? { ip: facts.ip ?? null, source: '', readAt: 0, since: new Map<string, number>() };
      services.set(facts.name, seen);
      // One source is believed in the order of its heartbeats, whatever became of its clock.
      if (source === seen.source || facts.readAt >= seen.readAt)
        show(seen, source, Math.max(facts.readAt, seen.readAt), wordsOfService(facts));
    }
  }

  function at(ip: string): SeenInstance | undefined {
    const tenants = [...instances.values()].filter(
      (seen) => seen.ip === ip && seen.power !== 'terminated' && seen.missed < TOLERANCE,
    );
    const listed = tenants.filter((seen) => seen.missed === 0);
    const [only, ...others] = listed.length > 0 ? listed : tenants;
    return others.length === 0 ? only : undefined;
  }

  function look(trigger: Extract<Trigger, { on: 'holds' }>, services: Services): Seen | undefined {
    const { level, subject } = trigger;
    if ('ip' in subject) return level === 'instances' ? at(subject.ip) : undefined;
    const wanted = /\/wanted\/(.+)$/.exec(subject.key)?.[1];
    if (wanted !== undefined) return at(wanted);
    return (level === 'instances' ? instances : services).get(subject.key.slice(subject.key.lastIndexOf('/') + 1));
  }

  function isHeld(trigger: Trigger, services: Services, isFresh: (readAt: number) => boolean): boolean {
    switch (trigger.on) {
      case 'now':
        return true;
      case 'holds': {
        const seen = look(trigger, services);
        if (!seen || blind.has(seen.source) || !isFresh(seen.readAt)) return false;
        const since = seen.since.get(trigger.state);
        if (since === undefined) return false;
        if (trigger.forMs === undefined) return true;
        return seen.readAt - Math.max(since, seenSince.get(seen.source) ?? since) >= trigger.forMs;
      }
      case 'all':
        return trigger.of.every((part) => isHeld(part, services, isFresh));
      case 'any':
        return trigger.of.some((part) => isHeld(part, services, isFresh));
      case 'atLeast':
        return trigger.of.filter((part) => isHeld(part, services, isFresh)).length >= trigger.count;
      default:
        return trigger satisfies never;
    }
  }

  /** What is seen where a heartbeat that has arrived is taken in right now, after all that was read meanwhile. */
  function* between(): Generator<Services> {
    const services: Services = new Map([...late].map(([name, seen]) => [name, { ...seen }]));
    for (const beat of arrived) {
      takeServices(services, beat.source, beat.services?.items ?? []);
      yield services;
    }
  }

  const isDue = ({ when, armedAt }: Pick<Action, 'when' | 'armedAt'>, services: Services, now: number, freshMs: number) =>
    isHeld(when, services, (readAt) => readAt >= armedAt || now - readAt <= freshMs);

  return {
    readInstances(source, { items, complete, readAt }) {
      const listed = new Set<string>();
      for (const facts of items) {
        const id = facts.id ?? '';
        listed.add(id);
        const seen = instances.get(id) ?? newInstance();
        instances.set(id, seen);
        showInstance(seen, source, facts, complete);
      }
      for (const [id, seen] of instances) {
        if (!complete || listed.has(id)) continue;
        seen.missed++;
        if (seen.missed >= TOLERANCE) show(seen, source, readAt, GONE);
      }
      if (blind.delete(source)) seenSince.set(source, readAt);
    },
    readServices(source, { items, readAt }) {
      for (const services of [early, late]) takeServices(services, source, items);
      if (blind.delete(source)) seenSince.set(source, readAt);
    },
    hear(beat) {
      const { source, epoch, seq } = beat;
      const last = seqs.get(`${source} ${epoch}`) ?? -1;
      if (seq <= last) return;
      seqs.set(`${source} ${epoch}`, seq);
      arrived.add(beat);
      takeServices(early, source, beat.services?.items ?? []);
    },
    heard(beat) {
      if (arrived.delete(beat)) takeServices(late, beat.source, beat.services?.items ?? []);
    },
    recall(views) {
      for (const { level, name, state, gone } of views)
        if (level === 'instances' && !instances.has(name))
          instances.set(name, { ...newInstance(), power: state, missed: gone ? TOLERANCE : 0 });
    },
    blind(source) {
      blind.add(source);
    },
    mayHold(action, now, freshMs) {
      if (isDue(action, early, now, freshMs) || isDue(action, late, now, freshMs)) return true;
      // One after the other: each is the one before with one heartbeat more.
      for (const services of between()) if (isDue(action, services, now, freshMs)) return true;
      return false;
    },
    holds: (action, now, freshMs) => [early, late].every((services) => isDue(action, services, now, freshMs)),
  };
}

function wordsOfInstance(facts: InstanceFacts): readonly string[] {
  const power = facts.power?.state ?? 'unknown';
  if (power !== 'running') return [power, 'known'];
  if (facts.ssh !== 'up') return ['pending', 'known'];
  const rungs = ['running', 'ssh-up', 'known'];
  if (facts.binaries) rungs.push('bootstrapped');
  if (facts.binaries && facts.agent) rungs.push('managed');
  return rungs;
}

/** The words of a service by its code: those that the simulated services say. */
const WORDS_OF_CODE: ReadonlyMap<string, readonly string[]> = new Map([
  ['000000', ['up', 'running', 'installed', 'known']],
  ['ER0019', ['starting', 'installed', 'known']],
  ['ER0020', ['stopping', 'installed', 'known']],
  ['ER0023', ['stopped', 'installed', 'known']],
  ['ER0024', ['uninstalled', 'known']],
  ['ER0005', ['failing', 'installed', 'known']],
]);

const wordsOfService = ({ code }: ServiceFacts): readonly string[] => WORDS_OF_CODE.get(code) ?? ['unknown'];
