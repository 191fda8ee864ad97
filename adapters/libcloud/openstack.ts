import type { Power } from '../../src/domain/instance.ts';
import { at, listAt, textAt } from './at.ts';
import type { CloudOptions, RestCloud } from './cloud.ts';
import { type CloudDriver, cloudDriver } from './driver.ts';
import { type KeystoneAuth, keystoneLogin } from './keystone.ts';
import { createFaults } from './openstack/faults.ts';
import { queryOf } from './route.ts';

/** In Nova's words, as the body of `POST /servers` has them; whatever else stands there is sent as it is. */
export interface OpenstackLaunch {
  readonly imageRef: string;
  readonly flavorRef: string;
  /** The id of the network that the wanted address belongs to. */
  readonly network: string;
  readonly name?: string;
  readonly key_name?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly [word: string]: unknown;
}

export interface OpenstackOptions extends CloudOptions<OpenstackLaunch> {
  /** Keystone v3, such as `https://keystone.example.com:5000/v3`. */
  readonly authUrl: string;
  readonly auth: KeystoneAuth;
  /** Nova, where the catalog is not to be asked. */
  readonly endpoint?: string;
  readonly region?: string;
  /** Which endpoint of the catalog. Default `public`. */
  readonly interface?: 'public' | 'internal' | 'admin';
  /** The name of the network whose address is the instance's. Default the first fixed address. */
  readonly network?: string;
  /** Servers a page. Default as many as the cloud allows. */
  readonly pageSize?: number;
  /** Reboots as a power cut does. False unless said. */
  readonly force?: boolean;
}

/** Every status that Nova documents. */
type NovaStatus =
  | 'ACTIVE'
  | 'BUILD'
  | 'DELETED'
  | 'ERROR'
  | 'HARD_REBOOT'
  | 'MIGRATING'
  | 'PASSWORD'
  | 'PAUSED'
  | 'REBOOT'
  | 'REBUILD'
  | 'RESCUE'
  | 'RESIZE'
  | 'REVERT_RESIZE'
  | 'SHELVED'
  | 'SHELVED_OFFLOADED'
  | 'SHUTOFF'
  | 'SOFT_DELETED'
  | 'SUSPENDED'
  | 'UNKNOWN'
  | 'VERIFY_RESIZE';

const STATES = {
  ACTIVE: 'running',
  BUILD: 'pending',
  DELETED: 'terminated',
  ERROR: 'unknown',
  HARD_REBOOT: 'pending',
  MIGRATING: 'running',
  PASSWORD: 'running',
  PAUSED: 'stopped',
  REBOOT: 'pending',
  REBUILD: 'pending',
  RESCUE: 'unknown',
  RESIZE: 'pending',
  REVERT_RESIZE: 'pending',
  SHELVED: 'stopped',
  SHELVED_OFFLOADED: 'stopped',
  SHUTOFF: 'stopped',
  SOFT_DELETED: 'shutting-down',
  SUSPENDED: 'stopped',
  UNKNOWN: 'unknown',
  VERIFY_RESIZE: 'running',
} as const satisfies Record<NovaStatus, Power>;

/** Tasks that show in no status while they go on. */
const TASKS: Readonly<Record<string, Power>> = {
  'powering-off': 'stopping',
  'powering-on': 'pending',
  deleting: 'shutting-down',
  'soft-deleting': 'shutting-down',
  pausing: 'stopping',
  unpausing: 'pending',
  suspending: 'stopping',
  resuming: 'pending',
  shelving: 'stopping',
  unshelving: 'pending',
};

/** What was stopped in another way than `os-stop` is started in another way too. */
const STARTS: Readonly<Record<string, unknown>> = {
  PAUSED: { unpause: null },
  SUSPENDED: { resume: null },
  SHELVED: { unshelve: null },
  SHELVED_OFFLOADED: { unshelve: null },
};

const ACTION = { method: 'POST', path: '/servers/{id}/action' } as const;
const MARK = 'fleetbeat';

/**
 * OpenStack: Nova, by way of Keystone v3.
 *
 * A server is launched with a fixed address, and with the digest of its token in `metadata.fleetbeat`. Its power is `power.raw` as
 * status, or as `status/task` while a task goes on; an ERROR is `unknown`, with the fault as a problem of the reading. The endpoint
 * of the catalog goes by the same address policy as `authUrl`.
 *
 * @throws FleetError ER0230 for a url, an allowed address, a secret or launch settings that cannot be used
 * @example
 * ```ts
 * openstack({
 *   authUrl: 'https://keystone.example.com:5000/v3',
 *   auth: { applicationCredentialId: '…', secret: secret(process.env.OS_APPLICATION_CREDENTIAL_SECRET) },
 *   launch: { imageRef: '…', flavorRef: '…', network: '…' },
 * });
 * ```
 */
export const openstack = (options: OpenstackOptions): CloudDriver =>
  cloudDriver(options.name ?? 'openstack', describe(options), options);

function describe(options: OpenstackOptions): RestCloud<OpenstackLaunch> {
  const { auth, endpoint, region, network, pageSize, force = false } = options;
  return {
    url: options.authUrl,
    secrets: ['password' in auth ? auth.password : auth.secret],
    login: keystoneLogin(auth, {
      ...(endpoint !== undefined && { endpoint }),
      ...(region !== undefined && { region }),
      interface: options.interface ?? 'public',
    }),
    list: {
      route: { method: 'GET', path: '/servers/detail', ...(pageSize !== undefined && { query: { limit: pageSize } }) },
      items: (page) => listAt(page, 'servers'),
      next: (page) =>
        queryOf(
          at(
            (listAt(page, 'servers_links') ?? []).find((link) => at(link, 'rel') === 'next'),
            'href',
          ),
        ),
    },
    read(server) {
      const status = textAt(server, 'status');
      const task = textAt(server, 'OS-EXT-STS:task_state');
      return {
        id: at(server, 'id'),
        ips: addressesOf(at(server, 'addresses'), network),
        name: at(server, 'name'),
        state: status !== undefined && task !== undefined ? `${status}/${task}` : status,
        power: powerOf(status, task),
        tags: [at(server, 'metadata', MARK)],
        fault: at(server, 'fault', 'message'),
      };
    },
    complete: createFaults(),
    states: STATES,
    verbs: {
      start: ({ raw = '' }) => ({ ...ACTION, body: STARTS[raw] ?? { 'os-start': null } }),
      stop: { ...ACTION, body: { 'os-stop': null } },
      reboot: { ...ACTION, body: { reboot: { type: force ? 'HARD' : 'SOFT' } } },
      terminate: { method: 'DELETE', path: '/servers/{id}' },
    },
    launch: {
      route: ({ ip, name, tag, settings: { network: uuid, metadata, ...settings } }) => ({
        method: 'POST',
        path: '/servers',
        body: { server: { name, ...settings, networks: [{ uuid, fixed_ip: ip }], metadata: { ...metadata, [MARK]: tag } } },
      }),
      id: (body) => at(body, 'server', 'id'),
    },
    verdict: (body) => (body === undefined || at(body, 'server', 'id') !== undefined ? null : 'ER0220'),
    refusal(status, body) {
      const text = messageIn(body) ?? '';
      if (status === 403 && /quota/i.test(text)) return 'ER0221';
      return (status === 400 || status === 409) && /already in use/i.test(text) ? 'ER0208' : null;
    },
    message: messageIn,
  };
}

function powerOf(status: string | undefined, task: string | undefined): Power | undefined {
  const busy = task !== undefined && Object.hasOwn(TASKS, task) ? TASKS[task] : undefined;
  if (busy !== undefined) return busy;
  return status !== undefined && Object.hasOwn(STATES, status) ? STATES[status as NovaStatus] : undefined;
}

/** Fixed addresses before floating ones, IPv4 before IPv6, else as the cloud lists them. */
function addressesOf(networks: unknown, only: string | undefined): readonly unknown[] {
  const names = typeof networks === 'object' && networks !== null ? Object.keys(networks) : [];
  const all = names.flatMap((name) => (only === undefined || name === only ? (listAt(networks, name) ?? []) : []));
  const rank = (one: unknown) => (at(one, 'OS-EXT-IPS:type') === 'floating' ? 2 : 0) + (at(one, 'version') === 6 ? 1 : 0);
  return all.toSorted((a, b) => rank(a) - rank(b)).map((one) => at(one, 'addr'));
}

/** Nova wraps its message into the kind of refusal: `{"conflictingRequest":{"code":409,"message":"…"}}`. */
function messageIn(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  return Object.keys(body)
    .map((kind) => textAt(body, kind, 'message'))
    .find((text) => text !== undefined);
}
