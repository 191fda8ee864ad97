type Brand<T, B extends string> = T & { readonly [K in B]: true };

/** Milliseconds on the fleet's clock. A source's own time is never an Instant. */
export type Instant = Brand<number, 'instantMs'>;
/** An IPv4 or IPv6 address in canonical text. */
export type Ip = Brand<string, 'ip'>;
/** Idempotency token of one arming of an action; every effect receives it. */
export type Token = Brand<string, 'token'>;
export type ActionId = Brand<string, 'actionId'>;
/** `instances/<cloud>/<id>`, `instances/<cloud>/wanted/<ip>` before an id exists, `services/<name>` or `clusters/<name>`. */
export type EntityKey = Brand<string, 'entityKey'>;

export type Level = 'instances' | 'services';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
/** Printable ASCII without blanks, quotes or backslash. */
const PROVIDER_ID = /^[!#-&(-[\]-_a-~]{1,255}$/;
/** Names that mean something to JavaScript objects; a stranger may choose names. */
const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype']);

export const isForbiddenName = (text: string): boolean => FORBIDDEN.has(text);

/** Whether `text` may name a service, cluster, cloud or host: `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`. */
export const isName = (text: string): boolean => NAME.test(text) && !FORBIDDEN.has(text);

/** Whether `text` may be a provider's id: printable ASCII, no blanks, quotes or backslash, at most 255 characters. */
export const isProviderId = (text: string): boolean => PROVIDER_ID.test(text) && !FORBIDDEN.has(text);

export const asInstant = (ms: number): Instant => ms as Instant;
export const asToken = (text: string): Token => text as Token;
export const asActionId = (text: string): ActionId => text as ActionId;
export const asEntityKey = (text: string): EntityKey => text as EntityKey;

/**
 * Reads an address.
 * @returns the canonical text, or null where `text` is no plain IPv4 or IPv6 address (no port, zone, octal or short form).
 */
export function parseIp(text: string): Ip | null {
  const isV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/.test(text);
  if (!isV4 && !/^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/.test(text)) return null;
  if (!URL.canParse(isV4 ? `http://${text}` : `http://[${text}]`)) return null;
  const { hostname } = new URL(isV4 ? `http://${text}` : `http://[${text}]`);
  if (isV4) return hostname === text ? (text as Ip) : null;
  return hostname.slice(1, -1) as Ip;
}

/** Joined, since of a template's text V8 would keep the parts too, for every instance there is. */
export const instanceKey = (cloud: string, id: string): EntityKey => ['instances', cloud, id].join('/') as EntityKey;
export const wantedKey = (cloud: string, ip: Ip): EntityKey => `instances/${cloud}/wanted/${ip}` as EntityKey;
export const serviceKey = (name: string): EntityKey => `services/${name}` as EntityKey;
export const clusterKey = (name: string): EntityKey => `clusters/${name}` as EntityKey;

export function levelOf(key: EntityKey): Level | 'clusters' {
  if (key.startsWith('services/')) return 'services';
  return key.startsWith('clusters/') ? 'clusters' : 'instances';
}

const WANTED = /^instances\/([^/]+)\/wanted\/(.+)$/;

/** The cloud and ip of a key made before its instance has an id; null for any other key. */
export function wantedOf(key: EntityKey): { readonly cloud: string; readonly ip: Ip } | null {
  // Most keys are of what is there already, and need no closer look.
  const match = key.includes('/wanted/') ? WANTED.exec(key) : null;
  return match?.[1] !== undefined && match[2] !== undefined ? { cloud: match[1], ip: match[2] as Ip } : null;
}

/** The last part of a key: a provider's id, an ip that is wanted, or a service's name. */
export function nameOf(key: EntityKey): string {
  const wanted = wantedOf(key);
  if (wanted) return wanted.ip;
  const start = key.indexOf('/') + 1;
  return levelOf(key) === 'instances' ? key.slice(key.indexOf('/', start) + 1) : key.slice(start);
}
