import type { InstanceFacts, Instant, Ip, Reading } from 'fleetbeat';

/**
 * What a careful engineer writes instead of a library, for one cloud: instances by id, states from facts, misses counted before
 * anything is believed lost, an index by ip, and a list of what changed, with before and after. No charts, no other sources,
 * no turns given to the event loop.
 */
export interface HandLoop {
  take(reading: Reading<InstanceFacts>): readonly Difference[];
  at(ip: Ip): Sight | undefined;
}

type State = 'pending' | 'stopping' | 'stopped' | 'shutting-down' | 'terminated' | 'unknown' | 'unreachable' | 'running' | 'gone';

interface Sight {
  readonly id: string;
  readonly ip: Ip | null;
  readonly state: State;
  readonly bootId: string | null;
  readonly since: Instant;
}

export interface Difference {
  readonly kind: 'appeared' | 'changed' | 'vanished';
  readonly from: Sight | null;
  readonly to: Sight;
}

interface Entry {
  facts: InstanceFacts;
  sight: Sight;
  /** The last reading that listed it. */
  reading: number;
  readAt: Instant;
  missed: number;
  sshMisses: number;
  wasUp: boolean;
}

export function createHandLoop(tolerance = 2): HandLoop {
  const byId = new Map<string, Entry>();
  const byIp = new Map<Ip, Entry>();
  let readings = 0;

  function take(reading: Reading<InstanceFacts>): readonly Difference[] {
    const differences: Difference[] = [];
    const number = ++readings;
    let listed = 0;
    for (const facts of reading.items) {
      const id = facts.id ?? '';
      const entry = byId.get(id);
      if (entry === undefined) {
        differences.push(meet(id, facts, number));
        listed++;
        continue;
      }
      if (entry.reading !== number) listed++;
      entry.reading = number;
      entry.readAt = facts.readAt;
      entry.missed = 0;
      if (entry.sshMisses === 0 && entry.sight.state !== 'gone' && isSame(entry.facts, facts)) continue;
      entry.facts = facts;
      const difference = look(entry, facts);
      if (difference) differences.push(difference);
    }
    if (reading.complete && listed < byId.size)
      for (const entry of byId.values()) {
        if (entry.reading === number) continue;
        const difference = miss(entry, reading.readAt);
        if (difference) differences.push(difference);
      }
    return differences;
  }

  function meet(id: string, facts: InstanceFacts, reading: number): Difference {
    const wasUp = facts.ssh === 'up';
    const sight: Sight = {
      id,
      ip: facts.ip,
      state: stateOf(facts, wasUp, 0, 'unknown', tolerance),
      bootId: facts.bootId ?? null,
      since: facts.readAt,
    };
    const entry: Entry = { facts, sight, reading, readAt: facts.readAt, missed: 0, sshMisses: 0, wasUp };
    byId.set(id, entry);
    if (facts.ip !== null) byIp.set(facts.ip, entry);
    return { kind: 'appeared', from: null, to: sight };
  }

  function look(entry: Entry, facts: InstanceFacts): Difference | null {
    const from = entry.sight;
    const power = facts.power?.state ?? 'unknown';
    entry.sshMisses = power === 'running' && facts.ssh !== 'up' ? entry.sshMisses + 1 : 0;
    const state = stateOf(facts, entry.wasUp, entry.sshMisses, from.state, tolerance);
    if (facts.ssh === 'up') entry.wasUp = true;
    else if (power !== 'running') entry.wasUp = false;
    const ip = facts.ip ?? from.ip;
    const bootId = facts.bootId ?? from.bootId;
    if (state === from.state && ip === from.ip && bootId === from.bootId) return null;
    if (ip !== from.ip) move(entry, from.ip, ip);
    const to: Sight = { id: from.id, ip, state, bootId, since: state === from.state ? from.since : facts.readAt };
    entry.sight = to;
    return { kind: 'changed', from, to };
  }

  function move(entry: Entry, from: Ip | null, to: Ip | null): void {
    if (from !== null && byIp.get(from) === entry) byIp.delete(from);
    if (to !== null) byIp.set(to, entry);
  }

  function miss(entry: Entry, readAt: Instant): Difference | null {
    const from = entry.sight;
    if (from.state === 'gone' || ++entry.missed < tolerance) return null;
    move(entry, from.ip, null);
    const to: Sight = { id: from.id, ip: null, state: 'gone', bootId: null, since: readAt };
    entry.sight = to;
    return { kind: 'vanished', from, to };
  }

  return { take, at: (ip) => byIp.get(ip)?.sight };
}

const isSame = (a: InstanceFacts, b: InstanceFacts): boolean =>
  a.ip === b.ip &&
  a.power?.state === b.power?.state &&
  a.ssh === b.ssh &&
  a.binaries === b.binaries &&
  a.agent === b.agent &&
  a.bootId === b.bootId;

/** Running means that ssh answers; an instance that was up is unreachable only after some misses. */
function stateOf(facts: InstanceFacts, wasUp: boolean, misses: number, before: State, tolerance: number): State {
  const power = facts.power?.state ?? 'unknown';
  if (power !== 'running') return power;
  if (facts.ssh === 'up') return 'running';
  if (!wasUp) return 'pending';
  return misses >= tolerance ? 'unreachable' : before;
}
