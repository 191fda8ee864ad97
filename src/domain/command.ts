import type { Heartbeat } from './heartbeat.ts';
import type { EntityKey, Ip, Level } from './identity.ts';
import type { InstanceRung, InstanceVerb } from './instance.ts';
import type { ClusterVerb, ServiceVerb } from './service.ts';

/** What a person or a program asks for. */
export interface Command {
  readonly level: Level | 'config';
  readonly action: string;
  /** A name, an ip, a cluster, `local`, `all`. */
  readonly group: string;
  /** A mode, a section, a driver, `all` (the default). */
  readonly type?: string;
  /** Who asks: its ips are what `local` and `world` mean. */
  readonly host?: Heartbeat['host'];
  /** Sets two otherwise equal commands apart. */
  readonly key?: string;
}

/** An instance by its address (the trigger follows the ip, never the machine) or an entity by its key. */
export type Subject = { readonly ip: Ip } | { readonly key: EntityKey };

/** One verb for one entity. */
export type Do = (
  | { readonly level: 'instances'; readonly subject: Subject; readonly verb: InstanceVerb; readonly upTo?: InstanceRung }
  | { readonly level: 'services'; readonly name: string; readonly verb: ServiceVerb | ClusterVerb }
) & {
  /** Call it even where its goal is seen already: something that it contradicts was begun, and may show only later. */
  readonly evenIfHeld?: true;
};

export const subjectText = (subject: Subject): string => ('ip' in subject ? subject.ip : subject.key);

/** A verb and its target as one line: `instances bootstrap 10.0.0.102 managed`. */
export const doText = (what: Do): string =>
  what.level === 'services'
    ? `services ${what.verb} ${what.name}`
    : `instances ${what.verb} ${subjectText(what.subject)}${what.upTo ? ` ${what.upTo}` : ''}`;

/** Actions of the instances level, by what the fleet does with them. */
export const INSTANCE_ACTIONS = {
  status: 'query',
  heartbeat: 'query',
  actions: 'query',
  actions_init: 'queue',
  launch: 'verb',
  start: 'verb',
  stop: 'verb',
  reboot: 'verb',
  terminate: 'verb',
  bootstrap_binaries: 'verb',
  bootstrap_ncc: 'verb',
  world: 'verb',
  plan: 'query',
  retry: 'queue',
  discard: 'queue',
} as const satisfies Record<string, 'query' | 'queue' | 'verb'>;

/** Actions of the services level, by what the fleet does with them. */
export const SERVICE_ACTIONS = {
  status: 'query',
  install: 'verb',
  remove: 'verb',
  start: 'verb',
  stop: 'verb',
  restart: 'verb',
  sync: 'verb',
  join: 'verb',
  switch: 'verb',
  failover: 'verb',
  rolling_restart: 'verb',
  bootstrap_config: 'verb',
  bootstrap_binaries: 'verb',
  bootstrap_ncc: 'verb',
  ping: 'observe',
  plan: 'query',
} as const satisfies Record<string, 'query' | 'observe' | 'verb'>;

export type InstanceAction = keyof typeof INSTANCE_ACTIONS;
export type ServiceAction = keyof typeof SERVICE_ACTIONS;
