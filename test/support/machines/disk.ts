import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { serverFolder } from '../run-folder.ts';
import { makeSshKey, type SshKey } from '../ssh-keys.ts';

/** What a machine has beyond the system that all share: it survives a power cut. */
export interface Disk {
  readonly folder: string;
  readonly hostKey: SshKey;
  write(path: string, text: string, mode: number): void;
  remove(): void;
}

/** A new disk, as large as what all disks lie on where no size is given: a system that knows its name, and lets root in with the given keys. */
export function makeDisk(name: string, authorizedKeys: readonly string[], sizeMb: number | null): Disk {
  const folder = serverFolder(name);
  if (sizeMb !== null) execFileSync('mount', ['-t', 'tmpfs', '-o', `mode=755,size=${sizeMb}m`, 'tmpfs', folder]);
  const hostKey = makeSshKey();
  for (const each of ['upper', 'work', 'root']) mkdirSync(join(folder, each), { mode: 0o755 });
  const write = (path: string, text: string, mode: number) => {
    const file = join(folder, 'upper', path);
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
    writeFileSync(file, text);
    chmodSync(file, mode);
  };
  write('/etc/hostname', `${name}\n`, 0o644);
  write('/etc/hosts', `127.0.0.1 localhost\n127.0.1.1 ${name}\n`, 0o644);
  write('/etc/ssh/ssh_host_ed25519_key', hostKey.privateKey, 0o600);
  write('/etc/ssh/sshd_config', SSHD.join('\n'), 0o644);
  write('/root/.ssh/authorized_keys', `${authorizedKeys.join('\n')}\n`, 0o600);
  // That of the system may be slow.
  write('/root/.bashrc', '', 0o644);
  for (const each of ['root', 'root/.ssh']) chmodSync(join(folder, 'upper', each), 0o700);
  const remove = () => {
    if (sizeMb !== null) execFileSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true, force: true });
  };
  return { folder, hostKey, write, remove };
}

const SSHD = [
  'Port 22',
  'HostKey /etc/ssh/ssh_host_ed25519_key',
  'UsePAM no',
  'UseDNS no',
  'PasswordAuthentication no',
  'KbdInteractiveAuthentication no',
  'PermitRootLogin prohibit-password',
  'PrintMotd no',
  'PrintLastLog no',
  'MaxStartups 100:30:200',
  'Subsystem sftp internal-sftp',
  '',
];
