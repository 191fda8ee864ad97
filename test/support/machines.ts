import { execFileSync } from 'node:child_process';
import { type Loss as LinkLoss, startBridge } from './machines/bridge.ts';
import { type Machine, makeMachine } from './machines/machine.ts';

export type { Machine } from './machines/machine.ts';

/** Packets that are lost between two machines, in one direction. */
export interface Loss {
  /** The address of the machine that sends them, or of the orchestrator; any when missing. */
  readonly from?: string;
  readonly to?: string;
  /** Of TCP and UDP, the port that they go to; any when missing. */
  readonly port?: number;
  /** How many of a hundred. Default all. */
  readonly percent?: number;
}

/** Machines that boot, on a network of their own. */
export interface Machines {
  /** The address of the tests themselves. */
  readonly orchestrator: string;
  /** The machine of an address, which is off until it is booted. */
  at(ip: string): Machine;
  /** The host keys of all machines, as they are now. */
  knownHosts(): string;
  /** Loses packets until the returned function is called. Machines go on finding each other's addresses. */
  lose(loss: Loss): () => void;
  stop(): Promise<void>;
}

export interface MachinesOptions {
  /** In 10.0.0.0/24, from 10.0.0.2 on. */
  readonly ips: readonly string[];
  /** The public keys with which root may log in. */
  readonly authorizedKeys: readonly string[];
  /** The size of each disk, in MiB. Default: none. */
  readonly diskMb?: number;
}

const NETWORK = '10.0.0';
const PREFIX_LENGTH = 24;
const ORCHESTRATOR = 1;
/** The end of the orchestrator's cable that is in its own namespace. */
const OWN_LINK = 'machines';

/**
 * Starts a network of machines that the tests of `npm run test:fleet` can reach: a bridge in a namespace of its own, the
 * orchestrator, which is this process, and a machine for each address. A machine has the system of this one below a disk of its
 * own, its own sshd and host key, hostname, processes and boot id. Nobody has a route to anywhere else.
 *
 * @example
 * ```ts
 * requiresMachines('a machine', () => {
 *   test('answers over ssh', async () => {
 *     await using machines = await startMachines({ ips: ['10.0.0.101'], authorizedKeys: [key.publicKey] });
 *     await machines.at('10.0.0.101').boot();
 * ```
 */
export async function startMachines({ ips, authorizedKeys, diskMb }: MachinesOptions): Promise<Machines & AsyncDisposable> {
  const bridge = await startBridge();
  // A test file that was ended before its end may have left it.
  execFileSync('sh', ['-c', 'ip link delete "$1" 2>/dev/null || true', 'sh', OWN_LINK]);
  const own = ['peer', 'name', OWN_LINK, 'address', macOf(ORCHESTRATOR), 'netns', `${process.pid}`];
  bridge.ip('link', 'add', linkOf(ORCHESTRATOR), 'type', 'veth', ...own);
  bridge.ip('link', 'set', linkOf(ORCHESTRATOR), 'master', 'bridge', 'up');
  const orchestrator = `${NETWORK}.${ORCHESTRATOR}`;
  execFileSync('ip', ['address', 'add', `${orchestrator}/${PREFIX_LENGTH}`, 'dev', OWN_LINK]);
  execFileSync('ip', ['link', 'set', OWN_LINK, 'up']);

  const machines = new Map(
    ips.map((ip) => {
      const host = hostOf(ip);
      const plug = { ip, prefixLength: PREFIX_LENGTH, mac: macOf(host), link: linkOf(host) };
      return [ip, makeMachine(bridge, plug, { name: `i${host}`, authorizedKeys, diskMb: diskMb ?? null })];
    }),
  );
  const losses = new Set<LinkLoss>();

  const stop = async () => {
    await Promise.all([...machines.values()].map((machine) => machine.remove()));
    await bridge.stop();
    // The other end goes with the namespace, but not at once.
    execFileSync('sh', ['-c', 'ip link delete "$1" 2>/dev/null || true', 'sh', OWN_LINK]);
  };

  return {
    orchestrator,
    at(ip) {
      const machine = machines.get(ip);
      if (machine === undefined) throw new RangeError(`there is no machine at ${ip}, but at ${ips.join(', ')}`);
      return machine;
    },
    knownHosts: () => [...machines.values()].map((machine) => machine.knownHostsLine()).join('\n'),
    lose({ from, to, port, percent = 100 }) {
      const loss = {
        ...(from !== undefined && { from: linkOf(hostOf(from)) }),
        ...(to !== undefined && { to: linkOf(hostOf(to)) }),
        ...(port !== undefined && { port }),
        percent,
      };
      losses.add(loss);
      bridge.lose([...losses]);
      return () => {
        losses.delete(loss);
        bridge.lose([...losses]);
      };
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const linkOf = (host: number): string => `host${host}`;
const macOf = (host: number): string => `02:00:0a:00:00:${host.toString(16).padStart(2, '0')}`;

function hostOf(ip: string): number {
  const host = Number(new RegExp(`^${NETWORK.replaceAll('.', '\\.')}\\.(\\d{1,3})$`).exec(ip)?.[1]);
  if (!(host >= ORCHESTRATOR && host <= 254)) throw new RangeError(`${ip} is no host of ${NETWORK}.0/${PREFIX_LENGTH}`);
  return host;
}
