import { createHash } from 'node:crypto';
import type { Neighbours } from '../../../src/contracts.ts';
import { type Ip, isName } from '../../../src/domain/identity.ts';
import type { Service } from '../../../src/domain/service.ts';
import { FleetError } from '../../../src/errors.ts';
import { dataDirOf, type KeepalivedSettings } from './settings.ts';

type Keepalived = Service<KeepalivedSettings>;

export interface Configuration {
  readonly text: string;
  readonly digest: string;
  /** The pid files of the balancers that it follows. */
  readonly tracked: readonly string[];
}

const MASTER_PRIORITY = 150;
const OTHER_PRIORITY = 100;

/**
 * Writes the configuration of a keepalived: one group of hosts, its peers told one by one, since clouds carry no multicast. What
 * stands in it is numbers, addresses and words that were checked when the settings were read.
 *
 * @throws FleetError ER0222 where the service's name would be read as something else; ER0230 where an address that moves is of another family than the host's own
 */
export function configurationOf(of: Keepalived, among: Neighbours): Configuration {
  const { addresses, interface: device, routerId, advertMs, preempt } = of.settings;
  if (addresses.some((address) => address.includes(':') !== of.ip.includes(':')))
    throw new FleetError(
      'ER0230',
      `${of.name}: addresses of one family with its own ${of.ip} can move, found ${addresses.join(', ')}`,
    );
  if (!isName(of.name))
    throw new FleetError('ER0222', `a service has a name of letters, digits, . _ -, found ${JSON.stringify(of.name)}`);
  const peers = peersOf(of, among);
  const tracked = trackedBy(of, among);
  const script = `${dataDirOf(of)}/alive.sh`;
  const text = `# Written by fleetbeat: what is changed here is replaced. Change the settings of the service instead.
global_defs {
    router_id ${of.name}
    vrrp_version 3
    enable_script_security
    script_user root root
}
${
  tracked.length === 0
    ? ''
    : `
# ${tracked.length} balancers, ${createHash('sha256').update(tracked.join('\n')).digest('hex')}
vrrp_script alive {
    script "${script}"
    interval 1
    timeout 2
    fall 2
    rise 1
}
`
}
vrrp_instance addresses {
    state BACKUP
    interface ${device}
    virtual_router_id ${routerId}
    priority ${priorityOf(of)}
    advert_int ${advertMs / 1000}
${preempt ? '' : '    nopreempt\n'}    unicast_src_ip ${of.ip}
    unicast_peer {
${peers.map((ip) => `        ${ip}\n`).join('')}    }
    virtual_ipaddress {
${addresses.map((address) => `        ${address}\n`).join('')}    }
${tracked.length === 0 ? '' : '    track_script {\n        alive\n    }\n'}}
`;
  return { text, digest: createHash('sha256').update(text).digest('hex'), tracked };
}

const priorityOf = ({ status, settings }: Keepalived): number =>
  settings.priority ?? (status === 'master' ? MASTER_PRIORITY : OTHER_PRIORITY);

/** The other hosts of its group, in the order of their addresses. */
const peersOf = (of: Keepalived, among: Neighbours): readonly Ip[] =>
  clusterOf(of, among)
    .filter(({ mode, ip, settings }) => {
      if (mode !== of.mode || ip === of.ip) return false;
      return (settings as KeepalivedSettings).routerId === of.settings.routerId;
    })
    .map(({ ip }) => ip)
    .sort();

/** The balancers of its cluster beside it on its host; both modes keep their pid in the same place. */
function trackedBy(of: Keepalived, among: Neighbours): readonly string[] {
  if (!of.settings.followsBalancers) return [];
  return clusterOf(of, among)
    .filter(({ mode, ip }) => ip === of.ip && (mode === 'haproxy' || mode === 'mysql-proxy'))
    .map(({ name, settings }) => `${ownDirectoryIn(settings) ?? `/var/lib/fleetbeat/${name}`}/haproxy.pid`)
    .sort();
}

function ownDirectoryIn(settings: unknown): string | null {
  const dataDir = typeof settings === 'object' && settings !== null && 'dataDir' in settings ? settings.dataDir : null;
  return typeof dataDir === 'string' ? dataDir : null;
}

const clusterOf = ({ cluster }: Keepalived, among: Neighbours): readonly Service[] =>
  cluster === undefined ? [] : among.services().filter((other) => other.cluster === cluster);
