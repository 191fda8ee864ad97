import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { killFamily, signalFamily, stopFamily } from '../process-table.ts';
import { forgetPid, recordPid } from '../run-folder.ts';
import type { SshKey } from '../ssh-keys.ts';
import type { Bridge } from './bridge.ts';
import { makeDisk } from './disk.ts';

const BOOT = fileURLToPath(new URL('boot.sh', import.meta.url));

/** One machine, as a cloud would have it. It is off until it is booted. */
export interface Machine {
  readonly ip: string;
  readonly name: string;
  readonly isOn: boolean;
  /** Of its present disk. */
  readonly hostKey: SshKey;
  /** The host key as a line of a known_hosts file. */
  knownHostsLine(): string;
  /** Writes a file, on or off. An executable `/etc/boot` is run by each boot, before ssh answers. */
  write(path: string, content: string, mode?: number): Promise<void>;
  /** Switches it on; resolves when it is on the network. Until ssh answers it takes some moments more. What is on stays so. */
  boot(): Promise<void>;
  /** Cuts its power: all its processes die at once, and nobody hears of it. Its disk stays. */
  off(): Promise<void>;
  /** It hangs: connections are accepted, nothing answers. */
  freeze(): void;
  thaw(): void;
  /** Cuts its power and throws its disk away. What boots next at this address is another machine, with another host key. */
  destroy(): Promise<void>;
  /** The same for good: nothing boots there any more. */
  remove(): Promise<void>;
  /** Pulls its plug out of the network; it stays out through reboots. */
  partition(): void;
  heal(): void;
  /** Runs a command on it as root, without the network, and resolves with what that wrote to stdout. */
  run(...argv: readonly string[]): Promise<string>;
  /** Where a file of it, while it is on, is found by a process that is not on it: also a socket there, whatever its network. */
  outside(path: string): string;
  /** What its processes wrote to its console, since it has this disk. */
  console(): string;
}

/** Where it is plugged in. */
export interface Plug {
  readonly ip: string;
  readonly prefixLength: number;
  readonly mac: string;
  /** The name of the link on the bridge. */
  readonly link: string;
}

interface Power {
  readonly pid: number;
  /** Its first process, from which all others descend. */
  readonly init: number;
  readonly gone: Promise<unknown[]>;
}

/** What a machine is made with. */
export interface Making {
  readonly name: string;
  readonly authorizedKeys: readonly string[];
  /** The size of its disk, in MiB; null for no limit. */
  readonly diskMb: number | null;
}

export function makeMachine(bridge: Bridge, plug: Plug, { name, authorizedKeys, diskMb }: Making): Machine {
  const { ip, link } = plug;
  let disk = makeDisk(name, authorizedKeys, diskMb);
  let power: Power | null = null;
  let isPartitioned = false;

  const consoleFile = () => join(disk.folder, 'console');
  const readConsole = () => readFileSync(consoleFile(), 'utf8');
  const whileOn = () => {
    if (power === null) throw new Error(`${name} is off`);
    return power;
  };

  async function boot(): Promise<void> {
    const address = `${ip}/${plug.prefixLength}`;
    const words = [disk.folder, name, address, plug.mac, bridge.namespace, link, isPartitioned ? 'down' : 'up'];
    const output = openSync(consoleFile(), 'a');
    const child = spawn('unshare', [...NAMESPACES, '--fork', '--kill-child=KILL', '--', 'sh', BOOT, ...words], {
      stdio: ['ignore', output, output, 'pipe'],
      detached: true,
    });
    closeSync(output);
    const { pid } = child;
    if (pid === undefined) throw new Error('unshare could not be started', { cause: (await once(child, 'error'))[0] });
    recordPid(pid);
    const gone = once(child, 'exit').finally(() => forgetPid(pid));
    const said = child.stdio[3] as Readable;
    const [init] = await Promise.race([once(said, 'data'), gone.then(() => [])]);
    said.destroy();
    if (!Number(init)) throw new Error(`${name} does not boot:\n${readConsole()}`);
    power = { pid, init: Number(init), gone };
  }

  async function off(): Promise<void> {
    if (power === null) return;
    const { pid, gone } = power;
    power = null;
    // The cable first: a process that dies says goodbye to those it talked with.
    bridge.ip('link', 'delete', link);
    killFamily(pid);
    await gone;
  }

  const inside = (argv: readonly string[], input = ''): Promise<string> => {
    const entered = ['mount', 'uts', 'ipc', 'net', 'pid', 'root'].map((namespace) => `--${namespace}`);
    const command = ['--target', `${whileOn().init}`, ...entered, '--wd=/', 'env', '-i', ...ENVIRONMENT, ...argv];
    const running = promisify(execFile)('nsenter', command, { maxBuffer: 64 * 1024 * 1024 });
    // A command may end before it has read its input; where it should not have, its exit code says so.
    running.child.stdin?.on('error', () => {}).end(input);
    return running.then(({ stdout }) => stdout);
  };

  return {
    ip,
    name,
    get isOn() {
      return power !== null;
    },
    get hostKey() {
      return disk.hostKey;
    },
    knownHostsLine: () => `${ip} ${disk.hostKey.publicKey}`,
    async write(path, content, mode = 0o644) {
      if (power === null) disk.write(path, content, mode);
      else await inside(['sh', '-c', WRITE, 'sh', path, dirname(path), mode.toString(8)], content);
    },
    async boot() {
      if (power === null) await boot();
    },
    off,
    freeze: () => stopFamily(whileOn().pid),
    thaw: () => signalFamily(whileOn().pid, 'SIGCONT'),
    async destroy() {
      await off();
      disk.remove();
      disk = makeDisk(name, authorizedKeys, diskMb);
    },
    async remove() {
      await off();
      disk.remove();
    },
    partition() {
      isPartitioned = true;
      if (power !== null) bridge.ip('link', 'set', link, 'down');
    },
    heal() {
      isPartitioned = false;
      if (power !== null) bridge.ip('link', 'set', link, 'up');
    },
    run: (...argv) => inside(argv),
    outside: (path) => `/proc/${whileOn().init}/root${path}`,
    console: readConsole,
  };
}

const NAMESPACES = ['net', 'mount', 'pid', 'uts', 'ipc'].map((namespace) => `--${namespace}`);
const ENVIRONMENT = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'LANG=C.UTF-8'];
const WRITE = 'mkdir -p "$2" && cat >"$1" && chmod "$3" "$1"';
