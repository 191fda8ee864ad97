import * as v from 'valibot';
import { CODE_TEXTS, type Code, OK, textOf } from '../domain/codes.ts';
import { isName, parseIp } from '../domain/identity.ts';
import { INSTANCE_RUNGS } from '../domain/instance.ts';
import { ROLES, SERVICE_RUNGS } from '../domain/service.ts';
import { agreeing, type Disagreement, namedList } from './agreement.ts';
import type { ActionRow, Bodies, EventRow, InstanceRow, Kind, ServiceRow, WhenBody } from './document.ts';
import * as field from './fields.ts';
import { ACTION_STATUSES, EVENT_TYPES, eventStatesAllowed, INSTANCE_WORDS, isEventState, LEVELS, NONE } from './words.ts';

const { fields, list, looseFields, word } = field;
const optional = v.exactOptional;

const question = fields({
  level: optional(field.name),
  action: field.name,
  group: field.providerId,
  type: optional(field.name),
});

/** Only as a type: {@link guard} has dropped every cloud that is more than a name. */
const noCloud = optional(v.never('no cloud here'));

const returned = fields({ code: optional(field.code), version: optional(field.anyText), cloud: noCloud });

const host = fields({
  interfaces: list(v.pipe(field.object, v.record(v.string(), fields({ IP: field.noIp(NONE), STATE: optional(field.anyText) })))),
  ram: optional(field.anyText),
});

const instanceFields = {
  id: v.nullable(field.providerId),
  ip: v.nullable(field.ip),
  state: word(INSTANCE_WORDS),
  cloud: optional(field.name),
  rung: optional(word(INSTANCE_RUNGS)),
  raw: optional(field.anyText),
  reason: optional(field.anyText),
};

const serviceFields = {
  name: field.name,
  ip: v.nullable(field.ip),
  mode: field.name,
  status: word(ROLES),
  state: field.anyText,
  code: field.code,
  time: optional(field.anyText),
  rung: optional(word(SERVICE_RUNGS)),
  raw: optional(field.anyText),
  reason: optional(field.anyText),
};

const replyServiceFields = {
  ...serviceFields,
  ip: optional(serviceFields.ip),
  mode: optional(serviceFields.mode),
  status: optional(serviceFields.status),
};

/** The state of a known code is its text; a code that we do not know comes with a text of its own. */
function stateOf(at: string, state: string | null, code: Code | null): Disagreement | null {
  if (code === null || state === null || !Object.hasOwn(CODE_TEXTS, code) || state === textOf(code)) return null;
  return { at, found: state, allowed: `"${textOf(code)}", the text of ${code}` };
}

function serviceDisagreement({ state, code, rung }: Pick<ServiceRow, 'state' | 'code' | 'rung'>): Disagreement | null {
  if (rung !== undefined && rung !== 'installed' && code !== OK) {
    return { at: 'rung', found: rung, allowed: `no rung above installed with the code ${code}` };
  }
  return stateOf('state', state, code);
}

function instanceDisagreement({ rung, state }: Partial<InstanceRow>): Disagreement | null {
  return rung === undefined || state === 'running'
    ? null
    : { at: 'rung', found: rung, allowed: 'a rung of a running instance only' };
}

/** An instance without an id is wanted at its ip, and stands under it. */
const instanceKeyOf = (row: Pick<InstanceRow, 'id' | 'ip'>): string | null => row.id ?? row.ip;

const instances = namedList<InstanceRow>(
  agreeing(fields(instanceFields), instanceDisagreement),
  instanceKeyOf,
  (row) => `${row.cloud ?? ''}/${instanceKeyOf(row)}`,
);
const services = namedList<ServiceRow>(agreeing(fields(serviceFields), serviceDisagreement), (row) => row.name);

const instancesBody = fields({ instances, return: optional(returned) });
const servicesBody = fields({ services, return: optional(returned) });

const heartbeat = agreeing(
  fields({
    version: optional(field.version),
    source: optional(field.nameOrIp),
    epoch: optional(field.name),
    seq: optional(field.count),
    at: optional(field.instant),
    cloud: optional(field.name),
    level: optional(word(LEVELS)),
    command: optional(question),
    host: optional(host),
    instances_status: optional(instancesBody),
    services_status: optional(servicesBody),
  }),
  ({ epoch, seq }) =>
    (epoch === undefined) === (seq === undefined)
      ? null
      : { at: 'seq', found: seq, allowed: 'epoch and seq together, or neither' },
);

const command = fields({
  level: field.name,
  command: question,
  host: optional(host),
  version: optional(field.version),
  cloud: noCloud,
});

const when: v.GenericSchema<unknown, WhenBody> = v.lazy(() =>
  v.variant(
    'on',
    [
      looseFields({ on: v.literal('now') }),
      looseFields({
        on: v.literal('holds'),
        level: word(LEVELS),
        subject: v.union([fields({ ip: field.ip }), fields({ entity: field.entityKey })], '{"ip": …} or {"entity": …}'),
        state: field.anyText,
        for_ms: optional(field.count),
      }),
      looseFields({ on: v.picklist(['all', 'any']), of: list(when) }),
      looseFields({ on: v.literal('atLeast'), count: field.count, of: list(when) }),
    ],
    'a trigger: on is now, holds, all, any or atLeast',
  ),
);

function actionDisagreement(row: ActionRow): Disagreement | null {
  if (!isEventState(row.event_type, row.event_state)) {
    return { at: 'event_state', found: row.event_state, allowed: eventStatesAllowed(row.event_type) };
  }
  if (row.do_level === 'services' && !isName(row.do_group) && parseIp(row.do_group) === null) {
    return { at: 'do_group', found: row.do_group, allowed: 'a name or an ip' };
  }
  return null;
}

const action: v.GenericSchema<unknown, ActionRow> = agreeing(
  fields({
    event_ip: field.noIp(NONE),
    event_type: word(EVENT_TYPES),
    event_state: field.anyText,
    do_level: word(LEVELS),
    do_group: field.providerId,
    do_action: field.name,
    id: optional(field.providerId),
    expires_at: optional(v.nullable(field.instant)),
    attempts: optional(field.count),
    status: optional(word(ACTION_STATUSES)),
    held: optional(field.anyText),
    when: optional(when),
    lane: optional(field.entityKey),
    do_ip: optional(field.ip),
    up_to: optional(word(INSTANCE_RUNGS)),
    cloud: optional(field.name),
  }),
  actionDisagreement,
);

function eventDisagreement(row: EventRow): Disagreement | null {
  if (row.type === 'services') {
    if (!isName(row.name)) return { at: 'name', found: row.name, allowed: 'the name of a service' };
    return stateOf('state', row.state, row.code) ?? stateOf('previous_state', row.previous_state, row.previous_code);
  }
  const words: readonly (string | null)[] = INSTANCE_WORDS;
  const at = (['state', 'previous_state'] as const).find((one) => row[one] !== null && !words.includes(row[one]));
  return at === undefined ? null : { at, found: row[at], allowed: INSTANCE_WORDS.join(', ') };
}

const event: v.GenericSchema<unknown, EventRow> = agreeing(
  fields({
    type: word(LEVELS),
    name: field.providerId,
    ip: field.noIp(''),
    state: field.anyText,
    previous_state: v.nullable(field.anyText),
    code: field.code,
    previous_code: v.nullable(field.code),
  }),
  eventDisagreement,
);

const reply = fields({
  return: fields({ code: field.code, version: optional(field.anyText), cloud: noCloud }),
  version: optional(field.version),
  question,
  instances: optional(
    namedList(
      fields({ ...instanceFields, state: optional(instanceFields.state), code: optional(field.code) }),
      instanceKeyOf,
      (row) => `${row.cloud ?? ''}/${instanceKeyOf(row)}`,
    ),
  ),
  services: optional(namedList(agreeing(fields(replyServiceFields), serviceDisagreement), (row) => row.name)),
  config: optional(list(v.unknown())),
  console: optional(
    list(
      fields({
        command: field.anyText,
        return: field.code,
        result: field.anyText,
        ip: optional(field.ip),
        time: optional(field.anyText),
      }),
    ),
  ),
});

/** The shape of the body of every kind of document. */
export const SHAPES: { readonly [K in Kind]: v.GenericSchema<unknown, Bodies[K]> } = {
  command,
  heartbeat,
  actions: fields({ actions: list(action), return: optional(returned) }),
  events: fields({ events: list(event) }),
  reply,
  instances: instancesBody,
  services: servicesBody,
};
