import type { KnownCode } from '../../src/domain/codes.ts';
import type { Power } from '../../src/domain/instance.ts';
import type { Secret } from '../http/secret.ts';
import { at, listAt, textAt } from './at.ts';
import { bearer } from './bearer.ts';
import type { CloudOptions, Listed, RestCloud } from './cloud.ts';
import { type CloudDriver, cloudDriver } from './driver.ts';
import { pagesOf } from './pages.ts';
import type { Asking } from './rest.ts';
import { type Query, queryOf, type Route } from './route.ts';
import type { Ask } from './session.ts';

/** In DigitalOcean's words, as the body of `POST /v2/droplets` has them; whatever else stands there is sent as it is. */
export interface DigitaloceanLaunch {
  readonly region: string;
  readonly size: string;
  readonly image: string | number;
  readonly name?: string;
  readonly tags?: readonly string[];
  readonly [word: string]: unknown;
}

export interface DigitaloceanOptions extends CloudOptions<DigitaloceanLaunch> {
  readonly token: Secret;
  /** Which of a droplet's addresses is the instance's. Only with `reserved` can one be launched: no other can be chosen. Default `private`. */
  readonly address?: 'private' | 'public' | 'reserved';
  /** Only droplets with this tag. */
  readonly tag?: string;
  /** Stops and reboots as a power cut does. False unless said: the machine shuts down, if it heeds the button. */
  readonly force?: boolean;
  /** Default `https://api.digitalocean.com/v2`. */
  readonly url?: string;
}

/** Every status that DigitalOcean documents. */
type DropletStatus = 'new' | 'active' | 'off' | 'archive';

const STATES = {
  new: 'pending',
  active: 'running',
  off: 'stopped',
  archive: 'terminated',
} as const satisfies Record<DropletStatus, Power>;

const MOST_A_PAGE = 200;

const nextOf = (page: unknown): Query | null => queryOf(at(page, 'links', 'pages', 'next'));

const RESERVED: RestCloud['list'] = {
  route: { method: 'GET', path: '/reserved_ips', query: { per_page: MOST_A_PAGE } },
  items: (page) => listAt(page, 'reserved_ips'),
  next: nextOf,
};

/**
 * DigitalOcean, API v2. A droplet is launched at a reserved ip of the account, and carries the digest of its token as a tag.
 *
 * @throws FleetError ER0230 for a url, an allowed address, a secret or launch settings that cannot be used
 * @example
 * ```ts
 * digitalocean({ token: secret(process.env.DIGITALOCEAN_TOKEN), tag: 'databases' });
 * ```
 */
export const digitalocean = (options: DigitaloceanOptions): CloudDriver =>
  cloudDriver(options.name ?? 'digitalocean', describe(options), options);

function describe(options: DigitaloceanOptions): RestCloud<DigitaloceanLaunch> {
  const { token, address = 'private', tag: only, force = false, url = 'https://api.digitalocean.com/v2' } = options;
  const act = (type: string): Route => ({ method: 'POST', path: '/droplets/{id}/actions', body: { type } });
  return {
    url,
    secrets: [token],
    login: bearer(token),
    list: {
      route: {
        method: 'GET',
        path: '/droplets',
        query: { per_page: MOST_A_PAGE, ...(only !== undefined && { tag_name: only }) },
      },
      items: (page) => listAt(page, 'droplets'),
      next: nextOf,
    },
    read: (droplet) => ({
      id: at(droplet, 'id'),
      ips: addressesOf(droplet, address),
      state: at(droplet, 'status'),
      name: at(droplet, 'name'),
      tags: listAt(droplet, 'tags') ?? [],
    }),
    ...(address === 'reserved' && { complete: withReserved }),
    states: STATES,
    verbs: {
      start: act('power_on'),
      stop: act(force ? 'power_off' : 'shutdown'),
      reboot: act(force ? 'power_cycle' : 'reboot'),
      terminate: { method: 'DELETE', path: '/droplets/{id}' },
    },
    ...(address === 'reserved' && {
      launch: {
        route: ({ name, tag, settings }) => ({
          method: 'POST',
          path: '/droplets',
          body: { name, ...settings, tags: [...(settings.tags ?? []), ...(only === undefined ? [] : [only]), tag] },
        }),
        id: (body) => at(body, 'droplet', 'id'),
        place: ({ id, ip }) => ({
          method: 'POST',
          path: '/reserved_ips/{ip}/actions',
          params: { ip },
          body: { type: 'assign', droplet_id: Number(id) },
        }),
      },
    }),
    verdict(body) {
      const isOurs = body === undefined || at(body, 'action', 'id') !== undefined || at(body, 'droplet', 'id') !== undefined;
      return !isOurs ? 'ER0220' : at(body, 'action', 'status') === 'errored' ? 'ER0221' : null;
    },
    refusal: refusalOf,
    message: (body) => at(body, 'message'),
  };
}

/** One status for all that cannot be processed: also what is busy, or is so already. */
const refusalOf = (status: number, body: unknown): KnownCode | null =>
  status === 422 && /already|pending|event|in progress/i.test(textAt(body, 'message') ?? '') ? 'ER0206' : null;

function addressesOf(droplet: unknown, address: 'private' | 'public' | 'reserved'): readonly unknown[] {
  const networks = [...(listAt(droplet, 'networks', 'v4') ?? []), ...(listAt(droplet, 'networks', 'v6') ?? [])];
  if (address === 'reserved') return [];
  // Where there is no private network, the public address is the only one.
  const ranked = networks.toSorted((a, b) => Number(at(b, 'type') === address) - Number(at(a, 'type') === address));
  return ranked.map((one) => at(one, 'ip_address'));
}

/** The list of droplets does not say which reserved ip is whose. */
async function withReserved(items: readonly Listed[], ask: Ask, asking: Asking): Promise<readonly Listed[]> {
  const ipOf = new Map<unknown, unknown>();
  const asWritten = (text: string) => text;
  for await (const page of pagesOf(RESERVED, 'reserved ips', {}, ask, asking, asWritten))
    for (const one of page) ipOf.set(at(one, 'droplet', 'id'), at(one, 'ip'));
  return items.map((item) => (ipOf.has(item.id) ? { ...item, ips: [ipOf.get(item.id)] } : item));
}
