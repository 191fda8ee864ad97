import { createHash } from 'node:crypto';
import { type Ip, isName } from '../../src/domain/identity.ts';
import { FleetError } from '../../src/errors.ts';

/** One of those that a listener routes to. */
export interface Backend {
  readonly name: string;
  readonly ip: Ip;
  readonly port: number;
  /** Used only while no other is up. */
  readonly isBackup: boolean;
}

/** How the backends of a listener are looked at: by MySQL's greeting, with a user's login, or by memcached's version. */
export type Check = { readonly by: 'mysql'; readonly user: string | null } | { readonly by: 'memcache' };

/** Where connections are taken, and where to they go. */
export interface Listener {
  readonly name: string;
  readonly binds: readonly Bind[];
  readonly check: Check;
  readonly backends: readonly Backend[];
}

export interface Bind {
  readonly ip: Ip | '*';
  readonly port: number;
}

/** All that the configuration of one haproxy says. Paths are not in it: it is started in its directory. */
export interface Wanted {
  readonly user: string;
  readonly group: string;
  readonly checkMs: number;
  readonly idleMs: number;
  readonly lingerMs: number;
  readonly listeners: readonly Listener[];
  /** Where its statistics are shown to a browser. */
  readonly stats: Bind | null;
  /** The address that it is known to have: it may take any other only later. */
  readonly own: Ip;
}

/** A configuration as it is written. */
export interface Written {
  readonly text: string;
  /** Of the whole file. */
  readonly digest: string;
  /** Names what a running haproxy was started with: it is part of the file, and what the haproxy tells of itself. */
  readonly version: string;
}

/**
 * Writes the configuration of a haproxy. Nothing in it is a text that somebody else has chosen, but for names of services and
 * users, which are checked once more.
 *
 * @throws FleetError ER0222 for a name that haproxy would read as something else
 */
export function written(wanted: Wanted): Written {
  const body = bodyOf(wanted);
  const version = `fleetbeat-${sha256(body).slice(0, 32)}`;
  const text = `${HEAD}\nglobal\n    description ${version}\n${body}`;
  return { text, version, digest: sha256(text) };
}

const HEAD = '# Written by fleetbeat: what is changed here is replaced. Change the settings of the service instead.';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const bodyOf = ({ user, group, checkMs, idleMs, lingerMs, listeners, stats, own }: Wanted): string =>
  `    user ${word(user)}
    group ${word(group)}
    stats socket unix@haproxy.sock mode 600 level admin expose-fd listeners
    stats timeout 30s
    server-state-file servers.state
    hard-stop-after ${lingerMs}ms

defaults
    mode tcp
    timeout connect 3s
    timeout check 2s
    timeout client ${idleMs}ms
    timeout server ${idleMs}ms
    retries 2
    option redispatch 1
    option tcpka
    load-server-state-from-file global
    default-server check inter ${checkMs}ms fall 2 rise 1 on-marked-down shutdown-sessions
${listeners.map((listener) => listenerText(listener, own)).join('')}${stats ? statsText(stats, own) : ''}`;

const listenerText = ({ name, binds, check, backends }: Listener, own: Ip): string => `
listen ${word(name)}
${binds.map((bind) => `    ${bindText(bind, own)}\n`).join('')}    balance leastconn
${checkText(check)}${backends.map((backend) => `    ${serverText(backend)}\n`).join('')}`;

const statsText = (bind: Bind, own: Ip): string => `
frontend stats
    mode http
    ${bindText(bind, own)}
    stats enable
    stats uri /
`;

/** An address that comes and goes, as one that keepalived moves, is taken before it is there. */
const bindText = ({ ip, port }: Bind, own: Ip): string =>
  `bind ${addressText(ip, port)}${ip === '*' || ip === own ? '' : ' transparent'}`;

const serverText = ({ name, ip, port, isBackup }: Backend): string =>
  `server ${word(name)} ${addressText(ip, port)}${isBackup ? ' backup' : ''}`;

export const addressText = (ip: Ip | '*', port: number): string => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`);

function checkText(check: Check): string {
  switch (check.by) {
    case 'mysql':
      return `    option mysql-check${check.user === null ? '' : ` user ${word(check.user)} post-41`}\n`;
    case 'memcache':
      return '    option tcp-check\n    tcp-check send "version\\r\\n"\n    tcp-check expect string VERSION\n';
    default:
      return check satisfies never;
  }
}

/** Letters, digits and `. _ -` mean themselves to haproxy, anywhere. */
function word(text: string): string {
  if (isName(text) || /^_[A-Za-z0-9._-]{0,62}$/.test(text)) return text;
  throw new FleetError('ER0222', `a word of a haproxy configuration has letters, digits, . _ -, found ${JSON.stringify(text)}`);
}
