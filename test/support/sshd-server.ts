import { mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { serverFolder } from './run-folder.ts';
import { freePort, launch } from './server-process.ts';
import { makeSshKey, type SshKey } from './ssh-keys.ts';

export interface SshdOptions {
  /** An address of {@link loopback}. */
  readonly address: string;
  /** A free one when missing. */
  readonly port?: number;
  /** Its own new one when missing. */
  readonly hostKey?: SshKey;
  /** The public keys that may log in. */
  readonly authorizedKeys: readonly string[];
  /** More lines of sshd_config; the first of a keyword counts, and these are first. */
  readonly config?: readonly string[];
  /** More of the environment of commands. */
  readonly env?: Readonly<Record<string, string>>;
  /** A folder of its home that is a small disk of its own; it takes root, and is gone with the server. */
  readonly disk?: { readonly folder: string; readonly mebibytes: number };
}

export interface SshdServer {
  readonly address: string;
  readonly port: number;
  /** Who may log in: whoever runs the tests. Its home is an empty folder, so that no profile slows a command down. */
  readonly username: string;
  readonly home: string;
  hostKey(): SshKey;
  /** The present host key as a line of a known_hosts file. */
  knownHostsLine(): string;
  /** Ends the listener, every open session and what they run: as an instance that is stopped. */
  stop(): Promise<void>;
  start(): Promise<void>;
  restart(): Promise<void>;
  /** As an instance that hangs: connections are accepted, nothing answers. */
  freeze(): void;
  thaw(): void;
  /** Restarts with another host key, as an instance that took over the address of another. */
  rotateHostKey(): Promise<void>;
}

const SSHD = '/usr/sbin/sshd';

/** Starts an sshd of its own configuration and keys; resolves when it answers. */
export async function startSshd(options: SshdOptions): Promise<SshdServer> {
  const { address, disk } = options;
  const port = options.port ?? (await freePort(address));
  const folder = serverFolder('sshd');
  const home = join(folder, 'home');
  const { username, uid } = userInfo();
  mkdirSync(home);
  // What sshd of the distribution wants, and only its init script makes.
  if (uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  writeFileSync(join(folder, 'authorized_keys'), `${options.authorizedKeys.join('\n')}\n`);

  let hostKey = options.hostKey ?? makeSshKey();
  const start = () => {
    writeFileSync(join(folder, 'sshd_config'), [...(options.config ?? []), ...settings()].join('\n'));
    const argv = [SSHD, '-D', '-e', '-f', join(folder, 'sshd_config')];
    return launch({
      ...(disk ? withDisk(join(home, disk.folder), disk.mebibytes, argv) : { command: SSHD, args: argv.slice(1) }),
      host: address,
      port,
      greeting: { send: '', expect: 'SSH-2.0-' },
    });
  };
  const settings = () => [
    `ListenAddress ${address}:${port}`,
    `HostKey "${hostKey.path}"`,
    `PidFile none`,
    `AuthorizedKeysFile "${join(folder, 'authorized_keys')}"`,
    `SetEnv ${Object.entries({ HOME: home, ...options.env })
      .map(([name, value]) => `"${name}=${value}"`)
      .join(' ')}`,
    'StrictModes no',
    'UsePAM no',
    'UseDNS no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'PermitUserEnvironment no',
    'PrintMotd no',
    'PrintLastLog no',
    'MaxStartups 100:30:200',
    'Subsystem sftp internal-sftp',
    '',
  ];

  let server = await start();
  const restart = async () => {
    await server.stop();
    server = await start();
  };
  return {
    address,
    port,
    username,
    home,
    hostKey: () => hostKey,
    knownHostsLine: () => `[${address}]:${port} ${hostKey.publicKey}`,
    stop: () => server.stop(),
    start: restart,
    restart,
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
    async rotateHostKey() {
      hostKey = makeSshKey();
      await restart();
    },
  };
}

/** In a mount namespace of its own, so that nothing is left to be unmounted. */
const withDisk = (folder: string, mebibytes: number, argv: readonly string[]) => ({
  command: 'unshare',
  args: ['--mount', '--propagation', 'private', 'sh', '-c', MOUNT, 'sh', folder, `size=${mebibytes}m`, ...argv],
});

const MOUNT = `
mkdir -p "$1" && mount -t tmpfs -o "$2" tmpfs "$1" || exit
shift 2
exec "$@"
`;
