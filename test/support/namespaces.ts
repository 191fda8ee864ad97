import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Ip, Shell } from 'fleetbeat';
import { isSameProcess, startedAt } from './process-table.ts';

/** Hosts in network namespaces of their own on one bridge: nothing is put into that of this machine, and no packet leaves. */
export interface Namespaces {
  /** A folder that only its owner can write, with all that is above it: keepalived takes scripts of no other. */
  readonly folder: string;
  /** Commands on the host with an address, without ssh: the file system and the processes are those of this machine. */
  readonly shell: Shell;
  /** The addresses of a host, as it has them now. */
  addressesOf(ip: string): Promise<readonly string[]>;
  /** Whether some host takes, or refuses, a connection to an address from another one. */
  answers(from: string, to: string): Promise<boolean>;
  /** Takes a host off the bridge, or puts it back. */
  link(ip: string, state: 'up' | 'down'): Promise<void>;
  close(): void;
}

const run = promisify(execFile);
const KNOCK = `
const socket = require('node:net').connect({ host: process.argv[1], port: 9, timeout: 1000 });
const say = (word) => { process.stdout.write(word); socket.destroy(); };
socket.on('timeout', () => say('silence'));
socket.on('connect', () => say('there'));
socket.on('error', ({ code }) => say(code === 'ECONNREFUSED' ? 'there' : code));
`;
const ip = (...args: readonly string[]) => run('ip', args);
/** With the process that made them, so that the next run finds those that are left over. */
const PREFIX = 'fbt';

export async function openNamespaces(ips: readonly string[]): Promise<Namespaces> {
  reap();
  const prefix = `${PREFIX}-${process.pid}-${startedAt(process.pid)}`;
  const nameOf = (address: string) => `${prefix}-${ips.indexOf(address)}`;
  const bridge = `${prefix}-br`;
  const made: string[] = [];
  const add = async (name: string) => {
    await ip('netns', 'add', name);
    made.push(name);
    await ip('-n', name, 'link', 'set', 'lo', 'up');
  };
  const folder = join('/run', prefix);
  mkdirSync(folder, { mode: 0o755 });
  const close = () => {
    for (const name of made) remove(name);
    rmSync(folder, { recursive: true, force: true });
    process.off('exit', close);
  };
  process.once('exit', close);
  await add(bridge);
  await ip('-n', bridge, 'link', 'add', 'br0', 'type', 'bridge');
  await ip('-n', bridge, 'link', 'set', 'br0', 'up');
  for (const [index, address] of ips.entries()) {
    const name = nameOf(address);
    await add(name);
    await ip('-n', bridge, 'link', 'add', `v${index}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    await ip('-n', bridge, 'link', 'set', `v${index}`, 'master', 'br0', 'up');
    await ip('-n', name, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    await ip('-n', name, 'link', 'set', 'eth0', 'up');
  }
  const inside = (address: string, argv: readonly string[]) => [`--net=/run/netns/${nameOf(address)}`, ...argv];
  return {
    folder,
    shell: {
      reachable: async () => 'up',
      put: async () => Promise.reject(new Error('nothing is put')),
      run: (host: Ip, argv, { stdin = '', deadlineMs }, signal) =>
        new Promise((resolve, reject) => {
          const child = spawn('nsenter', inside(host, argv), { signal, timeout: deadlineMs });
          let [stdout, stderr] = ['', ''];
          child.stdout.on('data', (bytes) => (stdout += bytes));
          child.stderr.on('data', (bytes) => (stderr += bytes));
          child.on('error', reject);
          child.on('close', (exit) => resolve({ exit: exit ?? 255, stdout, stderr }));
          child.stdin.on('error', () => {});
          child.stdin.end(stdin);
        }),
    },
    async addressesOf(address) {
      const { stdout } = await ip('-n', nameOf(address), '-o', 'addr', 'show', 'dev', 'eth0');
      return [...stdout.matchAll(/inet6? (\S+)\//g)].map(([, found = '']) => found);
    },
    answers: async (from, to) => (await run('nsenter', inside(from, [process.execPath, '-e', KNOCK, to]))).stdout === 'there',
    async link(address, state) {
      await ip('-n', bridge, 'link', 'set', `v${ips.indexOf(address)}`, state);
    },
    close,
  };
}

/** Ends what runs in a namespace, and the namespace. */
function remove(name: string): void {
  const pids = execFileSync('ip', ['netns', 'pids', name], { encoding: 'utf8' });
  for (const pid of pids.split('\n').filter(Boolean)) process.kill(Number(pid), 'SIGKILL');
  execFileSync('ip', ['netns', 'del', name]);
}

/** Removes the namespaces of runs that are no more. */
function reap(): void {
  const isLeftOver = (name: string) => {
    const [, pid, start] = new RegExp(`^${PREFIX}-(\\d+)-(\\d+)`).exec(name) ?? [];
    return pid !== undefined && start !== undefined && !isSameProcess(Number(pid), start);
  };
  const names = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
  for (const name of names.filter(isLeftOver)) remove(name);
  for (const name of readdirSync('/run').filter(isLeftOver)) rmSync(join('/run', name), { recursive: true, force: true });
}
