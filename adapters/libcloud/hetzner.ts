import type { KnownCode } from '../../src/domain/codes.ts';
import type { Power } from '../../src/domain/instance.ts';
import type { Secret } from '../http/secret.ts';
import { at, listAt } from './at.ts';
import { bearer } from './bearer.ts';
import type { CloudOptions, RestCloud } from './cloud.ts';
import { type CloudDriver, cloudDriver } from './driver.ts';
import type { Route } from './route.ts';

/** In Hetzner's words, as the body of `POST /v1/servers` has them; whatever else stands there is sent as it is. */
export interface HetznerLaunch {
  readonly server_type: string;
  readonly image: string;
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly [word: string]: unknown;
}

export interface HetznerOptions extends CloudOptions<HetznerLaunch> {
  readonly token: Secret;
  /**
   * The id of the private network whose address is the instance's: one is launched with the wanted address there. Without it, the
   * public address counts, and `launch.byIp` names the primary ip of each: `{ public_net: { ipv4: 42 } }`.
   */
  readonly network?: number;
  /** Only servers that these labels select, such as `role=database`. */
  readonly labels?: string;
  /** Stops and reboots as a power cut does. False unless said: the machine shuts down, if it heeds the button. */
  readonly force?: boolean;
  /** Default `https://api.hetzner.cloud/v1`. */
  readonly url?: string;
}

/** Every status that Hetzner documents. */
type HetznerStatus =
  | 'running'
  | 'initializing'
  | 'starting'
  | 'stopping'
  | 'off'
  | 'deleting'
  | 'migrating'
  | 'rebuilding'
  | 'unknown';

const STATES = {
  running: 'running',
  initializing: 'pending',
  starting: 'pending',
  stopping: 'stopping',
  off: 'stopped',
  deleting: 'shutting-down',
  migrating: 'pending',
  rebuilding: 'pending',
  unknown: 'unknown',
} as const satisfies Record<HetznerStatus, Power>;

const MOST_A_PAGE = 50;
const MARK = 'fleetbeat';

/** Refusals that their status does not tell. */
const CODES: Readonly<Record<string, KnownCode>> = {
  resource_limit_exceeded: 'ER0221',
  ip_not_available: 'ER0208',
  locked: 'ER0206',
  conflict: 'ER0206',
};

/**
 * Hetzner Cloud, API v1. A server is launched with the digest of its token as a label, and is then attached to the private network at
 * the wanted address.
 *
 * @throws FleetError ER0230 for a url, an allowed address, a secret or launch settings that cannot be used
 * @example
 * ```ts
 * hetzner({ token: secret(process.env.HCLOUD_TOKEN), network: 4711, launch: { server_type: 'cx22', image: 'debian-12' } });
 * ```
 */
export const hetzner = (options: HetznerOptions): CloudDriver =>
  cloudDriver(options.name ?? 'hetzner', describe(options), options);

function describe(options: HetznerOptions): RestCloud<HetznerLaunch> {
  const { token, network, labels: only, force = false, url = 'https://api.hetzner.cloud/v1' } = options;
  const act = (action: string): Route => ({ method: 'POST', path: `/servers/{id}/actions/${action}` });
  return {
    url,
    secrets: [token],
    login: bearer(token),
    list: {
      route: {
        method: 'GET',
        path: '/servers',
        query: { per_page: MOST_A_PAGE, ...(only !== undefined && { label_selector: only }) },
      },
      items: (page) => listAt(page, 'servers'),
      next(page) {
        const next = at(page, 'meta', 'pagination', 'next_page');
        return typeof next === 'number' ? { page: next } : null;
      },
    },
    read: (server) => ({
      id: at(server, 'id'),
      ips: addressesOf(server, network),
      state: at(server, 'status'),
      name: at(server, 'name'),
      tags: [at(server, 'labels', MARK)],
    }),
    states: STATES,
    verbs: {
      start: act('poweron'),
      stop: act(force ? 'poweroff' : 'shutdown'),
      reboot: act(force ? 'reset' : 'reboot'),
      terminate: { method: 'DELETE', path: '/servers/{id}' },
    },
    launch: {
      route: ({ name, tag, settings }) => ({
        method: 'POST',
        path: '/servers',
        body: { name, ...settings, labels: { ...settings.labels, [MARK]: tag } },
      }),
      id: (body) => at(body, 'server', 'id'),
      ...(network !== undefined && {
        place: ({ id, ip }: { readonly id: string; readonly ip: string }): Route => ({
          method: 'POST',
          path: '/servers/{id}/actions/attach_to_network',
          params: { id },
          body: { network, ip },
        }),
      }),
    },
    verdict(body) {
      const isOurs = body === undefined || at(body, 'action', 'id') !== undefined || at(body, 'server', 'id') !== undefined;
      return !isOurs ? 'ER0220' : at(body, 'action', 'status') === 'error' ? 'ER0221' : null;
    },
    refusal(_, body) {
      const code = at(body, 'error', 'code');
      return typeof code === 'string' && Object.hasOwn(CODES, code) ? (CODES[code] ?? null) : null;
    },
    message: (body) => at(body, 'error', 'message'),
  };
}

/** With a network, its address alone. The public IPv6 is a whole network, and no address. */
function addressesOf(server: unknown, network: number | undefined): readonly unknown[] {
  if (network === undefined) return [at(server, 'public_net', 'ipv4', 'ip')];
  const attached = (listAt(server, 'private_net') ?? []).find((one) => at(one, 'network') === network);
  return attached === undefined ? [] : [at(attached, 'ip')];
}
