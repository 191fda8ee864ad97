import { accessSync, constants } from 'node:fs';
import { userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, inject, test } from 'vitest';
import type { OpenstackCloud } from './openstack/cloud.ts';

/** The servers that tests use, with the Debian package of each. */
const SERVERS = {
  haproxy: 'haproxy',
  ip: 'iproute2',
  keepalived: 'keepalived',
  mariadbd: 'mariadb-server',
  memcached: 'memcached',
  perl: 'perl-base',
  python3: 'python3-minimal',
  socat: 'socat',
  sshd: 'openssh-server',
} as const;

/**
 * `describe` for tests that need a real server. Where it is not installed they are skipped, and their title says what would
 * help; in CI that is a failure.
 *
 * @example
 * ```ts
 * requires('memcached')('a restarted store', () => { … });
 * ```
 */
export function requires(server: keyof typeof SERVERS): (title: string, body: () => void) => void {
  if (isInstalled(server) && mayRun(server)) return (title, body) => void describe(title, body);
  const advice = isInstalled(server)
    ? `${server} is run by root: sudo npm test`
    : `${server} is not installed: npm run test:setup, or apt-get install ${SERVERS[server]}`;
  return (title, body) => refuse(title, advice, body);
}

/**
 * `describe` for tests on machines that boot, which need root and the namespaces of `orchestrator.sh`. Elsewhere they are skipped,
 * and their title says what would help; in CI that is a failure.
 */
export function requiresMachines(title: string, body: () => void): void {
  const missing = missingOf(['unshare', 'nsenter', 'ip', 'nft', 'sshd', 'ssh']);
  if (missing.length > 0) refuse(title, `not installed: ${missing.join(', ')}; npm run test:setup`, body);
  else if (process.env.FLEETBEAT_ORCHESTRATOR === undefined) refuse(title, 'they need root, and npm run test:fleet', body);
  else describe(title, body);
}

const OPENSTACK = ['mariadbd', 'rabbitmq-server', 'uwsgi', 'keystone-manage', 'placement-manage', 'glance-api', 'neutron-server'];
const NOVA = ['nova-api', 'nova-conductor', 'nova-scheduler', 'nova-compute'];

/** What an OpenStack needs and is not installed. */
export const missingForOpenstack = (): readonly string[] => missingOf([...OPENSTACK, ...NOVA]);

/** `describe` for tests against the real OpenStack of `npm run test:cloud`; where it is not installed they are skipped, and fail in CI. */
export function requiresOpenstack(title: string, body: (cloud: OpenstackCloud) => void): void {
  const missing = missingForOpenstack();
  if (missing.length === 0) describe(title, () => body(inject('openstack')));
  else {
    const advice = `not installed: ${missing.join(', ')}; FLEETBEAT_OPENSTACK=1 npm run test:setup`;
    refuse(title, advice, () => test('is not tried', () => {}));
  }
}

function refuse(title: string, advice: string, body: () => void): void {
  if (process.env.CI === undefined) describe.skip(`${title} (${advice})`, body);
  else
    describe(title, () => {
      test('can be run', () => {
        throw new Error(advice);
      });
    });
}

/** These change to another user, or the network. */
const BY_ROOT: ReadonlySet<string> = new Set(['haproxy', 'keepalived']);

const mayRun = (server: string): boolean => userInfo().uid === 0 || !BY_ROOT.has(server);

const missingOf = (commands: readonly string[]) => commands.filter((command) => !isInstalled(command));

function isInstalled(command: string): boolean {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'].some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
