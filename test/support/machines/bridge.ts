import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { killFamily } from '../process-table.ts';
import { forgetPid, recordPid } from '../run-folder.ts';

/** Packets that are lost between two links of a bridge, in one direction. */
export interface Loss {
  /** The link that they come from; any when missing. */
  readonly from?: string;
  readonly to?: string;
  /** Of TCP and UDP, the port that they go to; any when missing. */
  readonly port?: number;
  /** How many of a hundred. */
  readonly percent: number;
}

/** A switch in a network namespace of its own, which lasts as long as its process. */
export interface Bridge {
  /** The path of its namespace. */
  readonly namespace: string;
  /** Runs `ip` there. */
  ip(...args: readonly string[]): void;
  /** Loses what is said here, and nothing else. */
  lose(losses: readonly Loss[]): void;
  stop(): Promise<void>;
}

export async function startBridge(): Promise<Bridge> {
  const child = spawn('unshare', ['--net', 'sh', '-c', 'echo && exec sleep infinity'], { detached: true });
  const { pid } = child;
  if (pid === undefined) throw new Error('unshare could not be started', { cause: (await once(child, 'error'))[0] });
  recordPid(pid);
  const gone = once(child, 'exit').finally(() => forgetPid(pid));
  await once(child.stdout, 'data');
  const namespace = `/proc/${pid}/ns/net`;
  const run = (input: string, ...argv: readonly string[]) => {
    execFileSync('nsenter', [`--net=${namespace}`, ...argv], { input, stdio: ['pipe', 'ignore', 'pipe'] });
  };
  run('', 'ip', 'link', 'add', 'bridge', 'type', 'bridge');
  run('', 'ip', 'link', 'set', 'bridge', 'up');
  run('add table bridge losses\nadd chain bridge losses forward { type filter hook forward priority 0; }\n', 'nft', '-f', '-');
  return {
    namespace,
    ip: (...args) => run('', 'ip', ...args),
    lose: (losses) => run(['flush chain bridge losses forward', ...losses.map(ruleOf), ''].join('\n'), 'nft', '-f', '-'),
    async stop() {
      killFamily(pid);
      await gone;
    },
  };
}

/** ARP passes: whoever loses packets in one direction alone still finds the other. */
const ruleOf = ({ from, to, port, percent }: Loss): string =>
  [
    'add rule bridge losses forward',
    from === undefined ? '' : `iifname "${from}"`,
    to === undefined ? '' : `oifname "${to}"`,
    port === undefined ? 'ether type { ip, ip6 }' : `meta l4proto { tcp, udp } th dport ${port}`,
    percent === 100 ? '' : `numgen random mod 100 < ${percent}`,
    'drop',
  ].join(' ');
