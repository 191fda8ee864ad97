import type { KnownCode } from '../../src/domain/codes.ts';
import type { Power } from '../../src/domain/instance.ts';
import { FleetError } from '../../src/errors.ts';
import { reveal, type Secret } from '../http/secret.ts';
import { at, listAt, textAt } from './at.ts';
import type { CloudOptions, RestCloud, VerbRequest } from './cloud.ts';
import { type CloudDriver, cloudDriver } from './driver.ts';
import type { Route } from './route.ts';
import type { Send, Session } from './session.ts';
import { createAddresses, idIn, type VmListed } from './vcloud/addresses.ts';
import { compose, removeFrom, undeploy } from './vcloud/requests.ts';
import { xmlFormat } from './vcloud/xml.ts';

export { type Secret, secret } from '../http/secret.ts';

/** A vApp of one machine, composed from a machine of a template. */
export interface VcloudLaunch {
  /** The id of the virtual data center. */
  readonly vdc: string;
  /** The id of the machine in its template, such as `vm-…`. */
  readonly source: string;
  /** The id of the organization's network. */
  readonly networkId: string;
  /** Its name. */
  readonly network: string;
}

export interface VcloudOptions extends CloudOptions<VcloudLaunch> {
  /** Such as `https://vcloud.example.com/api`. */
  readonly url: string;
  readonly user: string;
  readonly org: string;
  readonly password: Secret;
  /** Of the API. Default `5.5`. */
  readonly version?: '1.5' | '5.1' | '5.5' | '5.6';
  /** The name of the network whose address is the instance's. Default that of the primary connection. */
  readonly network?: string;
  /** Stops and reboots as a power cut does. False unless said: the machine shuts down, which needs VMware Tools in it. */
  readonly force?: boolean;
}

/** Every status of a machine that the query service documents. */
type VmStatus =
  | 'FAILED_CREATION'
  | 'UNRESOLVED'
  | 'RESOLVED'
  | 'DEPLOYED'
  | 'SUSPENDED'
  | 'POWERED_ON'
  | 'WAITING_FOR_INPUT'
  | 'UNKNOWN'
  | 'UNRECOGNIZED'
  | 'POWERED_OFF'
  | 'INCONSISTENT_STATE'
  | 'MIXED'
  | 'PARTIALLY_POWERED_OFF'
  | 'PARTIALLY_SUSPENDED';

const STATES = {
  FAILED_CREATION: 'unknown',
  UNRESOLVED: 'pending',
  RESOLVED: 'pending',
  DEPLOYED: 'pending',
  SUSPENDED: 'stopped',
  POWERED_ON: 'running',
  WAITING_FOR_INPUT: 'pending',
  UNKNOWN: 'unknown',
  UNRECOGNIZED: 'unknown',
  POWERED_OFF: 'stopped',
  INCONSISTENT_STATE: 'unknown',
  MIXED: 'unknown',
  PARTIALLY_POWERED_OFF: 'unknown',
  PARTIALLY_SUSPENDED: 'unknown',
} as const satisfies Record<VmStatus, Power>;

/** Tasks by what a machine is on its way to while they run; their names begin so. */
const TASKS: readonly (readonly [prefix: RegExp, power: Power])[] = [
  [/^(?:vappUndeploy|vappPowerOff|vappShutdown|vappSuspend|vappStop)/, 'stopping'],
  [/^(?:vdcDelete|vappDelete)/, 'shutting-down'],
  [/^(?:vappDeploy|vappPowerOn|vappStart|vappReset|vappReboot|vdcInstantiate|vdcCompose)/, 'pending'],
];

const MOST_A_PAGE = 128;

/** Refusals that their status does not tell: vCloud answers 403 also where there is nothing. */
const CODES: Readonly<Record<string, KnownCode>> = {
  ACCESS_TO_RESOURCE_IS_FORBIDDEN: 'ER0205',
  RESOURCE_NOT_FOUND: 'ER0205',
  BUSY_ENTITY: 'ER0206',
  INVALID_STATE: 'ER0206',
  DUPLICATE_NAME: 'ER0206',
};

/**
 * VMware vCloud Director, its XML API from 1.5 to 5.x. An instance is a virtual machine.
 *
 * A call is accepted once its task is queued; what becomes of it is for the next heartbeats to see, and the last task that failed is
 * a problem of the reading. A launch composes a vApp of one machine, whose name is the digest of its token. A machine that runs is
 * powered off before it is deleted: until then `terminate` is answered ER0227, and tried again.
 *
 * @throws FleetError ER0230 for a url, an allowed address, a secret or launch settings that cannot be used
 * @example
 * ```ts
 * vcloud({ url: 'https://vcloud.example.com/api', user: 'admin', org: 'shop', password: secret(process.env.VCLOUD_PASSWORD) });
 * ```
 */
export const vcloud = (options: VcloudOptions): CloudDriver => cloudDriver(options.name ?? 'vcloud', describe(options), options);

function describe(options: VcloudOptions): RestCloud<VcloudLaunch> {
  const { url, password, version = '5.5', network, force = false } = options;
  const base = url.replace(/\/+$/, '');
  const complete = createAddresses(network);
  /** Who is in which vApp, as last listed. */
  let vAppOf = new Map<unknown, string>();

  function deletion({ id, raw = '' }: { readonly id: string; readonly raw?: string }): VerbRequest {
    if (raw.startsWith('POWERED_ON') || raw.startsWith('SUSPENDED')) return { ...undeploy('powerOff'), isPrelude: true };
    const vApp = vAppOf.get(id);
    const isAlone = [...vAppOf.values()].filter((one) => one === vApp).length === 1;
    if (vApp !== undefined && !isAlone) return removeFrom(vApp, `${base}/vApp/${id}`);
    return { method: 'DELETE', path: '/vApp/{doomed}', params: { doomed: vApp ?? id } };
  }

  const power = (action: string): Route => ({ method: 'POST', path: `/vApp/{id}/power/action/${action}` });

  return {
    url,
    secrets: [password],
    login: login(options),
    format: xmlFormat(version),
    list: {
      route: {
        method: 'GET',
        path: '/query',
        query: { type: 'vm', format: 'records', pageSize: MOST_A_PAGE, filter: 'isVAppTemplate==false' },
      },
      items(page) {
        const records = at(page, 'QueryResultRecords');
        if (typeof records !== 'object') return null;
        return (listAt(records, 'VMRecord') ?? []).filter(
          (one) => at(one, '@isVAppTemplate') !== 'true' && at(one, '@isDeleted') !== 'true',
        );
      },
      next(page, number) {
        const total = Number(at(page, 'QueryResultRecords', '@total'));
        const size = Number(at(page, 'QueryResultRecords', '@pageSize'));
        return size > 0 && number * size < total ? { page: number + 1 } : null;
      },
    },
    read: readVm,
    async complete(items, ask, asking) {
      const vms = items as readonly VmListed[];
      vAppOf = new Map(vms.flatMap(({ id, vApp }) => (vApp === null ? [] : [[id, vApp] as const])));
      return complete(vms, ask, asking);
    },
    states: STATES,
    verbs: {
      start: power('powerOn'),
      stop: undeploy(force ? 'powerOff' : 'shutdown'),
      reboot: power(force ? 'reset' : 'reboot'),
      terminate: deletion,
    },
    launch: {
      route: ({ ip, name, tag, settings: { vdc, source, networkId, network: parent } }) =>
        compose({
          vdc,
          name: tag,
          description: name,
          sourceHref: `${base}/vAppTemplate/${source}`,
          networkHref: `${base}/network/${networkId}`,
          network: parent,
          ip,
        }),
    },
    verdict(body) {
      if (at(body, 'VApp') !== undefined) return null;
      const task = listAt(body, 'Task')?.[0];
      if (task === undefined) return 'ER0220';
      return /^(?:error|aborted|canceled)$/.test(textAt(task, '@status') ?? '') ? 'ER0221' : null;
    },
    refusal(status, body) {
      const minor = textAt(body, 'Error', '@minorErrorCode') ?? '';
      if (Object.hasOwn(CODES, minor)) return CODES[minor] ?? null;
      const isState =
        status === 400 && /not powered|powered (?:on|off)|is (?:busy|running|not running)|deployed/i.test(messageIn(body) ?? '');
      return isState ? 'ER0206' : null;
    },
    message: messageIn,
  };
}

const messageIn = (body: unknown): string | undefined => {
  const task = listAt(body, 'Task')?.[0];
  return textAt(body, 'Error', '@message') ?? textAt(task, 'Error', '@message');
};

function login({ user, org, password, version = '5.5' }: VcloudOptions): (send: Send) => Promise<Session> {
  const basic = Buffer.from(`${user}@${org}:${reveal(password)}`).toString('base64');
  return async (send) => {
    const { status, header } = await send({ method: 'POST', path: '/sessions', headers: { authorization: `Basic ${basic}` } });
    const isFinal = status === 401 || status === 403;
    if (status >= 300) throw new FleetError(isFinal ? 'ER0224' : 'ER0235', `POST /sessions was answered by ${status}`);
    const token = header('x-vcloud-authorization') ?? '';
    if (!/^[!-~]{1,4096}$/.test(token)) throw new FleetError('ER0235', `a session of version ${version} has no token`);
    return { headers: { 'x-vcloud-authorization': token }, tokens: [token, basic] };
  };
}

function readVm(record: unknown): VmListed {
  const status = at(record, '@status');
  const taskStatus = at(record, '@taskStatus');
  const task = textAt(record, '@taskStatusName') ?? '';
  const isBusy = at(record, '@isBusy') === 'true' && taskStatus !== 'success' && taskStatus !== 'error';
  const underWay = isBusy ? TASKS.find(([prefix]) => prefix.test(task))?.[1] : undefined;
  const ip = at(record, '@ipAddress');
  return {
    id: idIn(at(record, '@href')),
    ips: ip === undefined || ip === '' ? [] : [ip],
    state: underWay === undefined || typeof status !== 'string' ? status : `${status}/${task}`,
    power: underWay,
    name: at(record, '@name'),
    tags: [at(record, '@containerName')],
    fault: taskStatus === 'error' ? `${task} has failed: ${textAt(record, '@taskDetails') ?? 'no reason'}` : undefined,
    vApp: idIn(at(record, '@container')),
  };
}
