import type { CloudOptions, RestCloud } from './libcloud/cloud.ts';
import { type CloudDriver, cloudDriver } from './libcloud/driver.ts';

export { reveal, type Secret, secret } from './http/secret.ts';
export { at, listAt, textAt } from './libcloud/at.ts';
export { bearer } from './libcloud/bearer.ts';
export type {
  CloudOptions,
  Known,
  Launching,
  LaunchSettings,
  Listed,
  RestCloud,
  VerbRequest,
  VerbRoute,
  Wanted,
} from './libcloud/cloud.ts';
export { type DigitaloceanLaunch, type DigitaloceanOptions, digitalocean } from './libcloud/digitalocean.ts';
export type { CloudDriver } from './libcloud/driver.ts';
export type { Format } from './libcloud/format.ts';
export { type HetznerLaunch, type HetznerOptions, hetzner } from './libcloud/hetzner.ts';
export type { ApplicationCredential, KeystoneAuth, KeystonePassword } from './libcloud/keystone.ts';
export { type OpenstackLaunch, type OpenstackOptions, openstack } from './libcloud/openstack.ts';
export type { Answer, Asking, RestOptions } from './libcloud/rest.ts';
export { type Query, queryOf, type Route } from './libcloud/route.ts';
export type { Ask, Send, Session } from './libcloud/session.ts';

/**
 * Defines a cloud by a table: where its API is, how to log in, how its list is paged and its instances read, what its states mean,
 * and the request of each verb. What all clouds need comes with it: sessions renewed once on a 401, retries with jitter on 429 and
 * 5xx that heed `Retry-After`, deadlines, capped bodies, no redirects, an address policy, launches that happen once, and each
 * request on the bill.
 *
 * For those who know Apache Libcloud:
 *
 * | libcloud | here |
 * |---|---|
 * | `list_nodes()` | `driver.observe()` |
 * | `create_node()` | `launch`, with the settings of the options |
 * | `start_node()`, `ex_start_node()`, `ex_power_on_node()` | `start` |
 * | `stop_node()`, `ex_stop_node()`, `ex_power_off_node()` | `stop` |
 * | `reboot_node()`, `ex_hard_reboot_node()` | `reboot`; hard with `force` |
 * | `destroy_node()` | `terminate` |
 * | `Node.id`, `Node.private_ips`, `Node.public_ips` | `id`; one `ip`, chosen by the options |
 * | `Node.extra['status']` | `power.raw`: never lost, also where we have no word for it |
 * | `NodeState.PENDING`, `REBOOTING`, `STARTING`, `RECONFIGURING` | `pending` |
 * | `NodeState.RUNNING` | `running` |
 * | `NodeState.STOPPING` | `stopping` |
 * | `NodeState.STOPPED`, `SUSPENDED`, `PAUSED` | `stopped` |
 * | `NodeState.TERMINATED` | `terminated`; `shutting-down` on the way there |
 * | `NodeState.ERROR`, `UNKNOWN` | `unknown`; the fault is a problem of the reading |
 * | `wait_until_running()` | a trigger, or the next heartbeats |
 *
 * @param name the default name of its drivers
 * @param describe the table, from the options that its drivers take beside {@link CloudOptions}
 * @returns a function that makes a driver; it throws ER0230 for a url, an address or a secret that cannot be used
 * @example
 * ```ts
 * const linode = defineRestCloud<{ token: Secret }>('linode', ({ token }) => ({
 *   url: 'https://api.linode.com/v4',
 *   secrets: [token],
 *   login: bearer(token),
 *   list: {
 *     route: { method: 'GET', path: '/linode/instances' },
 *     items: (page) => listAt(page, 'data'),
 *     next: (page, number) => (number < Number(at(page, 'pages')) ? { page: number + 1 } : null),
 *   },
 *   read: (linode) => ({ id: at(linode, 'id'), ips: listAt(linode, 'ipv4') ?? [], state: at(linode, 'status') }),
 *   states: { running: 'running', offline: 'stopped', booting: 'pending', shutting_down: 'stopping' },
 *   verbs: {
 *     start: { method: 'POST', path: '/linode/instances/{id}/boot' },
 *     stop: { method: 'POST', path: '/linode/instances/{id}/shutdown' },
 *     reboot: { method: 'POST', path: '/linode/instances/{id}/reboot' },
 *     terminate: { method: 'DELETE', path: '/linode/instances/{id}' },
 *   },
 * }));
 * ```
 */
export const defineRestCloud =
  <Own extends object, Settings extends object = Record<string, unknown>>(
    name: string,
    describe: (options: Own & CloudOptions<Settings>) => RestCloud<Settings>,
  ): ((options: Own & CloudOptions<Settings>) => CloudDriver) =>
  (options) =>
    cloudDriver(options.name ?? name, describe(options), options);
