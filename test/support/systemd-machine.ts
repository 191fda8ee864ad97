import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { childrenOf, killFamily } from './process-table.ts';
import { forgetPid, recordPid, serverFolder } from './run-folder.ts';

/** A machine whose init is systemd: pid 1 of namespaces of its own, over this machine's files, which it does not change. */
export interface SystemdMachine {
  /** Runs a command there. @returns what it wrote */
  run(argv: readonly string[]): Promise<string>;
  /** Cuts its power, and starts it again; its disk is as it was. */
  reboot(): Promise<void>;
  stop(): Promise<void>;
}

const SYSTEMD = '/lib/systemd/systemd';

/** Whether this machine can have one: it takes root, systemd and the second version of cgroups. */
export const hasSystemd = (): boolean => process.getuid?.() === 0 && existsSync(SYSTEMD) && cgroups() !== null;

const run = promisify(execFile);

export async function startSystemd(): Promise<SystemdMachine> {
  const disk = serverFolder('systemd');
  for (const name of ['up', 'work', 'root']) mkdirSync(join(disk, name));
  const group = join(cgroups() ?? '', `fleetbeat-test-${process.pid}`);
  let init = await boot(disk, group);
  const off = async () => {
    const gone = once(init.child, 'exit');
    killFamily(init.launcher);
    await gone;
    forgetPid(init.launcher);
    // What was killed leaves its group a moment later.
    for (let i = 0; !removeGroup(group); i++) {
      if (i === 500) throw new Error(`${group} is not empty`);
      await pause(10);
    }
  };
  return {
    run: async (argv) => (await run('nsenter', ['--target', String(init.pid), '--all', '--root', '--wd', ...argv])).stdout,
    async reboot() {
      await off();
      init = await boot(disk, group);
    },
    stop: off,
  };
}

/**
 * Nothing of the distribution is started but what a unit of ours asks for. Its cgroups are below one that is ours, so that it does not
 * take those of this machine for its own.
 */
const BOOT = `
set -e
echo $$ >"$2/cgroup.procs"
exec unshare --mount --uts --ipc --pid --cgroup --fork --kill-child=KILL --propagation private sh -c '
set -e
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/up,workdir=$1/work" "$1/root"
cd "$1/root"
mount --bind /dev dev
for each in run tmp; do mount -t tmpfs tmpfs "$each"; done
mount -t proc proc proc
mount -t sysfs sysfs sys -o ro
mount -t cgroup2 cgroup2 sys/fs/cgroup
if [ ! -e "$1/made" ]; then
  rm -rf etc/init.d etc/rc?.d etc/fstab etc/systemd/system/*.wants
  for each in lib/systemd/system/*.wants; do rm -f "$each"/*; done
  touch "$1/made"
fi
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . ${SYSTEMD} --system --unit=multi-user.target
' sh "$1"
`;

async function boot(
  disk: string,
  group: string,
): Promise<{ readonly child: ChildProcess; readonly launcher: number; readonly pid: number }> {
  mkdirSync(group, { recursive: true });
  const child = spawn('sh', ['-c', BOOT, 'sh', disk, group], { stdio: 'ignore', detached: true });
  const launcher = child.pid;
  if (launcher === undefined) throw new Error('systemd could not be started');
  recordPid(launcher);
  for (let i = 0; i < 1000 && child.exitCode === null; i++) {
    const [pid] = childrenOf(launcher);
    const inside = pid !== undefined ? ['--target', String(pid), '--all', '--root', '--wd'] : null;
    const state = inside && (await run('nsenter', [...inside, 'systemctl', 'is-active', 'multi-user.target']).catch(() => null));
    if (pid !== undefined && state?.stdout.trim() === 'active') return { child, launcher, pid };
    await pause(20);
  }
  killFamily(launcher);
  throw new Error('systemd does not come up');
}

/** Where the second version of cgroups is mounted. */
function cgroups(): string | null {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  return mounts.find((line) => line.split(' ')[2] === 'cgroup2')?.split(' ')[1] ?? null;
}

/** @returns whether it was empty, and is gone */
function removeGroup(group: string): boolean {
  try {
    for (const entry of readdirSync(group, { withFileTypes: true }))
      if (entry.isDirectory()) removeGroup(join(group, entry.name));
    rmdirSync(group);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EBUSY') return false;
    throw error;
  }
}
