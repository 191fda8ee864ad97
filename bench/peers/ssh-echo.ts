import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Hosts } from '../hosts/hosts.ts';

/** Asks each host as the seed did: a process of ssh that has it echo something, one host after the other, or so many at once. */
export async function sshEcho(addresses: readonly string[], { port, username, identity }: Hosts, atOnce = 1): Promise<void> {
  const waiting = addresses.values();
  const worker = async () => {
    for (const address of waiting) {
      const child = spawn('ssh', [...OPTIONS, '-i', identity, '-p', String(port), `${username}@${address}`, 'echo', 'up'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      child.stdout.resume();
      const [code] = await once(child, 'close');
      if (code !== 0) throw new Error(`ssh to ${address} ended with ${code}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Of any host key, as the seed had it; and of no configuration of whoever measures. */
const OPTIONS = [
  ['-F', '/dev/null'],
  ...['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes', 'LogLevel=ERROR', 'IdentitiesOnly=yes'].map(
    (option) => ['-o', option],
  ),
].flat();
