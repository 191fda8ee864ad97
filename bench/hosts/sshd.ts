import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';

const SSHD = '/usr/sbin/sshd';
const TRIES = 500;

export interface Sshds {
  readonly addresses: readonly string[];
  stop(): void;
}

/** Starts an sshd of this machine at each address. @returns null where none is installed */
export async function startSshds(
  addresses: readonly string[],
  { folder, port, publicKey }: { readonly folder: string; readonly port: number; readonly publicKey: string },
): Promise<Sshds | null> {
  if (!existsSync(SSHD)) return null;
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  writeFileSync(join(folder, 'authorized_keys'), `${publicKey}\n`);
  const children = addresses.map((address) => {
    const file = join(folder, address);
    writeFileSync(file, settings(folder, address, port).join('\n'));
    return spawn(SSHD, ['-D', '-e', '-f', file], { stdio: 'ignore' });
  });
  const stop = () => {
    for (const child of children) child.kill('SIGKILL');
  };
  for (const address of addresses)
    for (let i = 0; !(await answers(address, port)); i++) {
      if (i === TRIES) {
        stop();
        return null;
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  return { addresses, stop };
}

const settings = (folder: string, address: string, port: number): readonly string[] => [
  `ListenAddress ${address}:${port}`,
  `HostKey "${join(folder, 'host_key')}"`,
  'PidFile none',
  `AuthorizedKeysFile "${join(folder, 'authorized_keys')}"`,
  `SetEnv "HOME=${folder}"`,
  'StrictModes no',
  'UsePAM no',
  'UseDNS no',
  'PasswordAuthentication no',
  'PrintMotd no',
  'PrintLastLog no',
  'MaxStartups 100:30:200',
  '',
];

const answers = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.on('data', () => settle(true)).on('error', () => settle(false));
  });
