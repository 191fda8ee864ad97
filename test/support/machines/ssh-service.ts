import { makeSshKey } from '../ssh-keys.ts';
import type { Machine } from './machine.ts';

/** Starts the sshd of a machine anew, after what it serves has ended too. It reads its host key then. */
async function restartSshd(machine: Machine): Promise<void> {
  await machine.run('sh', '-c', RESTART);
}

const RESTART = `
for each in /proc/[0-9]*; do
  [ "$(cat "$each/comm" 2>/dev/null)" = sshd ] && kill -KILL "\${each#/proc/}"
done
/usr/sbin/sshd
`;

const HOST_KEY = '/etc/ssh/ssh_host_ed25519_key';

/** Gives the sshd of a machine another host key. @returns what gives it its own again */
export async function changeHostKey(machine: Machine): Promise<() => Promise<void>> {
  const put = async (key: string) => {
    await machine.write(HOST_KEY, key, 0o600);
    await restartSshd(machine);
  };
  await put(makeSshKey().privateKey);
  return () => put(machine.hostKey.privateKey);
}
