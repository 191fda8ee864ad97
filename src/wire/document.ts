import type { ActionStatus } from '../domain/action.ts';
import type { Code } from '../domain/codes.ts';
import type { InstanceRung } from '../domain/instance.ts';
import type { Role, ServiceRung } from '../domain/service.ts';
import type { EventType, InstanceWord } from './words.ts';

/** The format that we write; every `1.x` is read. */
export const WIRE_VERSION = '1.1';

/** A list entry: an object with one key, the name of its row. */
export type Named<Row> = Readonly<Record<string, Row>>;

/** One instance. `cloud`, `rung`, `raw` and `reason` are ours. */
export interface InstanceRow {
  /** The provider's id; null while an instance is wanted at its ip and has none. */
  readonly id: string | null;
  readonly ip: string | null;
  readonly state: InstanceWord;
  readonly cloud?: string;
  /** The highest rung that holds, of a running instance. */
  readonly rung?: InstanceRung;
  /** The provider's own word. */
  readonly raw?: string;
  /** Why it is in this state; `unreachable: timeout` tells an unreachable instance from one that is pending. */
  readonly reason?: string;
}

/** One service. `rung`, `raw` and `reason` are ours. */
export interface ServiceRow {
  readonly name: string;
  readonly ip: string | null;
  readonly mode: string;
  readonly status: Role;
  /** The text of `code`. */
  readonly state: string;
  readonly code: Code;
  /** The writer's own words for when: kept, never compared. */
  readonly time?: string;
  readonly rung?: ServiceRung;
  readonly raw?: string;
  readonly reason?: string;
}

/** How an answer ended. A cloud that old writers put here is dropped when it is read. */
export interface ReturnBody {
  readonly code?: Code;
  readonly version?: string;
  readonly cloud?: never;
}

/** What was asked: also the `question` of a reply. */
export interface Question {
  readonly level?: string;
  readonly action: string;
  readonly group: string;
  readonly type?: string;
}

/** The host that speaks. `IP` and `STATE` are in capitals here only; `na` is an address that it does not have. */
export interface HostBody {
  readonly interfaces: readonly Readonly<Record<string, { readonly IP: string; readonly STATE?: string }>>[];
  readonly ram?: string;
}

export interface CommandBody {
  readonly level: string;
  readonly command: Question;
  readonly host?: HostBody;
  readonly version?: string;
  readonly cloud?: never;
}

export interface InstancesBody {
  readonly instances: readonly Named<InstanceRow>[];
  readonly return?: ReturnBody;
}

export interface ServicesBody {
  readonly services: readonly Named<ServiceRow>[];
  readonly return?: ReturnBody;
}

/** `source`, `epoch`, `seq`, `at` and `cloud` are ours; read without them it is still understood. */
export interface HeartbeatBody {
  readonly version?: string;
  readonly source?: string;
  readonly epoch?: string;
  readonly seq?: number;
  /** ISO 8601, UTC. */
  readonly at?: string;
  /** The name of the cloud of all instances that do not say their own: a name, never an account. */
  readonly cloud?: string;
  readonly level?: 'instances' | 'services';
  readonly command?: Question;
  readonly host?: HostBody;
  readonly instances_status?: InstancesBody;
  readonly services_status?: ServicesBody;
}

/** A trigger that the seed's `event_…` words cannot say. */
export type WhenBody =
  | { readonly on: 'now' }
  | {
      readonly on: 'holds';
      readonly level: 'instances' | 'services';
      /** An address, or the key of an entity; not called `key`, which does not travel. */
      readonly subject: { readonly ip: string } | { readonly entity: string };
      readonly state: string;
      readonly for_ms?: number;
    }
  | { readonly on: 'all' | 'any'; readonly of: readonly WhenBody[] }
  | { readonly on: 'atLeast'; readonly count: number; readonly of: readonly WhenBody[] };

/** One action. The first six fields are the seed's; the others are ours, the last five only where the six cannot say it. */
export interface ActionRow {
  /** The address of the awaited entity, or `na`. */
  readonly event_ip: string;
  readonly event_type: EventType;
  /** A chart's word or a code's text; `na` where nothing is awaited. */
  readonly event_state: string;
  readonly do_level: 'instances' | 'services';
  readonly do_group: string;
  readonly do_action: string;
  readonly id?: string;
  /** ISO 8601, UTC. */
  readonly expires_at?: string | null;
  /** Failed tries so far. */
  readonly attempts?: number;
  readonly status?: ActionStatus;
  /** What holds it back, for a person. */
  readonly held?: string;
  /** The whole trigger. */
  readonly when?: WhenBody;
  /** The lane, where it is not that of `do_level` and `do_group`. */
  readonly lane?: string;
  /** The address to bootstrap, where it is not `event_ip`. */
  readonly do_ip?: string;
  /** The rung to bootstrap up to, where `do_action` has no word for it. */
  readonly up_to?: InstanceRung;
  /** The cloud of an instance that `do_group` names by its id. */
  readonly cloud?: string;
}

export interface ActionsBody {
  readonly actions: readonly ActionRow[];
  readonly return?: ReturnBody;
}

export interface EventRow {
  readonly type: 'instances' | 'services';
  readonly name: string;
  /** Empty where there is none. */
  readonly ip: string;
  readonly state: string;
  readonly previous_state: string | null;
  readonly code: Code;
  readonly previous_code: Code | null;
}

export interface EventsBody {
  readonly events: readonly EventRow[];
}

/** A service in a reply: what became of it, and what else is known of it. */
export type ReplyServiceRow = Pick<ServiceRow, 'name' | 'state' | 'code'> & Partial<ServiceRow>;

/** An instance in a reply: what became of it, and what else is known of it. */
export type ReplyInstanceRow = Pick<InstanceRow, 'id' | 'ip'> & Partial<InstanceRow> & { readonly code?: Code };

/** One thing that was done or said on the way to a reply. */
export interface ConsoleRow {
  readonly command: string;
  readonly return: Code;
  readonly result: string;
  readonly ip?: string;
  readonly time?: string;
}

export interface ReplyBody {
  readonly return: ReturnBody & { readonly code: Code };
  readonly version?: string;
  readonly question: Question;
  readonly instances?: readonly Named<ReplyInstanceRow>[];
  readonly services?: readonly Named<ReplyServiceRow>[];
  readonly config?: readonly unknown[];
  readonly console?: readonly ConsoleRow[];
}

/** The body of each kind of document, word for word as on the wire. */
export interface Bodies {
  readonly command: CommandBody;
  readonly heartbeat: HeartbeatBody;
  readonly actions: ActionsBody;
  readonly events: EventsBody;
  readonly reply: ReplyBody;
  readonly instances: InstancesBody;
  readonly services: ServicesBody;
}

export type Kind = keyof Bodies;

/** A document of one kind. Fields that we do not know are kept in `body`, and written again. */
export type DocumentOf<K extends Kind> = { [Each in K]: { readonly kind: Each; readonly body: Bodies[Each] } }[K];

export type WireDocument = DocumentOf<Kind>;
export type CommandDocument = DocumentOf<'command'>;
export type HeartbeatDocument = DocumentOf<'heartbeat'>;
export type ActionsDocument = DocumentOf<'actions'>;
export type EventsDocument = DocumentOf<'events'>;
export type ReplyDocument = DocumentOf<'reply'>;
export type InstancesDocument = DocumentOf<'instances'>;
export type ServicesDocument = DocumentOf<'services'>;
