import type { Subject } from '../domain/command.ts';
import { asEntityKey, type Ip, parseIp, serviceKey } from '../domain/identity.ts';
import type { Service } from '../domain/service.ts';
import { NOW, subjectsOf, type Trigger } from '../domain/trigger.ts';
import type { ActionRow, WhenBody } from './document.ts';
import { malformed, type Path, pathText, refusal, shown } from './refusal.ts';
import { type EventType, eventStatesAllowed, isEventState, NONE } from './words.ts';

/** What a row of actions says about when it is due. */
type Awaited = Pick<ActionRow, 'event_ip' | 'event_type' | 'event_state' | 'when'>;

/** A configured service, as far as actions need to know it. */
export type KnownService = Pick<Service, 'name' | 'ip' | 'cluster'>;

/** A trigger in the seed's three words, with the whole of it beside them where those cannot say it. */
export function awaited(trigger: Trigger): Awaited {
  if (trigger.on === 'now') return { event_ip: NONE, event_type: 'cloud', event_state: NONE };
  if (trigger.on === 'holds' && 'ip' in trigger.subject && trigger.forMs === undefined) {
    return { event_ip: trigger.subject.ip, event_type: trigger.level, event_state: trigger.state };
  }
  const [first] = subjectsOf(trigger);
  const ip = first && 'ip' in first.subject ? first.subject.ip : NONE;
  return { event_ip: ip, event_type: first?.level ?? 'cloud', event_state: firstWord(trigger) ?? NONE, when: whenBody(trigger) };
}

function firstWord(trigger: Trigger): string | undefined {
  if (trigger.on === 'now') return undefined;
  if (trigger.on === 'holds') return trigger.state;
  return trigger.of.map(firstWord).find((word) => word !== undefined);
}

function whenBody(trigger: Trigger): WhenBody {
  switch (trigger.on) {
    case 'now':
      return { on: 'now' };
    case 'holds': {
      const { on, level, state, forMs } = trigger;
      const subject = 'ip' in trigger.subject ? trigger.subject : { entity: trigger.subject.key };
      return { on, level, subject, state, ...(forMs !== undefined && { for_ms: forMs }) };
    }
    case 'all':
    case 'any':
      return { on: trigger.on, of: trigger.of.map(whenBody) };
    case 'atLeast':
      return { on: 'atLeast', count: trigger.count, of: trigger.of.map(whenBody) };
    default:
      return trigger satisfies never;
  }
}

/**
 * When a row is due.
 *
 * @param at where the row stands in its document
 * @param target the service that it is about, if it is about one
 * @param services those that are configured, where they are known
 */
export function triggerOf(row: Awaited, at: Path, target: string | null, services: readonly KnownService[] | undefined): Trigger {
  if (row.when !== undefined) return fromWhen(row.when, [...at, 'when']);
  if (row.event_type === 'cloud' || row.event_ip === NONE) return NOW;
  const state = checkedWord(row.event_type, row.event_state, [...at, 'event_state']);
  const ip = checkedIp(row.event_ip, [...at, 'event_ip']);
  const holds = (subject: Subject): Trigger => ({
    on: 'holds',
    level: row.event_type === 'services' ? 'services' : 'instances',
    subject,
    state,
  });
  if (row.event_type === 'instances' || services === undefined) return holds({ ip });
  const [first, ...others] = servicesAwaited(services, ip, target);
  if (first === undefined) {
    const allowed = 'the ip of a configured service';
    throw refusal('ER0205', { what: 'actions', where: pathText([...at, 'event_ip']), found: shown(ip), allowed });
  }
  const trigger = holds({ key: serviceKey(first.name) });
  return others.length === 0
    ? trigger
    : { on: 'any', of: [trigger, ...others.map(({ name }) => holds({ key: serviceKey(name) }))] };
}

/** The target itself where it is at this ip, else whatever is. */
function servicesAwaited(services: readonly KnownService[], ip: Ip, target: string | null): readonly KnownService[] {
  const there = services.filter((service) => service.ip === ip);
  const itself = there.filter((service) => service.name === target);
  return itself.length > 0 ? itself : there;
}

function fromWhen(when: WhenBody, at: Path): Trigger {
  switch (when.on) {
    case 'now':
      return NOW;
    case 'holds': {
      const { on, level, for_ms } = when;
      const state = checkedWord(level, when.state, [...at, 'state']);
      const subject: Subject =
        'ip' in when.subject
          ? { ip: checkedIp(when.subject.ip, [...at, 'subject', 'ip']) }
          : { key: asEntityKey(when.subject.entity) };
      return { on, level, subject, state, ...(for_ms !== undefined && { forMs: for_ms }) };
    }
    case 'all':
    case 'any':
      return { on: when.on, of: fromParts(when.of, at) };
    case 'atLeast':
      return { on: 'atLeast', count: when.count, of: fromParts(when.of, at) };
    default:
      return when satisfies never;
  }
}

const fromParts = (parts: readonly WhenBody[], at: Path): readonly Trigger[] =>
  parts.map((part, index) => fromWhen(part, [...at, 'of', index]));

function checkedWord(type: EventType, state: string, at: Path): string {
  if (isEventState(type, state)) return state;
  throw malformed({ what: 'actions', where: pathText(at), found: shown(state), allowed: eventStatesAllowed(type) });
}

export function checkedIp(text: string, at: Path): Ip {
  const ip = parseIp(text);
  if (ip !== null) return ip;
  throw malformed({ what: 'actions', where: pathText(at), found: shown(text), allowed: 'an IPv4 or IPv6 address' });
}
